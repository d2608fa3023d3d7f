//! The plan's own clock: when its run ends.

/// When the host asks the guest to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanClock {
    /// There is a plan.
    pub planned: bool,
    /// Machine time from `boot.ready` to the end, in nanoseconds; `None` = there is no plan.
    run_for: Option<u64>,
    /// Machine time that the guest has for the end, in nanoseconds.
    pub grace: u64,
    /// Machine time of the end; `u64::MAX` = not known, or passed.
    pub finish_at: u64,
}

impl PlanClock {
    /// No plan.
    pub const NONE: Self = Self { planned: false, run_for: None, grace: 0, finish_at: u64::MAX };

    /// A plan that runs for `run_for` ns and then has `grace` ns to end.
    pub fn new(run_for: u64, grace: u64) -> Self {
        Self { planned: true, run_for: Some(run_for), grace, finish_at: u64::MAX }
    }

    /// `boot.ready` came at machine time `now`. True the first time.
    pub fn ready(&mut self, now: u64) -> bool {
        let Some(run_for) = self.run_for.take() else { return false };
        self.finish_at = now.saturating_add(run_for);
        true
    }

    /// True once, when the end has come.
    pub fn finish_due(&mut self, now: u64) -> bool {
        let due = now >= self.finish_at;
        if due {
            self.finish_at = u64::MAX;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_once() {
        let mut clock = PlanClock::new(100, 5);
        assert!(!clock.finish_due(1_000));
        assert!(clock.ready(50) && !clock.ready(60));
        assert!(!clock.finish_due(149) && clock.finish_due(150) && !clock.finish_due(151));
        assert!(!PlanClock::NONE.clone().ready(0));
    }
}
