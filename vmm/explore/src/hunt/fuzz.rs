//! Mutation of what goes wrong, guided by coverage.
//!
//! An input is a plan and a schedule. Its mutations add, drop and change rules, and the schedule; an input that reaches a state that none before had
//! is kept and mutated further. Only what a correct driver bears without an error is ever added: removals, interrupts with nothing to say, and lost
//! time.

use super::hunter::{Guessing, Hunter};
use crate::campaign::Task;
use crate::execute::Run;
use crate::removal::{card_of, comes_back, rule};
use crate::schedule::Schedule;
use devices::catalogue;
use devices::fault::plan::{Action, DeviceFault, GuestFault, Plan, Rule, Trigger};
use sim::Rng;

/// Rules that an input may have on top of the plan's own.
const MOST_RULES: usize = 6;
/// Inputs that are kept; a new one takes the place of a random one then.
const MOST_KEPT: usize = 256;
/// Mutations of an input at a time, at most.
const STACKED: u32 = 3;
/// Of occurrences, the largest is below 2 to this power.
const COUNT_BITS: u32 = 10;
/// Longest storm and longest stall, ns.
const LONGEST: u32 = 50_000;

/// The mutator.
pub(super) struct Fuzz {
    rng: Rng,
    /// Rules that are not mutated stand before this index.
    fixed: usize,
    /// Machine time in which things happen, ns.
    horizon: u64,
    /// Device and site of triggers.
    sites: Vec<(String, String)>,
    kept: Vec<Task>,
    /// What runs now.
    current: Task,
    begun: bool,
    /// Runs that it took to know the plan; counted once.
    looked: u64,
}

impl Fuzz {
    /// A mutator for `plan`, whose removals are taken out.
    pub(super) fn new(plan: &Plan, seed: u64) -> Result<Self, String> {
        let Guessing { mut base, behind, runs } = Guessing::new(plan)?;
        let horizon = base.run_for;
        base.run_for = horizon.saturating_add(behind);
        for index in 0..base.plugs.len() {
            let back = comes_back(&base.plugs[index].name);
            base.rules.push(back);
        }
        let mut sites = Vec::new();
        for plug in &base.plugs {
            let own = catalogue::model(&plug.model).map_or(&[][..], |model| model.sites);
            let words = own.iter().map(|site| site.word()).chain(catalogue::guest_sites());
            sites.extend(words.map(|site| (plug.name.clone(), site.to_owned())));
        }
        let first = Task { plan: base, schedule: Schedule::Seed(seed) };
        Ok(Self {
            rng: Rng::new(seed),
            fixed: first.plan.rules.len(),
            horizon,
            sites,
            kept: Vec::new(),
            current: first,
            begun: false,
            looked: runs,
        })
    }

    /// A number below `bound` as an index.
    fn index(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u32) as usize
    }

    fn mutate(&mut self, task: &mut Task) {
        let own = task.plan.rules.len() - self.fixed;
        match self.rng.below(6) {
            0 | 1 if own < MOST_RULES => {
                let new = self.rule(&task.plan);
                task.plan.rules.push(new);
            }
            2 if own > 0 => _ = task.plan.rules.remove(self.fixed + self.index(own)),
            3 if own > 0 => {
                let at = self.fixed + self.index(own);
                self.nudge(&mut task.plan.rules[at].trigger);
            }
            4 if own > 0 => {
                let at = self.fixed + self.index(own);
                task.plan.rules[at].action = self.action(&task.plan);
            }
            _ => task.schedule = self.schedule(),
        }
    }

    fn schedule(&mut self) -> Schedule {
        let seed = self.rng.next_u64() >> 1;
        match self.rng.below(3) {
            0 => Schedule::Pct { seed, depth: 1 + self.rng.below(3), horizon: self.horizon },
            _ => Schedule::Seed(seed),
        }
    }

    fn rule(&mut self, plan: &Plan) -> Rule {
        let trigger = match self.rng.below(3) {
            0 => Trigger::At(self.rng.next_u64() % self.horizon.max(1)),
            _ => {
                let at = self.index(self.sites.len());
                let (device, site) = self.sites[at].clone();
                Trigger::Nth { device, site, count: self.count() }
            }
        };
        rule(trigger, self.action(plan))
    }

    /// Small numbers are as likely as large ones.
    fn count(&mut self) -> u64 {
        let bits = self.rng.below(COUNT_BITS + 1);
        1 + u64::from(self.rng.below(1 << bits))
    }

    fn nudge(&mut self, trigger: &mut Trigger) {
        let count = self.count();
        let nudge = |value: u64, way: u32| match way {
            0 => value.saturating_add(count),
            1 => value.saturating_sub(count),
            2 => value / 2,
            _ => value.saturating_mul(2),
        };
        let way = self.rng.below(4);
        match trigger {
            Trigger::Nth { count, .. } => *count = nudge(*count, way).clamp(1, 1 << COUNT_BITS),
            Trigger::At(time) => *time = nudge(*time, way) % self.horizon.max(1),
            Trigger::Every(_) | Trigger::Chance { .. } => {}
        }
    }

    fn action(&mut self, plan: &Plan) -> Action {
        let plug = &plan.plugs[self.index(plan.plugs.len())];
        let (device, has_button) = (plug.name.clone(), plug.on().is_none());
        // What is behind a controller interrupts by it.
        let card = card_of(plan, &device).to_owned();
        let duration = 1_000 * (1 + u64::from(self.rng.below(LONGEST / 1_000)));
        match self.rng.below(8) {
            0..=2 => Action::Unplug(device),
            3 | 4 if has_button => Action::Eject(device),
            3 | 4 => Action::Unplug(device),
            5 => Action::Fault { device: card, fault: DeviceFault::Spurious },
            6 => Action::Storm { device: card, rate_hz: 1_000_000, duration },
            _ => Action::Guest(GuestFault::Stall { cpu: self.rng.below(plan.cpus as u32), duration }),
        }
    }
}

impl Hunter for Fuzz {
    fn next(&mut self, executions: &mut u64) -> Result<Option<Task>, String> {
        *executions += std::mem::take(&mut self.looked);
        if std::mem::replace(&mut self.begun, true) {
            let parent = match self.kept.len() {
                0 => self.current.clone(),
                kept => {
                    let at = self.index(kept);
                    self.kept[at].clone()
                }
            };
            let mut task = parent;
            for _ in 0..=self.rng.below(STACKED) {
                self.mutate(&mut task);
            }
            self.current = task;
        }
        Ok(Some(self.current.clone()))
    }

    fn learn(&mut self, _run: &Run, fresh: bool) {
        if !fresh {
            return;
        }
        if self.kept.len() < MOST_KEPT {
            self.kept.push(self.current.clone());
        } else {
            let at = self.index(self.kept.len());
            self.kept[at] = self.current.clone();
        }
    }
}
