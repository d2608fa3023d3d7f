//! Which generations are over, as far as each thread has been told. Tested alone.

use super::Generation;
use alloc::collections::VecDeque;
use mach::seam::ThreadId;

/// Threads that are remembered; of those beyond nothing is known, and nobody is accused.
const THREADS: usize = 32;

/// What threads have been told of one node.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// A thread, and the last generation of which it knows that it is over; who heard last is last.
    over: VecDeque<(ThreadId, u32)>,
}

impl Told {
    /// `thread` has been told that `generation` is over.
    pub fn over(&mut self, thread: ThreadId, generation: Generation) {
        let before = self.forget(thread);
        let last = before.filter(|&last| !is_before(last, generation.0)).unwrap_or(generation.0);
        self.keep(thread, last);
    }

    /// `thread` has been told that the bus is in `generation`: all before it are over, and it is not, whatever was said before. (The controller flushes packets
    /// at a bus reset; the bus hears of the reset itself a moment later, and until then this generation is the current one.)
    pub fn current(&mut self, thread: ThreadId, generation: Generation) {
        self.forget(thread);
        self.keep(thread, generation.0.wrapping_sub(1));
    }

    /// What was known of `thread`.
    fn forget(&mut self, thread: ThreadId) -> Option<u32> {
        let known = self.over.iter().position(|(other, _)| *other == thread)?;
        self.over.remove(known).map(|(_, last)| last)
    }

    fn keep(&mut self, thread: ThreadId, last: u32) {
        if self.over.len() == THREADS {
            self.over.pop_front();
        }
        self.over.push_back((thread, last));
    }

    /// Whether `thread` has been told that `generation` is over.
    pub fn is_over(&self, thread: ThreadId, generation: Generation) -> bool {
        self.over.iter().any(|&(other, last)| other == thread && !is_before(last, generation.0))
    }
}

/// Whether generation `first` comes before `second`; they go round.
fn is_before(first: u32, second: u32) -> bool {
    (first.wrapping_sub(second) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_what_it_was_told_and_no_other_does() {
        let mut told = Told::default();
        assert!(!told.is_over(1, Generation(4)));
        told.over(1, Generation(4));
        assert!(told.is_over(1, Generation(4)) && told.is_over(1, Generation(3)));
        assert!(!told.is_over(1, Generation(5)) && !told.is_over(2, Generation(4)));
        told.current(1, Generation(7));
        assert!(told.is_over(1, Generation(6)) && !told.is_over(1, Generation(7)));
        told.over(1, Generation(2));
        assert!(told.is_over(1, Generation(6)), "what is known stays known");
        told.over(1, Generation(7));
        told.current(1, Generation(7));
        assert!(!told.is_over(1, Generation(7)) && told.is_over(1, Generation(6)), "the bus knew better");
    }

    #[test]
    fn generations_go_round_and_threads_are_bounded() {
        let mut told = Told::default();
        told.over(1, Generation(u32::MAX));
        assert!(told.is_over(1, Generation(u32::MAX)) && !told.is_over(1, Generation(0)));
        told.current(1, Generation(0));
        assert!(!told.is_over(1, Generation(0)));
        for thread in 2..2 + THREADS as ThreadId {
            told.over(thread, Generation(1));
        }
        assert!(told.over.len() == THREADS && !told.is_over(1, Generation(0)));
    }
}
