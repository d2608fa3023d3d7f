//! The reader's side of a data queue in memory that a driver shares (IODataQueue's pattern, `abi::io::queue`).

use crate::memory::Memory;
use crate::os::{Error, Result};
use abi::io::queue::{HEAD, RING, TAIL, WORDS};

/// Bytes of a word of the ring.
const WORD: u64 = 8;

/// A queue that this task reads.
pub struct DataQueue<'a> {
    memory: Memory<'a>,
    /// Words of the ring.
    words: u64,
}

impl<'a> DataQueue<'a> {
    /// The queue in `memory`.
    ///
    /// # Errors
    /// [`Error::Protocol`] if there is none that fits.
    pub fn new(memory: Memory<'a>) -> Result<Self> {
        let words = memory.long(WORDS * WORD)?;
        let fits = words.checked_add(RING).and_then(|all| all.checked_mul(WORD));
        match fits {
            Some(bytes) if bytes <= memory.bytes() && words > 1 => Ok(Self { memory, words }),
            _ => Err(Error::Protocol),
        }
    }

    /// Takes the next entry out: its length, or `None` if there is none. One that `into` has no room for is an error, and stays.
    ///
    /// # Errors
    /// [`Error::Protocol`] if what is there is no entry.
    pub fn take(&self, into: &mut [u8]) -> Result<Option<usize>> {
        let (head, tail) = (self.memory.long(HEAD * WORD)?, self.memory.long(TAIL * WORD)?);
        let ready = tail.wrapping_sub(head);
        if ready == 0 {
            return Ok(None);
        }
        let bytes = self.word(head)?;
        let words = bytes.div_ceil(WORD);
        let length = usize::try_from(bytes).map_err(|_| Error::Protocol)?;
        let entry = into.get_mut(..length).ok_or(Error::Protocol)?;
        if ready > self.words || words >= ready {
            return Err(Error::Protocol);
        }
        for (n, place) in entry.chunks_mut(WORD as usize).enumerate() {
            let word = self.word(head.wrapping_add(1 + n as u64))?.to_le_bytes();
            place.copy_from_slice(&word[..place.len()]);
        }
        // After everything was read: the room is the writer's again.
        self.memory.set_long(HEAD * WORD, head.wrapping_add(1 + words))?;
        Ok(Some(length))
    }

    fn word(&self, number: u64) -> Result<u64> {
        self.memory.long((RING + number % self.words) * WORD)
    }
}
