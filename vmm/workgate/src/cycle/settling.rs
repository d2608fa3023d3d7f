//! When what a pass has left behind may be counted: threads that are about to end still let go of what they hold.

use super::follow::{Figures, Follow};
use super::sample::Sample;

/// Censuses behind one pass at the most: threads that are about to end have so long to let go of what they hold.
const CENSUSES: u32 = 24;
/// Censuses in a row that say the same: who has not let go by then does not.
const STEADY: u32 = 8;

/// Compares the censuses behind a pass.
#[derive(Debug, Default)]
pub struct Settling {
    /// What was left behind the pass before, and what was open.
    before: Option<(Figures, u64)>,
    /// The last census of this pass, and how many in a row were like it.
    seen: Figures,
    steady: u32,
}

impl Settling {
    /// Whether census number `nth` of this pass, which is the last that `follow` has, is to be the last: everything is as it was behind the pass before, or does not
    /// change any more, or had long enough.
    pub fn is_over(&mut self, follow: &Follow, nth: u32) -> bool {
        let as_before =
            |(figures, open): &(Figures, u64)| (figures, *open) == (&follow.figures, follow.open());
        if self.before.as_ref().is_some_and(as_before) {
            return true;
        }
        let same = self.seen == follow.figures;
        self.steady = if same { self.steady + 1 } else { 1 };
        if !same {
            self.seen = follow.figures.clone();
        }
        self.steady >= STEADY || nth >= CENSUSES
    }

    /// The pass is over, and left `sample` behind.
    pub fn next_pass(&mut self, sample: &Sample) {
        self.steady = 0;
        self.before = Some((sample.figures.clone(), sample.open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::follow::Taken;
    use trace::{Event, Kind};

    /// A census that counts `n` threads.
    fn census(follow: &mut Follow, n: u64) {
        follow.event(&Event::new(Kind::Census).other(trace::Counted::Objects as u32).arg(n).text("Thread"));
        follow.event(&Event::new(Kind::CensusEnd));
    }

    /// How many censuses it takes, if they count what `threads` says.
    fn censuses(settling: &mut Settling, follow: &mut Follow, threads: impl Fn(u32) -> u64) -> u32 {
        let is_over = |nth: &u32| {
            census(follow, threads(*nth));
            settling.is_over(follow, *nth)
        };
        let over = (1..=100).find(is_over).expect("it is over");
        let figures = follow.figures.clone();
        let requests = Taken::default();
        settling.next_pass(&Sample { pass: 1, at: 0, up: 0, down: 0, requests, open: 0, figures });
        over
    }

    #[test]
    fn it_is_over_when_nothing_changes_or_all_is_as_before_or_it_takes_too_long() {
        let (mut settling, mut follow) = (Settling::default(), Follow::new(&[1]));
        assert_eq!(censuses(&mut settling, &mut follow, |nth| u64::from(4u32.saturating_sub(nth))), 11);
        assert_eq!(censuses(&mut settling, &mut follow, |nth| u64::from(4u32.saturating_sub(nth))), 4);
        assert_eq!(censuses(&mut settling, &mut follow, |nth| 10 + u64::from(nth)), CENSUSES);
    }
}
