//! Whether all rights of a message can be taken, looked at before any is: a message that cannot be sent changes nothing.

use super::entry::Entry;
use super::table::{Ipc, SpaceId};
use abi::message::DESCRIPTORS_MAX;
use abi::{Disposition, KernReturn};

/// Names that one message can have: where it goes, where to reply, and one a descriptor.
const NAMES_MAX: usize = DESCRIPTORS_MAX + 2;

/// What matters of an entry to who wants a right of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing any more.
    Nothing,
    Port {
        receive: bool,
        send: u32,
    },
    SendOnce,
    Set,
    Dead {
        references: u32,
    },
}

impl Meaning {
    pub(super) fn of(entry: &Entry) -> Self {
        match *entry {
            Entry::Port { receive, send, .. } => Self::Port { receive, send },
            Entry::SendOnce { .. } => Self::SendOnce,
            Entry::Set { .. } => Self::Set,
            Entry::Dead { references } => Self::Dead { references },
        }
    }

    /// What is left when a right was taken in this way.
    ///
    /// # Errors
    /// InvalidName: there is nothing. InvalidRight: there is another kind of right.
    pub(super) fn without(self, disposition: Disposition) -> Result<Self, KernReturn> {
        use Disposition::{CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
        let left = match (self, disposition) {
            (Self::Nothing, _) => return Err(KernReturn::InvalidName),
            (Self::Port { receive: true, .. }, MakeSend | MakeSendOnce) => self,
            (Self::Port { send: 1.., .. } | Self::Dead { .. }, CopySend) => self,
            (Self::Port { receive, send: send @ 1.. }, MoveSend) => Self::Port { receive, send: send - 1 },
            (Self::Port { receive: true, send }, MoveReceive) => Self::Port { receive: false, send },
            (Self::SendOnce, MoveSendOnce) => Self::Nothing,
            (Self::Dead { references }, MoveSend | MoveSendOnce) => {
                Self::Dead { references: references.saturating_sub(1) }
            }
            _ => return Err(KernReturn::InvalidRight),
        };
        Ok(match left {
            Self::Port { receive: false, send: 0 } | Self::Dead { references: 0 } => Self::Nothing,
            left => left,
        })
    }
}

/// Names as they will be when the rights that were asked for so far have been taken.
pub(super) struct Foresight {
    names: [(u32, Meaning); NAMES_MAX],
    count: usize,
}

impl Foresight {
    pub(super) fn new() -> Self {
        Self { names: [(abi::port::NULL, Meaning::Nothing); NAMES_MAX], count: 0 }
    }

    fn find(&self, name: u32) -> Option<usize> {
        self.names[..self.count].iter().position(|&(known, _)| known == name)
    }

    /// Whether a right could be taken of `name` after all that came before. What the name means by then.
    ///
    /// # Errors
    /// Those of [`Ipc::take_right`].
    pub(super) fn take(
        &mut self,
        ipc: &mut Ipc,
        space: SpaceId,
        name: u32,
        disposition: Disposition,
    ) -> Result<Meaning, KernReturn> {
        if name == abi::port::NULL || name == abi::port::DEAD {
            return Ok(Meaning::Nothing);
        }
        let at = match self.find(name) {
            Some(at) => at,
            None => {
                let meaning = Meaning::of(ipc.look(space, name)?);
                // One place for each time that this is called with a message's names.
                let place = self.names.get_mut(self.count).ok_or(KernReturn::SendTooLarge)?;
                *place = (name, meaning);
                self.count += 1;
                self.count - 1
            }
        };
        let before = self.names[at].1;
        self.names[at].1 = before.without(disposition)?;
        Ok(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use alloc::vec::Vec;

    const ALL: [Disposition; 6] = Disposition::ALL;

    /// The dispositions by which a right can be taken of it.
    fn possible(meaning: Meaning) -> Vec<Disposition> {
        ALL.into_iter().filter(|&how| meaning.without(how).is_ok()).collect()
    }

    #[test]
    fn each_meaning_gives_the_rights_that_it_has() {
        use Disposition::{CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
        let port = |receive, send| Meaning::Port { receive, send };
        assert_eq!(possible(port(true, 0)), [MoveReceive, MakeSend, MakeSendOnce]);
        assert_eq!(possible(port(false, 2)), [MoveSend, CopySend]);
        assert_eq!(possible(port(true, 1)), [MoveReceive, MoveSend, CopySend, MakeSend, MakeSendOnce]);
        assert_eq!(possible(Meaning::SendOnce), [MoveSendOnce]);
        assert_eq!(possible(Meaning::Dead { references: 1 }), [MoveSend, MoveSendOnce, CopySend]);
        assert_eq!(possible(Meaning::Set), []);
        assert!(ALL.iter().all(|&how| Meaning::Nothing.without(how) == Err(KernReturn::InvalidName)));
    }

    #[test]
    fn the_last_right_leaves_nothing() {
        use Disposition::{MoveReceive, MoveSend, MoveSendOnce};
        let after = |meaning: Meaning, all: &[Disposition]| {
            all.iter().try_fold(meaning, |meaning, &disposition| meaning.without(disposition))
        };
        let both = Meaning::Port { receive: true, send: 1 };
        assert_eq!(after(both, &[MoveReceive]), Ok(Meaning::Port { receive: false, send: 1 }));
        assert_eq!(after(both, &[MoveSend]), Ok(Meaning::Port { receive: true, send: 0 }));
        assert_eq!(after(both, &[MoveReceive, MoveSend]), Ok(Meaning::Nothing));
        assert_eq!(after(both, &[MoveSend, MoveSend]), Err(KernReturn::InvalidRight));
        assert_eq!(after(both, &[MoveReceive, MoveSend, MoveSend]), Err(KernReturn::InvalidName));
        assert_eq!(after(Meaning::SendOnce, &[MoveSendOnce]), Ok(Meaning::Nothing));
        let dead = Meaning::Dead { references: 2 };
        assert_eq!(after(dead, &[MoveSend, MoveSendOnce]), Ok(Meaning::Nothing));
    }
}
