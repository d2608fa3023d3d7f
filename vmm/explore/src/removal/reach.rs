//! How far to look: until everything that the plan plugs in is at work, and, behind a removal, until it is at work again. A card is within microseconds;
//! what has to be found by its bus needs longer, and longer still if it was there before (a port that was empty must be stable for a while, USB 2.0, 7.1.7.3).

use super::{comes_back, rule, without_removals};
use crate::execute;
use crate::schedule::Schedule;
use devices::fault::plan::{Action, Plan, Trigger};
use std::collections::{BTreeMap, BTreeSet};
use trace::{Event, Kind};

/// Requests of each load that have come back when it is at work.
const AT_WORK: u32 = 3;
/// Plan time of the work itself that is looked at, ns.
const WORK: u64 = 1_000_000;
/// Machine time that a run goes on behind a removal at the least, ns.
const BEHIND: u64 = 2_000_000;
/// Plan time of the first look, ns; each further one is longer by a factor.
const FIRST: u64 = 4_000_000;
const FACTOR: u64 = 8;
/// Plan time of the longest look, ns: what is not at work by then is not waited for.
const LONGEST: u64 = FIRST * FACTOR * FACTOR * FACTOR;

/// Times of a campaign, as a few runs show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Plan time at which every load is at work, and everything else has its driver, ns.
    pub settled: u64,
    /// From a removal of everything but cards with something behind them until all of that is so again, ns.
    pub again: u64,
    /// The same of the cards with something behind them, ns; 0: there are none.
    pub with_all_behind: u64,
    /// Runs that it took to see that.
    pub runs: u64,
}

impl Reach {
    /// Looks at `plan` without its removals, for longer and longer, until it has settled; and again, with everything taken out then.
    ///
    /// # Errors
    /// The plan has no device that can go, or cannot run.
    pub fn of(plan: &Plan) -> Result<Self, String> {
        let all: Vec<&str> = plan.plugs.iter().map(|plug| plug.name.as_str()).collect();
        let (carriers, others): (Vec<&str>, Vec<&str>) = all.iter().partition(|name| is_carrier(plan, name));
        let here = |time: u64| without_removals(plan, plan.run_for.min(time));
        let (settled, mut runs) = look(0, &all, here)?;
        let mut back = |goers: &[&str]| -> Result<u64, String> {
            if goers.is_empty() {
                return Ok(0);
            }
            let (again, more) = look(settled, goers, |time| taken_out(plan, goers, settled, time))?;
            runs += more;
            Ok(again)
        };
        let (again, with_all_behind) = (back(&others)?, back(&carriers)?);
        Ok(Self { settled, again, with_all_behind, runs })
    }

    /// How much of the reference run to look at, ns: coming to work, and some of the work.
    pub fn horizon(self) -> u64 {
        match self.settled < WORK {
            true => WORK,
            false => self.settled.saturating_add(WORK),
        }
    }

    /// Machine time that a run goes on behind a removal of the device called `name`, ns: teardown, the return, and work again.
    pub fn behind(self, plan: &Plan, name: &str) -> u64 {
        let again = if is_carrier(plan, name) { self.with_all_behind } else { self.again };
        BEHIND.max(again.saturating_add(WORK))
    }

    /// The same of any device.
    pub fn behind_any(self) -> u64 {
        BEHIND.max(self.again.max(self.with_all_behind).saturating_add(WORK))
    }
}

/// It is a card, with something behind it.
fn is_carrier(plan: &Plan, name: &str) -> bool {
    let is_card = plan.plug_named(name).is_some_and(|plug| plug.on().is_none());
    is_card && plan.behind().any(|plug| plug.on() == Some(name))
}

/// `plan` without its removals, up to `time` ns after plan time `at`, at which `goers` go; they soon come back.
fn taken_out(plan: &Plan, goers: &[&str], at: u64, time: u64) -> Result<Plan, String> {
    let mut base = without_removals(plan, at)?;
    base.run_for = at.saturating_add(time);
    for name in goers {
        base.rules.push(comes_back(name));
        base.rules.push(rule(Trigger::At(at), Action::Unplug((*name).to_owned())));
    }
    Ok(base)
}

/// Runs what `plan` makes of the length of a look, for longer and longer, until after plan time `from` every load works, and the devices called `names` are there: how
/// long after, in ns, and the runs that it took.
fn look(from: u64, names: &[&str], plan: impl Fn(u64) -> Result<Plan, String>) -> Result<(u64, u64), String> {
    let (mut time, mut runs) = (FIRST, 0);
    loop {
        let base = plan(time)?;
        let mut settling = Settling::after(from, names, &base);
        execute::run(&base, &Schedule::none(0), &mut |event| settling.event(event))
            .map_err(|error| error.to_string())?;
        runs += 1;
        if settling.is_over() || time == LONGEST || base.run_for < from.saturating_add(time) {
            return Ok((settling.last.saturating_sub(from), runs));
        }
        time = time.saturating_mul(FACTOR).min(LONGEST);
    }
}

/// Follows a run until it has settled.
struct Settling {
    from: u64,
    /// Machine time of the plan's beginning, ns.
    zero: u64,
    /// Numbers of devices without a nub.
    unknown: BTreeSet<u32>,
    /// Numbers of devices without a driver: some never get one.
    idle: BTreeSet<u32>,
    /// Requests that loads are short of being at work, by number of the device.
    short: BTreeMap<u32, u32>,
    /// Plan time of the last step, ns.
    last: u64,
}

impl Settling {
    /// What happens from plan time `from` on counts.
    fn after(from: u64, names: &[&str], plan: &Plan) -> Self {
        let number = |name: &str| plan.plug_named(name).map(|plug| plug.slot);
        let all: BTreeSet<u32> = names.iter().filter_map(|name| number(name)).collect();
        let short = plan.loads.iter().filter_map(|load| number(&load.device)).map(|slot| (slot, AT_WORK));
        Self { from, zero: 0, unknown: all.clone(), idle: all, short: short.collect(), last: from }
    }

    fn is_over(&self) -> bool {
        self.unknown.is_empty() && self.short.is_empty()
    }

    fn event(&mut self, event: &Event) {
        if event.kind == Kind::Ready {
            self.zero = event.time;
        }
        let time = event.time.saturating_sub(self.zero);
        if time < self.from {
            return;
        }
        let step = match event.kind {
            Kind::Attach => self.unknown.remove(&event.slot),
            Kind::Started => event.arg == 1 && self.idle.remove(&event.slot),
            Kind::IoDone => self.returned(event.slot),
            _ => false,
        };
        if step {
            self.last = time;
        }
    }

    /// A request of the device with this number came back; true if it was one of the first.
    fn returned(&mut self, slot: u32) -> bool {
        let Some(short) = self.short.get_mut(&slot) else { return false };
        *short -= 1;
        if *short == 0 {
            self.short.remove(&slot);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(text: &str) -> Reach {
        let plan = Plan::parse("t.plan", text).expect("a good plan");
        Reach::of(&plan).expect("it runs")
    }

    #[test]
    fn a_card_is_at_work_at_once() {
        let reach = reach("plug edu0 edu slot=1\nload edu0 clients=1 depth=2\nrun for=1s\n");
        assert_eq!(reach.runs, 2);
        assert!(reach.settled > 0 && reach.settled < WORK, "{reach:?}");
        assert!(reach.again > 0 && reach.again < WORK, "{reach:?}");
        assert_eq!((reach.horizon(), reach.behind_any()), (WORK, BEHIND));
    }

    #[test]
    fn what_is_behind_a_controller_is_waited_for() {
        let stick =
            "plug usb0 xhci slot=3\nplug stick0 usb-storage on=usb0 port=1\nload stick0 clients=1 depth=1\n";
        let rest = "at 1ms unplug stick0\nrun for=1s\n";
        let quick = reach(&format!("{stick}{rest}"));
        assert!(quick.settled > 10_000_000 && quick.settled < 100_000_000, "{quick:?}");
        assert!(quick.again > 10_000_000 && quick.again < 100_000_000, "{quick:?}");
        // A plan may insist on the standard: a new connection must be stable for 100 ms (USB 2.0, 7.1.7.3).
        let reach = reach(&format!("machine debounce=100ms\n{stick}{rest}"));
        assert!(reach.again > 100_000_000 && reach.again < 300_000_000, "{reach:?}");
        // What is behind a new controller is at its port at once.
        assert!(reach.with_all_behind < 100_000_000, "{reach:?}");
        assert_eq!((reach.horizon(), reach.behind_any()), (reach.settled + WORK, reach.again + WORK));
    }

    #[test]
    fn what_never_comes_to_work_is_waited_for_no_longer_than_the_plan() {
        let text = "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\nat 1us freeze edu0\nrun for=40ms\n";
        let plan = Plan::parse("t.plan", text).expect("a good plan");
        let (settled, runs) =
            look(0, &["edu0"], |time| without_removals(&plan, plan.run_for.min(time))).expect("it runs");
        assert_eq!((settled < WORK, runs), (true, 3));
    }
}
