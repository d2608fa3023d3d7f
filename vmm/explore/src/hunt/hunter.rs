//! What each method tries next.

use super::Method;
use super::fuzz::Fuzz;
use crate::campaign::{Random, Task, Tasks};
use crate::execute::Run;
use crate::removal::{self, Reach, Removals, Wanted};
use crate::schedule::Schedule;
use devices::fault::plan::{Action, Plan, Trigger};
use sim::Rng;

/// Most changes of mind of a PCT schedule.
const DEPTH: u64 = 3;
/// How much of the plan's time a method that takes the removals out and guesses looks at, at the least, ns.
const HORIZON: u64 = 4_000_000;

/// A method at work.
pub(super) trait Hunter {
    /// The next run; `None` = there is nothing more to try. Runs that were needed to know are added to `executions`.
    ///
    /// # Errors
    /// The plan cannot run.
    fn next(&mut self, executions: &mut u64) -> Result<Option<Task>, String>;

    /// How that run went, and whether it reached a state that none before had.
    fn learn(&mut self, _run: &Run, _fresh: bool) {}
}

/// The hunter of `method`.
pub(super) fn hunter(plan: &Plan, method: Method, seed: u64) -> Result<Box<dyn Hunter>, String> {
    Ok(match method {
        Method::Random => Box::new(Schedules { tasks: Random(plan.clone()), next: seed }),
        Method::Pct => Box::new(Changes { plan: plan.clone(), next: seed, horizon: None }),
        Method::Moments => Box::new(Moments::new(plan, seed)?),
        Method::Fuzz => Box::new(Fuzz::new(plan, seed)?),
        Method::Removal => Box::new(EveryEvent::new(plan)?),
    })
}

struct Schedules {
    tasks: Random,
    next: u64,
}

impl Hunter for Schedules {
    fn next(&mut self, _: &mut u64) -> Result<Option<Task>, String> {
        let task = self.tasks.task(self.next);
        self.next = self.next.wrapping_add(1);
        Ok(Some(task))
    }
}

/// The first run tells how long a run is: there the changes of mind fall.
struct Changes {
    plan: Plan,
    next: u64,
    horizon: Option<u64>,
}

impl Hunter for Changes {
    fn next(&mut self, _: &mut u64) -> Result<Option<Task>, String> {
        let plan = self.plan.clone();
        let Some(horizon) = self.horizon else {
            return Ok(Some(Task { plan, schedule: Schedule::Plain }));
        };
        let seed = self.next;
        self.next = seed.wrapping_add(1);
        let depth = 1 + (seed % DEPTH) as u32;
        Ok(Some(Task { plan, schedule: Schedule::Pct { seed, depth, horizon } }))
    }

    fn learn(&mut self, run: &Run, _fresh: bool) {
        self.horizon.get_or_insert(run.outcome.virtual_time);
    }
}

/// Where a method that guesses looks: as long at everything at work as it takes to come to that.
pub(super) struct Guessing {
    /// The plan without its removals.
    pub(super) base: Plan,
    /// Machine time that a run goes on behind a removal, ns.
    pub(super) behind: u64,
    /// Runs that it took to know; counted once.
    pub(super) runs: u64,
}

impl Guessing {
    pub(super) fn new(plan: &Plan) -> Result<Self, String> {
        let reach = Reach::of(plan)?;
        let horizon = HORIZON.max(reach.settled.saturating_mul(2));
        let base = removal::without_removals(plan, horizon)?;
        Ok(Self { base, behind: reach.behind_any(), runs: reach.runs })
    }
}

/// Plans with one removal at a random moment, by surprise or in order, and no other.
pub struct Moments {
    guessing: Guessing,
    next: u64,
}

impl Moments {
    /// Such plans of `plan`, from those of `seed` on.
    ///
    /// # Errors
    /// The plan plugs no device in, or cannot run.
    pub fn new(plan: &Plan, seed: u64) -> Result<Self, String> {
        Ok(Self { guessing: Guessing::new(plan)?, next: seed })
    }

    /// Runs in the simulator that it took to know where to look.
    pub fn runs(&self) -> u64 {
        self.guessing.runs
    }

    /// The next plan, and its seed.
    pub fn next_plan(&mut self) -> (Plan, u64) {
        let Guessing { base, behind, .. } = &self.guessing;
        let seed = self.next;
        self.next = seed.wrapping_add(1);
        let mut rng = Rng::new(seed);
        let plug = &base.plugs[rng.below(base.plugs.len() as u32) as usize];
        let (device, has_button) = (plug.name.clone(), plug.on().is_none());
        let at = rng.next_u64() % base.run_for.max(1);
        let mut plan = Plan { run_for: at.saturating_add(*behind), ..base.clone() };
        plan.rules.push(removal::comes_back(&device));
        let action = match rng.below(2) {
            1 if has_button => Action::Eject(device),
            _ => Action::Unplug(device),
        };
        plan.rules.push(removal::rule(Trigger::At(at), action));
        (plan, seed)
    }
}

impl Hunter for Moments {
    fn next(&mut self, executions: &mut u64) -> Result<Option<Task>, String> {
        *executions += std::mem::take(&mut self.guessing.runs);
        let (plan, seed) = self.next_plan();
        Ok(Some(Task { plan, schedule: Schedule::Seed(seed) }))
    }
}

/// First the reference run by itself: a bug that needs no removal is found by it.
struct EveryEvent {
    plan: Plan,
    reach: Reach,
    reference: Option<Plan>,
    removals: Option<Removals>,
    next: u64,
}

impl EveryEvent {
    fn new(plan: &Plan) -> Result<Self, String> {
        let reach = Reach::of(plan)?;
        let reference = Some(removal::without_removals(plan, reach.horizon())?);
        Ok(Self { plan: plan.clone(), reach, reference, removals: None, next: 0 })
    }
}

impl Hunter for EveryEvent {
    fn next(&mut self, executions: &mut u64) -> Result<Option<Task>, String> {
        if let Some(plan) = self.reference.take() {
            *executions += self.reach.runs;
            return Ok(Some(Task { plan, schedule: Schedule::none(0) }));
        }
        let removals = match &self.removals {
            Some(removals) => removals,
            None => {
                let wanted = Wanted { every: false, pairs: false, eject: true, horizon: None };
                let removals = Removals::of_broken(&self.plan, self.reach, wanted)?;
                *executions += 1;
                self.removals.insert(removals)
            }
        };
        if self.next >= removals.injections.len() as u64 {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some(removals.task(self.next - 1)))
    }
}
