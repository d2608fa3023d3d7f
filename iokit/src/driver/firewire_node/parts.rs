//! What the driver has between `start` and `stop`: the way to the node. It keeps nothing of what clients ask for.
//!
//! ```text
//! client thread ─► gate: request in the generation that there is ─► sleep ─► answer
//!                          └ bus reset ─► the node is found again ─► reads and writes once more; a lock is the client's to look after
//! ```

use crate::driver::common::{FireWireFrame, Frame, Parts as _};
use crate::family::firewire::Ask;
use crate::family::firewire::standard::REGISTERS;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;

/// Where the node's memory begins.
const MEMORY: u64 = REGISTERS + 0x1_0000;
/// Bytes of it.
pub const MEMORY_BYTES: u64 = 4096;

/// Everything of a started driver.
pub struct Parts {
    wire: FireWireFrame,
}

impl Parts {
    /// The parts of driver `me`; nothing is asked of the node yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        Ok(Self { wire: FireWireFrame::new(me, provider)? })
    }

    /// Reads what stands at `at` of the memory. `me` is the driver. BadArgument: not all of it is memory. Offline if the node goes meanwhile;
    /// NotResponding, Timeout: it does not answer.
    pub fn read(&self, me: &ServiceRef, at: u64, into: &mut [u8]) -> IOResult {
        let mut from = address(at, into.len())?;
        self.frame().call(me, || {
            let mut rest = into;
            while !rest.is_empty() {
                // Another way after a bus reset may allow less.
                let count = rest.len().min(self.wire.device().payload());
                let (piece, behind) = rest.split_at_mut(count);
                let data = self.wire.insist(from, Ask::Read(count as u16))?;
                // The family lets no answer of another length pass.
                piece.copy_from_slice(&data);
                from += count as u64;
                rest = behind;
            }
            Ok(())
        })
    }

    /// Writes `data` at `at` of the memory. As [`Parts::read`].
    pub fn write(&self, me: &ServiceRef, at: u64, data: &[u8]) -> IOResult {
        let mut to = address(at, data.len())?;
        self.frame().call(me, || {
            let mut rest = data;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(self.wire.device().payload()));
                self.wire.insist(to, Ask::Write(piece))?;
                to += piece.len() as u64;
                rest = behind;
            }
            Ok(())
        })
    }

    /// Puts `data` at `at` of the memory if `compare` stands there; what stood there. Never asked twice: after BusReset, NotResponding and Timeout it
    /// may have been done, or not. Else as [`Parts::read`].
    pub fn swap(&self, me: &ServiceRef, at: u64, compare: u32, data: u32) -> IOResult<u32> {
        let place = address(at, 4)?;
        let old = self.frame().call(me, || self.wire.once(place, Ask::Swap { compare, data }))?;
        old.try_into().map(u32::from_be_bytes).map_err(|_| IOReturn::NotResponding)
    }
}

/// The address of so many bytes at `at` of the memory.
fn address(at: u64, bytes: usize) -> IOResult<u64> {
    let fits = at.checked_add(bytes as u64).is_some_and(|end| end <= MEMORY_BYTES);
    if bytes != 0 && fits { Ok(MEMORY + at) } else { Err(IOReturn::BadArgument) }
}

impl crate::driver::common::Parts for Parts {
    fn frame(&self) -> &Frame {
        self.wire.frame()
    }

    fn go_offline(&self) {
        self.wire.go_offline(|| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_has_an_address() {
        assert_eq!((address(0, 4096), address(4092, 4)), (Ok(0xffff_f001_0000), Ok(0xffff_f001_0ffc)));
        for (at, bytes) in [(0, 0), (0, 4097), (4093, 4), (u64::MAX, 4), (4096, 1)] {
            assert_eq!(address(at, bytes), Err(IOReturn::BadArgument), "{at} {bytes}");
        }
    }
}
