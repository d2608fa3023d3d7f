//! What is to be cycled, checked against the plan before anything begins.

use crate::cli::{CycleArgs, What};
use crate::exit::{Failure, hint};
use devices::fault::plan::{Action, Plan, Plug, Spoken};
use trace::ring::{Command, Step};

/// One hour of machine time: the longest that a plan may run.
const LONGEST: u64 = 3_600_000_000_000;

/// Something that lets the device come, or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Hardware does it.
    Act(Action),
    /// The guest is asked to do it.
    Ask(Step, u8),
}

impl Move {
    /// The guest's command, if it is the guest who does it.
    pub fn command(&self) -> Option<Command> {
        match *self {
            Move::Act(_) => None,
            Move::Ask(step, slot) => Some(Command::Step(step, slot)),
        }
    }

    /// What reports call it.
    pub fn word(&self) -> &'static str {
        match self {
            Move::Act(action) => action.word(),
            Move::Ask(step, _) => step.word(),
        }
    }
}

/// A cycle of one device.
#[derive(Clone, Debug)]
pub struct Request {
    /// The plan that is run: without rules and expectations, with the drivers that were asked for.
    pub plan: Plan,
    /// The device.
    pub device: String,
    /// Its slot, and those of the devices behind it.
    pub group: Vec<u32>,
    /// Those of the group that have a load: in each pass, all of these do I/O.
    pub loaded: Vec<u32>,
    /// What lets it come.
    pub come: Move,
    /// What lets it come first, if it is not there from the beginning.
    pub first: Option<Move>,
    /// What lets it go.
    pub go: Move,
    /// Passes.
    pub passes: u64,
    /// Machine time from one pass to the next; `None`: flat out.
    pub period: Option<u64>,
    /// Requests that come back in a pass, at the least.
    pub requests: u64,
    /// Rules and expectations of the plan that were left out.
    pub left_out: usize,
}

impl Request {
    /// What `args` ask of `plan`.
    pub fn new(args: &CycleArgs, mut plan: Plan) -> Result<Self, Failure> {
        give_drivers(&mut plan, &args.driver)?;
        let left_out = plan.rules.len() + plan.expects.len();
        let plan = Plan { run_for: LONGEST, rules: vec![], expects: vec![], lines: vec![], ..plan };
        let plug = device(&plan, args.device.as_deref())?.clone();
        let group = group(&plan, &plug);
        let loaded = group.iter().copied().filter(|slot| has_load(&plan, *slot)).collect();
        let (come, go) = moves(&plan, &plug, args.what)?;
        let first = plug.absent().then(|| Move::Act(Action::Plug(plug.name.clone())));
        Ok(Self {
            device: plug.name,
            group,
            loaded,
            come,
            first,
            go,
            passes: args.passes,
            period: args.period,
            requests: args.requests,
            left_out,
            plan,
        })
    }
}

fn give_drivers(plan: &mut Plan, drivers: &[(String, String)]) -> Result<(), Failure> {
    for (device, driver) in drivers {
        crate::find::check_driver(device, driver, Some(plan))?;
        let mut given = 0;
        for plug in plan.plugs.iter_mut().filter(|plug| plug.name == *device || plug.model == *device) {
            plug.options.insert("driver".to_owned(), driver.clone());
            given += 1;
        }
        if given == 0 {
            return Err(Failure::request(format_args!(
                "--driver {device}={driver}: the plan has no {device}"
            )));
        }
    }
    match devices::catalogue::check(plan).as_slice() {
        [] => Ok(()),
        errors => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(Failure::request(lines.join("\n")))
        }
    }
}

/// The device that is meant.
fn device<'a>(plan: &'a Plan, name: Option<&str>) -> Result<&'a Plug, Failure> {
    let names = || plan.plugs.iter().map(|plug| plug.name.as_str());
    let expected = || names().collect::<Vec<_>>().join(", ");
    if plan.plugs.is_empty() {
        return Err(Failure::request("the plan has no device that could come and go"));
    }
    let Some(name) = name else {
        let loaded: Vec<_> = plan.plugs.iter().filter(|plug| has_load(plan, plug.slot)).collect();
        return match (loaded.as_slice(), plan.plugs.as_slice()) {
            ([only], _) => Ok(only),
            ([], [only]) => Ok(only),
            _ => Err(Failure::request(format_args!(
                "the plan has several devices: say which one with --device; expected one of {}",
                expected()
            ))),
        };
    };
    plan.plug_named(name).ok_or_else(|| {
        let hint = hint(name, names());
        Failure::request(format_args!(
            "--device: there is no `{name}` in the plan; expected one of {}{hint}",
            expected()
        ))
    })
}

fn has_load(plan: &Plan, slot: u32) -> bool {
    plan.loads.iter().any(|load| plan.plug_named(&load.device).is_some_and(|plug| plug.slot == slot))
}

/// The device and all that is behind it.
fn group(plan: &Plan, plug: &Plug) -> Vec<u32> {
    let is_behind = |other: &&Plug| {
        let above = |at: &Plug| at.on().and_then(|on| plan.plug_named(on));
        // A plan that passed its check has no circle; the number of devices bounds the way all the same.
        let mut way = std::iter::successors(above(other), |at| above(at)).take(plan.plugs.len());
        way.any(|at| at.name == plug.name)
    };
    let behind = plan.plugs.iter().filter(is_behind).map(|other| other.slot);
    std::iter::once(plug.slot).chain(behind).collect()
}

/// What lets it come and go.
fn moves(plan: &Plan, plug: &Plug, what: What) -> Result<(Move, Move), Failure> {
    let name = || plug.name.clone();
    let ask = |come, go| {
        let slot = u8::try_from(plug.slot).unwrap_or(0);
        (Move::Ask(come, slot), Move::Ask(go, slot))
    };
    Ok(match what {
        What::Plug => (Move::Act(Action::Replug(name())), Move::Act(Action::Unplug(name()))),
        What::Eject => {
            // Not everything has an attention button; the catalogue knows.
            let spoken = plan.speak("--what eject", &format!("eject {}", plug.name));
            let Ok(Spoken::Now(action)) = spoken else {
                let name = &plug.name;
                return Err(Failure::request(format_args!(
                    "--what eject: {name} has no attention button; `--what plug` pulls it out"
                )));
            };
            (Move::Act(Action::Replug(name())), Move::Act(action))
        }
        What::Load => ask(Step::Load, Step::Unload),
        What::Open if has_load(plan, plug.slot) => ask(Step::Open, Step::Close),
        What::Open => {
            let name = &plug.name;
            return Err(Failure::request(format_args!(
                "--what open: {name} has no clients; a statement `load {name} clients=1 depth=1` in the plan gives it some"
            )));
        }
    })
}
