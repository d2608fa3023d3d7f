//! Whether this host kept up with its machine.
//!
//! Machine time passes while the host does something else, so what takes long in a trace may be the host's doing. It is told in the trace where the host itself was late:
//! a time that a device asked for, or a turn of the event loop. Who judges how long the guest took begins anew there.

use crate::machine::Machine;
use std::sync::atomic::{AtomicU64, Ordering};
use trace::{Event, Kind};

/// Machine time, ns, by which a host may be late without a word: a twentieth of what the verdict finds long.
const LATE: u64 = 50_000_000;

/// When the host was late last.
#[derive(Debug, Default)]
pub struct Punctual {
    told: AtomicU64,
}

impl Punctual {
    /// What was due at `due` is done at `now`: by how much that is late, if it is worth a word. Once in a while is enough.
    fn late(&self, due: u64, now: u64) -> Option<u64> {
        let late = now.saturating_sub(due);
        let told = self.told.load(Ordering::Relaxed);
        let worth = late > LATE && (told == 0 || now.saturating_sub(told) > LATE);
        if worth {
            self.told.store(now.max(1), Ordering::Relaxed);
        }
        worth.then_some(late)
    }
}

impl Machine {
    /// What was due at machine time `due` is done now.
    pub fn done_at(&self, due: u64) {
        let now = self.clock.now();
        if let Some(late) = self.punctual.late(due, now) {
            self.record(&[Event { time: now, ..Event::new(Kind::HostLate).arg(late) }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_late_says_so_once_in_a_while() {
        let punctual = Punctual::default();
        assert_eq!(punctual.late(100, 100 + LATE), None);
        assert_eq!(punctual.late(100, 101 + LATE), Some(LATE + 1));
        // A storm is always late: each of its pulses is no news.
        assert_eq!(punctual.late(100, 102 + LATE), None);
        assert_eq!(punctual.late(100, 102 + 2 * LATE), Some(2 * LATE + 2));
        assert_eq!(punctual.late(u64::MAX, 7), None);
    }
}
