//! The four registers that nodes share a bus with: bus manager, bandwidth, channels (IEEE 1394-1995, 8.3.2.3.6 to 8.3.2.3.8).

use crate::spec::ieee1394::{BANDWIDTH_INITIAL, NO_BUS_MANAGER, csr, lock};

/// The registers of the isochronous resource manager. They change by compare and swap only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    values: [u32; 4],
}

impl Default for Resources {
    fn default() -> Self {
        Self { values: [NO_BUS_MANAGER, BANDWIDTH_INITIAL, u32::MAX, u32::MAX] }
    }
}

/// Bits that each register has.
const MASKS: [u32; 4] = [0x3f, 0x1fff, u32::MAX, u32::MAX];

impl Resources {
    /// After a bus reset, with the values that are set for bandwidth and channels.
    pub fn initial(bandwidth: u32, channels: [u32; 2]) -> Self {
        Self { values: [NO_BUS_MANAGER, bandwidth & MASKS[1], channels[0], channels[1]] }
    }

    /// Which register is at `offset` of the register space.
    pub fn select(offset: u64) -> Option<usize> {
        let at = offset.checked_sub(csr::BUS_MANAGER_ID)?;
        (at.is_multiple_of(4) && at < 16).then_some((at / 4) as usize)
    }

    /// The value of register `register` (0–3).
    pub fn value(&self, register: usize) -> u32 {
        self.values[register & 3]
    }

    /// Sets register `register` to `data` if it is `compare`; the old value.
    pub fn swap(&mut self, register: usize, compare: u32, data: u32) -> u32 {
        let value = &mut self.values[register & 3];
        let old = *value;
        if old == compare {
            *value = data & MASKS[register & 3];
        }
        old
    }
}

/// What a lock makes of `old` (IEEE 1394-1995, table 6-9); `None`: no such lock.
pub fn lock(extended: u16, old: u32, arg: u32, data: u32) -> Option<u32> {
    Some(match extended {
        lock::MASK_SWAP => old & !arg | data & arg,
        lock::COMPARE_SWAP => {
            if old == arg {
                data
            } else {
                old
            }
        }
        lock::FETCH_ADD => old.wrapping_add(data),
        lock::LITTLE_ADD => old.swap_bytes().wrapping_add(data.swap_bytes()).swap_bytes(),
        lock::BOUNDED_ADD => {
            if old == arg {
                old
            } else {
                old.wrapping_add(data)
            }
        }
        lock::WRAP_ADD => {
            if old == arg {
                data
            } else {
                old.wrapping_add(data)
            }
        }
        _ => return None,
    })
}
