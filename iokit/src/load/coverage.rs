//! Which places of a stream have been seen, by several threads in any order: nothing twice, nothing left out. Tested alone.

use alloc::collections::BTreeMap;

/// What is wrong with what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// A place was seen before.
    Twice,
    /// Places were left out that nobody can still be bringing.
    LeftOut,
}

/// Runs of places that were seen: first, and one past the last.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<u32, u32>);

impl Coverage {
    /// The places from `first` up to `end` were seen. `threads` bring them, each one batch at a time: so there are never more runs than threads.
    pub(super) fn see(&mut self, first: u32, end: u32, threads: usize) -> Result<(), Hole> {
        let (mut first, mut end) = (first, end);
        if let Some((&before, &until)) = self.0.range(..=first).next_back() {
            if until > first {
                return Err(Hole::Twice);
            }
            if until == first {
                self.0.remove(&before);
                first = before;
            }
        }
        if let Some((&after, &until)) = self.0.range(first..).next() {
            if after < end {
                return Err(Hole::Twice);
            }
            if after == end {
                self.0.remove(&after);
                end = until;
            }
        }
        self.0.insert(first, end);
        if self.0.len() > threads { Err(Hole::LeftOut) } else { Ok(()) }
    }

    /// All threads are through: it must be one run, or none.
    pub(super) fn close(&self) -> Result<(), Hole> {
        if self.0.len() > 1 { Err(Hole::LeftOut) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_together() {
        let mut seen = Coverage::default();
        assert_eq!(seen.see(10, 20, 3), Ok(()));
        assert_eq!(seen.see(30, 40, 3), Ok(()));
        assert_eq!(seen.close(), Err(Hole::LeftOut));
        assert_eq!(seen.see(20, 30, 3), Ok(()));
        assert_eq!(seen.see(5, 10, 3), Ok(()));
        assert_eq!((seen.close(), seen.0.len()), (Ok(()), 1));
        assert_eq!(seen.0.get(&5), Some(&40));
    }

    #[test]
    fn twice_is_found_wherever_it_is() {
        for (first, end) in [(10, 20), (5, 11), (19, 25), (12, 13), (5, 30)] {
            let mut seen = Coverage::default();
            assert_eq!(seen.see(10, 20, 9), Ok(()));
            assert_eq!(seen.see(first, end, 9), Err(Hole::Twice), "{first}..{end}");
        }
    }

    #[test]
    fn more_runs_than_threads_is_a_hole() {
        let mut seen = Coverage::default();
        assert_eq!(seen.see(0, 1, 2), Ok(()));
        assert_eq!(seen.see(2, 3, 2), Ok(()));
        assert_eq!(seen.see(4, 5, 2), Err(Hole::LeftOut));
        assert_eq!(Coverage::default().close(), Ok(()));
    }
}
