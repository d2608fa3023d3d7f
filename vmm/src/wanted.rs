//! Which kinds of event the host must hear of at once.

use trace::{KINDS, Kind};

/// What it must hear of whatever the plan waits for.
const ALWAYS: [Kind; 4] = [Kind::Ready, Kind::Done, Kind::Panic, Kind::HostDefect];

/// The kinds that somebody waits for.
#[derive(Debug)]
pub struct Wanted {
    /// Those of the plan: 256 bits, kind number n is bit n mod 8 of byte n / 8.
    plan: [u8; 32],
    /// All of them, a byte for each kind: each event is looked up here.
    all: [u8; KINDS],
}

impl Wanted {
    /// Those that the plan waits for, `plan`, and the one at which the machine is to halt.
    pub fn new(plan: [u8; 32], halt: Option<Kind>) -> Self {
        let mut all = std::array::from_fn(|number| plan[number / 8] >> (number % 8) & 1);
        for kind in ALWAYS.into_iter().chain(halt) {
            all[kind as usize] = 1;
        }
        Self { plan, all }
    }

    /// A byte for each kind, as the ring wants it: 1 = the guest rings the doorbell.
    pub fn all(&self) -> &[u8; KINDS] {
        &self.all
    }

    /// Whether somebody waits for events of this kind.
    #[inline]
    pub fn has(&self, kind: Kind) -> bool {
        self.all[kind as usize] != 0
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
        assert_eq!(wanted.all().iter().filter(|byte| **byte != 0).count(), expected.len());
        let of_the_plan: Vec<&Kind> = Kind::ALL.iter().filter(|kind| wanted.is_of_the_plan(**kind)).collect();
        assert_eq!(of_the_plan, [&Kind::GateClose]);
    }
}
