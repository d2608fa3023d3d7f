//! What somebody does to a platform beside its plan, while the machine runs.

use super::Platform;
use super::host::Host;
use super::timers::Due;
use crate::fault::plan::units::TIME;
use crate::fault::plan::{Action, Plan, Rule, Trigger};
use crate::fault::plane::resolve;
use thiserror::Error;

/// A rule for a time that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("plan time is {} already", TIME.show(*now))]
pub struct TooLate {
    /// Plan time, ns.
    pub now: u64,
}

impl Platform {
    /// Plan time at machine time `now`, ns; `None` before `boot.ready`.
    pub fn plan_time(&self, now: u64) -> Option<u64> {
        let core = &self.core;
        core.started.then(|| now.saturating_sub(core.end.saturating_sub(core.run_for)))
    }

    /// Carries out one action now, as a rule of `plan` (the one that this platform was built from) would. What cannot be done now
    /// (an empty slot unplugged, a full one filled) is left undone.
    pub fn perform(&mut self, plan: &Plan, action: &Action, host: &mut dyn Host) {
        if let Some(act) = resolve(plan, action) {
            self.core.act(act, host);
        }
    }

    /// Adds a rule to those of `plan`. Occurrences (`#N`) are counted from now on, a period begins now.
    /// [`Platform::armed_kinds`] may answer differently from here on.
    ///
    /// # Errors
    /// The rule is for a plan time that is over.
    pub fn add_rule(&mut self, plan: &Plan, rule: &Rule, host: &mut dyn Host) -> Result<(), TooLate> {
        let now = host.now();
        let time = self.plan_time(now);
        if let (Trigger::At(at), Some(now)) = (&rule.trigger, time)
            && *at < now
        {
            return Err(TooLate { now });
        }
        let added = self.core.plane.add_late(plan, rule);
        // Before the plan's clock starts, a rule on time waits with the others.
        if let (Some(index), Some(plan_now)) = (added, time) {
            let due = match rule.trigger {
                Trigger::At(at) => now.saturating_add(at - plan_now),
                Trigger::Every(period) => now.saturating_add(period),
                Trigger::Nth { .. } | Trigger::Chance { .. } => u64::MAX,
            };
            self.core.timers.push(due, Due::Rule(index));
        }
        // A register whose writes are counted now has no doorbell any more.
        self.core.generation += 1;
        Ok(())
    }

    /// The devices that are in their slots or ports, a bit each: bit n = number n.
    pub fn present(&self) -> u32 {
        let cards = self.core.slots.iter().filter(|slot| slot.occupied).map(|slot| slot.number);
        let leaves = self.core.leaves.iter().filter(|leaf| leaf.present).map(|leaf| leaf.number);
        cards.chain(leaves).fold(0, |mask, number| mask | 1u32.checked_shl(number).unwrap_or(0))
    }

    /// The cards whose ejection was asked for and has not been finished, a bit each as in [`Platform::present`].
    pub fn leaving(&self) -> u32 {
        let leaving = self.core.slots.iter().filter(|slot| slot.ejecting);
        leaving.fold(0, |mask, slot| mask | 1u32.checked_shl(slot.number).unwrap_or(0))
    }
}
