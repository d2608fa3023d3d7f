//! How the small numbers of a case become times of a plan.

use super::case::MICRO;
use devices::fault::plan::{Nanos, Plan};

/// What is behind controllers has to be found by its bus: then runs, and the times of rules, are longer by this factor.
const BEHIND: u64 = 40;

/// When the rules of a case that wait for a time begin to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onset {
    /// While the guest boots: what removals and faults meet is mostly the beginning and the end of drivers.
    Boot,
    /// When everything has been found and is at work, with times that are longer than those for which drivers wait: they give up, reset, and try again.
    AtWork,
}

/// The times of one plan.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// When the first rule may act, ns.
    pub start: Nanos,
    /// What a microsecond of a case's run becomes, ns.
    pub unit: Nanos,
    /// The same for how late, or how soon again, an interrupt comes.
    pub short: Nanos,
}

impl Onset {
    /// The times of `plan`, whose devices are known.
    pub fn tempo(self, plan: &Plan) -> Tempo {
        let behind = plan.behind().next().is_some();
        let of = |start, factor, short| Tempo { start, unit: factor * MICRO, short };
        match (self, behind) {
            (Self::Boot, false) => of(0, 1, MICRO),
            (Self::Boot, true) => of(0, BEHIND, MICRO),
            // Drivers of cards give a request up after 20 to 50 ms; a bus takes some 150 ms from power to the first block.
            (Self::AtWork, false) => of(5_000 * MICRO, 30, 300 * MICRO),
            (Self::AtWork, true) => of(150_000 * MICRO, 120, 1_000 * MICRO),
        }
    }
}

impl Tempo {
    /// When a rule acts whose case says `count`, in a run of this length.
    pub fn moment(self, count: u64, run_for: Nanos) -> Nanos {
        let start = self.start.min(run_for / 2);
        start + count * self.unit % (run_for - start).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_between_the_start_and_the_end() {
        let plan = |text: &str| Plan::parse("t", text).expect("a good plan");
        let card = plan("plug edu0 edu slot=1\nrun for=20ms\n");
        let stick =
            plan("plug usb0 xhci slot=1\nplug stick0 usb-storage on=usb0 port=1 size=1M\nrun for=500ms\n");
        for (onset, plan, start) in [
            (Onset::Boot, &card, 0),
            (Onset::Boot, &stick, 0),
            (Onset::AtWork, &card, 5_000 * MICRO),
            (Onset::AtWork, &stick, 150_000 * MICRO),
        ] {
            let tempo = onset.tempo(plan);
            assert_eq!(tempo.moment(0, plan.run_for), start);
            for count in [1, 77, 4_000, u64::from(u16::MAX)] {
                assert!(
                    (start..plan.run_for).contains(&tempo.moment(count, plan.run_for)),
                    "{onset:?} {count}"
                );
            }
        }
        assert_eq!(Onset::AtWork.tempo(&stick).moment(0, 8), 4, "a plan that is shorter");
        assert_eq!(Onset::Boot.tempo(&card).moment(5, 0), 0);
    }
}
