//! Real time: the earliest deadline within a level first (S5).

use super::Rules;
use crate::run_queue::NO_KEY;

/// A thread that wants to be done by `deadline`, in ns of machine time.
pub(super) struct RealTime {
    pub deadline: u64,
}

impl Rules for RealTime {
    fn name(&self) -> &'static str {
        "real time"
    }

    fn key(&self) -> u64 {
        // The last deadline that there is still comes before having none.
        self.deadline.min(NO_KEY - 1)
    }
}
