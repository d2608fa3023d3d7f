//! Which kinds of event the host must hear of at once.

use crate::watch;
use trace::{KINDS, Kind};

/// What it must hear of whatever the plan waits for.
const ALWAYS: [Kind; 4] = [Kind::Ready, Kind::Done, Kind::Panic, Kind::HostDefect];

/// Of a kind: somebody waits for such events.
const WAITED_FOR: u8 = 1;
/// Of a kind: the watchdog looks at such events, when it looks at all.
const WATCHED: u8 = 2;

/// The kinds that somebody waits for, or looks at.
#[derive(Debug)]
pub struct Wanted {
    /// Those of the plan: 256 bits, kind number n is bit n mod 8 of byte n / 8.
    plan: [u8; 32],
    /// What there is to do about each kind, in one byte: each event is looked up here, and nearly all are of kinds about which there is nothing.
    all: [u8; KINDS],
}

impl Wanted {
    /// Those that the plan waits for, `plan`, and the one at which the machine is to halt.
    pub fn new(plan: [u8; 32], halt: Option<Kind>) -> Self {
        let mut all = std::array::from_fn(|number| plan[number / 8] >> (number % 8) & WAITED_FOR);
        for kind in ALWAYS.into_iter().chain(halt) {
            all[kind as usize] |= WAITED_FOR;
        }
        for kind in watch::KINDS {
            all[kind as usize] |= WATCHED;
        }
        Self { plan, all }
    }

    /// A byte for each kind, as the ring wants it: 1 = the guest rings the doorbell.
    pub fn doorbells(&self) -> [u8; KINDS] {
        self.all.map(|byte| byte & WAITED_FOR)
    }

    /// Whether there is anything to do about events of this kind.
    #[inline]
    pub fn concerns(&self, kind: Kind) -> bool {
        self.all[kind as usize] != 0
    }

    /// Whether somebody waits for events of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.all[kind as usize] & WAITED_FOR != 0
    }

    /// Whether the watchdog looks at events of this kind.
    pub fn is_watched(&self, kind: Kind) -> bool {
        self.all[kind as usize] & WATCHED != 0
    }

    /// Whether the plan does.
    pub fn is_of_the_plan(&self, kind: Kind) -> bool {
        self.plan[kind as usize / 8] >> (kind as usize % 8) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_the_halt_and_what_ends_a_machine_are_wanted() {
        let mut plan = [0; 32];
        plan[Kind::GateClose as usize / 8] |= 1 << (Kind::GateClose as usize % 8);
        let wanted = Wanted::new(plan, Some(Kind::WillTerminate));
        let all: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| wanted.has(*kind)).collect();
        let mut expected = [&ALWAYS[..], &[Kind::GateClose, Kind::WillTerminate]].concat();
        expected.sort_unstable();
        assert_eq!(all, expected);
        assert_eq!(wanted.doorbells().iter().filter(|byte| **byte == 1).count(), expected.len());
        assert_eq!(wanted.doorbells().iter().filter(|byte| **byte > 1).count(), 0);
        let of_the_plan: Vec<&Kind> = Kind::ALL.iter().filter(|kind| wanted.is_of_the_plan(**kind)).collect();
        assert_eq!(of_the_plan, [&Kind::GateClose]);
    }
}
