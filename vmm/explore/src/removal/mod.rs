//! Exhaustive removal: the card is pulled out at every event of a reference run.
//!
//! An event is named as plans name it: the n-th occurrence of a site, on the device's side or in the guest. A run that streams for long passes the
//! same situation again and again; events are alike if site, state of the stack, the events before in the same slot and the load are the same, and
//! of those that are alike the first is taken, unless all are wanted.

mod injection;
mod reach;
mod reference;

pub use injection::{Company, Injection, Way, When};
pub use reach::Reach;

use crate::campaign::{Task, Tasks};
use crate::cause::Cause;
use crate::execute;
use crate::schedule::{Deviation, Schedule};
use devices::catalogue;
use devices::fault::plan::{Action, Expect, Plan, Plug, Rule, Span, Trigger, limits};
use devices::fault::plane::{SITES, guest_word};
use reference::Reference;
use sim::chooser::{Decision, Kind};

/// Period in which the card is put back, in nanoseconds of machine time.
const RETURN: u64 = 400_000;
/// How long USB connections must be stable where a plan says nothing, ns. In the 100 ms of the standard everybody else would do the same work over and over.
const DEBOUNCE: u64 = 1_000_000;
/// What every run must show, in nanoseconds: far above what correct drivers need, whatever the schedule.
const WITHIN: u64 = 1_000_000_000;
/// Of a device's own site, occurrences that are all taken; from there on every so many.
const DENSE: u64 = 256;

/// All removals of a plan.
#[derive(Clone, Debug)]
pub struct Removals {
    base: Plan,
    /// What will be tried.
    pub injections: Vec<Injection>,
    /// Events of the reference run at which a card could go.
    pub events: u64,
    /// Machine time of the reference run that was looked at, ns.
    pub horizon: u64,
    reach: Reach,
    /// Events of the trace of all runs together, more or less.
    pub work: u64,
    /// Runs that it took to make the list.
    pub runs: u64,
}

/// What to take.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// All events, not only those that differ.
    pub every: bool,
    /// Each removal also with an interrupt, and with a timer.
    pub pairs: bool,
    /// Each removal of a card also in order.
    pub eject: bool,
    /// Machine time of the reference run to look at, ns; `None`: until everything is at work, and some of the work.
    pub horizon: Option<u64>,
}

/// The reference run, and what was needed to make it.
struct Look {
    base: Plan,
    reach: Reach,
    reference: Reference,
    /// How often each site of each device was passed, by number of the device.
    passed: Vec<(u32, [u64; SITES])>,
    /// Events of its trace.
    events: u64,
    /// What it breaks.
    cause: Option<Cause>,
}

impl Removals {
    /// Looks at a reference run of `plan` and lists the removals.
    ///
    /// # Errors
    /// The plan has no device that can go, or cannot run.
    pub fn new(plan: &Plan, choice: Wanted) -> Result<Self, String> {
        let look = look(plan, Reach::of(plan)?, choice)?;
        match &look.cause {
            Some(cause) => Err(format!("the reference run, with no removal, breaks {cause} already")),
            None => Ok(Self::list(look, choice)),
        }
    }

    /// [`Removals::new`] of a plan that may break a rule without any removal, and whose reach is known.
    ///
    /// # Errors
    /// The plan has no device that can go, or cannot run.
    pub fn of_broken(plan: &Plan, reach: Reach, choice: Wanted) -> Result<Self, String> {
        Ok(Self::list(look(plan, reach, choice)?, choice))
    }

    fn list(look: Look, choice: Wanted) -> Self {
        let Look { base, reach, reference, passed, events, .. } = look;
        let mut removals = Self {
            horizon: base.run_for,
            reach,
            base,
            injections: Vec::new(),
            events: 0,
            work: 0,
            runs: reach.runs + 1,
        };
        for index in 0..removals.base.plugs.len() {
            removals.of_guest(index, &reference, choice);
            removals.of_device(index, &passed, choice);
        }
        if choice.pairs {
            removals.pair();
        }
        removals.work = events.saturating_mul(removals.injections.len() as u64);
        removals
    }

    /// Events of the guest, which the trace tells.
    fn of_guest(&mut self, index: usize, reference: &Reference, choice: Wanted) {
        let (slot, device) = (self.base.plugs[index].slot, self.base.plugs[index].name.clone());
        self.events += reference.events(slot);
        for moment in reference.moments.iter().filter(|moment| moment.slot == slot) {
            let (phase, when) = (Some(moment.phase), Some(moment.when));
            let alone =
                Injection { phase, when, ..Injection::new(&device, guest_word(moment.kind), moment.count) };
            self.add(index, alone, choice);
        }
    }

    fn add(&mut self, index: usize, alone: Injection, choice: Wanted) {
        // Only slots have attention buttons.
        let has_button = self.base.plugs[index].on().is_none();
        let orderly = (choice.eject && has_button).then(|| Injection { way: Way::Orderly, ..alone.clone() });
        self.injections.extend(std::iter::once(alone).chain(orderly));
    }

    /// Sites of the device, which only the plane counts.
    fn of_device(&mut self, index: usize, passed: &[(u32, [u64; SITES])], choice: Wanted) {
        let plug = &self.base.plugs[index];
        let Some((_, counts)) = passed.iter().find(|(slot, _)| *slot == plug.slot) else { return };
        let device = plug.name.clone();
        let sites = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
        for site in sites {
            let most = counts[*site as usize];
            self.events += most;
            let mut count = 1;
            while count <= most {
                self.add(index, Injection::new(&device, site.word(), count), choice);
                count += if choice.every || count < DENSE { 1 } else { (most / DENSE).max(1) };
            }
        }
    }

    fn pair(&mut self) {
        let alone = self.injections.clone();
        for injection in alone {
            self.injections.push(Injection { company: Company::Interrupt, ..injection.clone() });
            if injection.when.is_some() {
                self.injections.push(Injection { company: Company::Timer, ..injection });
            }
        }
    }

    /// The plan of one removal: at the event the card goes, and comes back soon.
    pub fn plan(&self, injection: &Injection) -> Plan {
        let Injection { device, site, count, when, .. } = injection;
        let at = |count: u64| Trigger::Nth { device: device.clone(), site: site.clone(), count };
        let mut plan = self.base.clone();
        plan.run_for =
            when.map_or(self.horizon, |when| when.plan).saturating_add(self.reach.behind(&self.base, device));
        if injection.company == Company::Interrupt {
            // What is behind a controller interrupts by it.
            let device = card_of(&plan, device).to_owned();
            let storm = Action::Storm { device, rate_hz: 1_000_000, duration: 20_000 };
            plan.rules.push(rule(at((count - 1).max(1)), storm));
        }
        plan.rules.push(rule(at(*count), injection.way.action(device)));
        plan.rules.push(comes_back(device));
        plan
    }

    /// The schedule of one removal.
    pub fn schedule(&self, injection: &Injection) -> Schedule {
        match (injection.company, injection.when) {
            (Company::Timer, Some(When { machine, cpu, .. })) => {
                let cpus = 1 << cpu;
                let decision = Decision { now: machine, kind: Kind::Elapse, alternatives: 3, cpus, cpu };
                let deviations = vec![Deviation { decision, skip: 0, answer: 2 }];
                Schedule::List { deviations, dice: 0 }
            }
            _ => Schedule::none(0),
        }
    }
}

/// The reference run of `plan`: what runs, what happens in it, and what it breaks.
fn look(plan: &Plan, reach: Reach, choice: Wanted) -> Result<Look, String> {
    let base = without_removals(plan, choice.horizon.unwrap_or_else(|| reach.horizon()))?;
    let mut reference = Reference::new(choice.every);
    let run = execute::run(&base, &Schedule::none(0), &mut |event| reference.event(event));
    let run = run.map_err(|error| error.to_string())?;
    if reference.is_full() {
        return Err(format!(
            "the reference run has more than {} events at which a card could go; a shorter --horizon, or no --every, bounds them",
            reference::MOST_MOMENTS
        ));
    }
    let (passed, events) = (run.outcome.sites, run.outcome.events);
    Ok(Look { base, reach, reference, passed, events, cause: run.cause })
}

/// The name of the card that the device called `name` is, or is behind.
pub(crate) fn card_of<'p>(plan: &'p Plan, name: &'p str) -> &'p str {
    let above = |plug: &&'p Plug| plug.on().and_then(|on| plan.plug_named(on));
    let card = std::iter::successors(plan.plug_named(name), above).take(2 + limits::TIERS).last();
    card.map_or(name, |card| card.name.as_str())
}

impl Tasks for Removals {
    fn count(&self) -> Option<u64> {
        Some(self.injections.len() as u64)
    }

    fn task(&self, number: u64) -> Task {
        let injection = &self.injections[number as usize];
        Task { plan: self.plan(injection), schedule: self.schedule(injection) }
    }
}

/// `plan` without its own removals, with all cards in their slots, up to `horizon` ns, and with what every removal must show.
///
/// # Errors
/// It has no device that can go.
pub(crate) fn without_removals(plan: &Plan, horizon: u64) -> Result<Plan, String> {
    let horizon = plan.run_for.min(horizon);
    let mut base = Plan { run_for: horizon, lines: Vec::new(), ..plan.clone() };
    base.rules.retain(|rule| !moves_a_card(&rule.action) && !too_late(&rule.trigger, horizon));
    base.plugs.iter_mut().for_each(|plug| _ = plug.options.remove("absent"));
    if base.plugs.iter().any(|plug| plug.model == "xhci") {
        base.debounce.get_or_insert(DEBOUNCE);
    }
    base.expects = vec![
        Expect::Offline(WITHIN, Span::default()),
        Expect::Quiet(WITHIN, Span::default()),
        Expect::NoLeaks(Span::default()),
    ];
    match base.plugs.is_empty() {
        true => Err("the plan plugs no device in, so none can be pulled out".to_owned()),
        false => Ok(base),
    }
}

/// A rule that no text has.
pub(crate) fn rule(trigger: Trigger, action: Action) -> Rule {
    Rule { trigger, action, span: Span::default(), marks: Default::default() }
}

/// A card that was taken out is soon put back.
pub(crate) fn comes_back(device: &str) -> Rule {
    rule(Trigger::Every(RETURN), Action::Replug(device.to_owned()))
}

fn moves_a_card(action: &Action) -> bool {
    matches!(action, Action::Unplug(_) | Action::Eject(_) | Action::Replug(_) | Action::Plug(_))
}

fn too_late(trigger: &Trigger, horizon: u64) -> bool {
    matches!(trigger, Trigger::At(time) | Trigger::Every(time) if *time >= horizon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{self, Options, Summary};
    use std::collections::HashSet;
    use std::sync::atomic::AtomicBool;

    fn removals(driver: &str, wanted: Wanted) -> Removals {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1{driver}\nload edu0 clients=1 depth=2\n\
             at 200us unplug edu0\nrun for=1ms\n"
        );
        let plan = Plan::parse("t.plan", &text).expect("a good plan");
        Removals::new(&plan, wanted).expect("a good reference")
    }

    /// One of eight, so that the test is short.
    fn explore(removals: &Removals) -> Summary {
        let stop = AtomicBool::new(false);
        let options = Options { runs: None, jobs: 2, shard: (0, 8), first_only: false, stop: &stop };
        campaign::run(removals, &options, &mut |_, _| {})
    }

    const WANTED: Wanted = Wanted { every: false, pairs: false, eject: false, horizon: Some(120_000) };

    #[test]
    fn a_correct_driver_bears_removal_at_every_event() {
        let removals = removals("", WANTED);
        let sites: HashSet<&str> = removals.injections.iter().map(|i| i.site.as_str()).collect();
        for site in ["start", "gate.close", "mmio.read", "dma.write", "config.write", "irq.raise", "io.issue"]
        {
            assert!(sites.contains(site), "{site}: {sites:?}");
        }
        assert!(removals.injections.len() > 100 && removals.events > removals.injections.len() as u64);
        let summary = explore(&removals);
        assert_eq!((summary.runs, summary.findings.len()), (removals.injections.len().div_ceil(8) as u64, 0));
    }

    #[test]
    fn removal_at_every_event_finds_a_driver_that_closes_early() {
        let summary = explore(&removals(" driver=close-early", WANTED));
        assert!(summary.findings.keys().any(|cause| cause.rule == "close-before-return"), "{summary:?}");
    }

    #[test]
    fn each_removal_can_be_tried_in_order_too() {
        let (surprise, both) = (removals("", WANTED), removals("", Wanted { eject: true, ..WANTED }));
        let of = |way| both.injections.iter().filter(move |i| i.way == way);
        assert!(of(Way::Surprise).eq(&surprise.injections));
        assert_eq!(of(Way::Orderly).count(), surprise.injections.len());
        let orderly = of(Way::Orderly).next().expect("there are some");
        let ejects = |rule: &Rule| matches!(rule.action, Action::Eject(_));
        assert_eq!(both.plan(orderly).rules.iter().filter(|rule| ejects(rule)).count(), 1);
        assert_eq!((explore(&both).findings.len(), surprise.runs), (0, both.runs));
    }

    #[test]
    fn pairs_come_on_top() {
        let (alone, pairs) = (removals("", WANTED), removals("", Wanted { pairs: true, ..WANTED }));
        let count = |company| pairs.injections.iter().filter(|i| i.company == company).count();
        let known = alone.injections.iter().filter(|i| i.when.is_some()).count();
        assert_eq!(count(Company::Interrupt), alone.injections.len());
        assert_eq!(count(Company::Timer), known);
        let timer = pairs.injections.iter().find(|i| i.company == Company::Timer).expect("there are some");
        assert!(matches!(pairs.schedule(timer), Schedule::List { deviations, .. } if deviations.len() == 1));
    }
}
