//! Which disks are good, and what becomes of a request when one fails. No services; tested alone.

use crate::ioreturn::{IOResult, IOReturn};

/// Disks of a mirror.
pub const DISKS: usize = 2;

/// The disks' state. Short to look at and to change, and never held while a disk works.
#[derive(Debug)]
pub struct Mirror {
    good: [bool; DISKS],
    turn: usize,
}

impl Mirror {
    /// Both are good.
    pub const fn new() -> Self {
        Self { good: [true; DISKS], turn: 0 }
    }

    /// The good disks, in the order in which to try to read from them; they take turns in being first.
    pub fn readers(&mut self) -> [Option<usize>; DISKS] {
        let first = self.turn;
        self.turn = (first + 1) % DISKS;
        core::array::from_fn(|n| Some((first + n) % DISKS).filter(|&disk| self.good[disk]))
    }

    /// The disks to write to.
    pub fn writers(&self) -> [bool; DISKS] {
        self.good
    }

    /// This disk is out: it failed, or it goes. True: it was good until now.
    pub fn fail(&mut self, disk: usize) -> bool {
        core::mem::replace(&mut self.good[disk], false)
    }
}

/// What a write has become, given what each disk that was asked said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on a disk; these others must not be read any more.
    Kept([bool; DISKS]),
    /// No disk has it.
    Failed(IOReturn),
}

/// Judges a write. `None`: the disk was not asked. If all say no, no disk is better than the other, and none is out for it.
pub fn judge(answers: [Option<IOResult>; DISKS]) -> Written {
    let kept = answers.iter().flatten().any(Result::is_ok);
    if kept {
        return Written::Kept(answers.map(|answer| matches!(answer, Some(Err(_)))));
    }
    // A disk that says what is wrong says more than one that is gone.
    let errors = answers.into_iter().flatten().filter_map(Result::err);
    let why = errors.reduce(|a, b| if a == IOReturn::Offline { b } else { a });
    Written::Failed(why.unwrap_or(IOReturn::Offline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_disks_take_turns() {
        let mut mirror = Mirror::new();
        assert_eq!(mirror.readers(), [Some(0), Some(1)]);
        assert_eq!(mirror.readers(), [Some(1), Some(0)]);
        assert!(mirror.fail(0) && !mirror.fail(0));
        assert_eq!(mirror.readers(), [None, Some(1)]);
        assert_eq!(mirror.readers(), [Some(1), None]);
        assert_eq!(mirror.writers(), [false, true]);
        mirror.fail(1);
        assert_eq!(mirror.readers(), [None, None]);
    }

    #[test]
    fn one_disk_is_enough_and_the_other_is_out() {
        let offline = Some(Err(IOReturn::Offline));
        assert_eq!(judge([Some(Ok(())), Some(Ok(()))]), Written::Kept([false, false]));
        assert_eq!(judge([offline, Some(Ok(()))]), Written::Kept([true, false]));
        assert_eq!(judge([Some(Ok(())), None]), Written::Kept([false, false]));
        assert_eq!(judge([offline, None]), Written::Failed(IOReturn::Offline));
        assert_eq!(judge([offline, Some(Err(IOReturn::Timeout))]), Written::Failed(IOReturn::Timeout));
        assert_eq!(judge([None, None]), Written::Failed(IOReturn::Offline));
    }
}
