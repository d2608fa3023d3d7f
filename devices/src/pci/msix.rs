//! MSI-X (PCI 3.0, 6.8.2): table and pending bits in a BAR of the function's own.

use super::ConfigSpace;
use crate::spec::pci as spec;

/// Smallest distance from the table to the pending bit array.
const PENDING_OFFSET: usize = 0x800;

/// The MSI-X capability of a function.
#[derive(Clone)]
pub struct Msix {
    at: usize,
    bar: u8,
    vectors: u16,
    pending_offset: usize,
    table: Vec<u8>,
    pending: Vec<u64>,
}

impl Msix {
    /// Adds the capability for `vectors` vectors (1–2048) with table and pending bits in BAR `bar`; `None` if there is no room.
    pub fn add(config: &mut ConfigSpace, bar: u8, vectors: u16) -> Option<Self> {
        let vectors = vectors.clamp(1, spec::MSIX_MAX_VECTORS);
        let table_bytes = usize::from(vectors) * spec::MSIX_ENTRY_BYTES;
        let pending_offset = table_bytes.next_power_of_two().max(PENDING_OFFSET);
        let mut body = [0; 10];
        body[..2].copy_from_slice(&(vectors - 1).to_le_bytes());
        body[2..6].copy_from_slice(&u32::from(bar).to_le_bytes());
        body[6..].copy_from_slice(&(pending_offset as u32 | u32::from(bar)).to_le_bytes());
        let at = config.add_capability(spec::CAP_MSIX, &body)?;
        let writable = spec::MSIX_ENABLE | spec::MSIX_FUNCTION_MASK;
        config.allow(at + spec::MSIX_CONTROL, &writable.to_le_bytes());
        let mut msix = Self {
            at,
            bar,
            vectors,
            pending_offset,
            table: vec![0; table_bytes],
            pending: vec![0; usize::from(vectors).div_ceil(64)],
        };
        msix.reset();
        Some(msix)
    }

    /// The BAR that holds table and pending bits.
    pub fn bar(&self) -> u8 {
        self.bar
    }

    /// Bytes of that BAR, a power of two.
    pub fn bar_bytes(&self) -> u64 {
        self.pending_offset as u64 * 2
    }

    /// Number of vectors.
    pub fn vectors(&self) -> u16 {
        self.vectors
    }

    /// Power-on state: every vector masked, nothing pending.
    pub fn reset(&mut self) {
        self.table.fill(0);
        for entry in self.table.chunks_exact_mut(spec::MSIX_ENTRY_BYTES) {
            entry[12] = spec::MSIX_VECTOR_MASKED as u8;
        }
        self.pending.fill(0);
    }

    /// True if software enabled MSI-X.
    pub fn enabled(&self, config: &ConfigSpace) -> bool {
        config.u16(self.at + spec::MSIX_CONTROL) & spec::MSIX_ENABLE != 0
    }

    /// Software reads the BAR.
    pub fn read(&self, offset: u64, into: &mut [u8]) {
        for (at, byte) in (offset as usize..).zip(into) {
            *byte = if let Some(&byte) = self.table.get(at) {
                byte
            } else {
                let bit = at.wrapping_sub(self.pending_offset);
                self.pending.get(bit / 8).map_or(0, |word| word.to_le_bytes()[bit % 8])
            };
        }
    }

    /// Software writes the BAR: whole, aligned words of the table only; the pending bits are read-only (6.8.2.5).
    pub fn write(&mut self, offset: u64, from: &[u8]) {
        if !matches!(from.len(), 4 | 8) || !offset.is_multiple_of(from.len() as u64) {
            return;
        }
        let start = offset as usize;
        let Some(bytes) = self.table.get_mut(start..start + from.len()) else { return };
        bytes.copy_from_slice(from);
        // Vector control keeps the mask bit and nothing else (6.8.2.9).
        let entry = start / spec::MSIX_ENTRY_BYTES * spec::MSIX_ENTRY_BYTES;
        self.table[entry + 12] &= spec::MSIX_VECTOR_MASKED as u8;
        self.table[entry + 13..entry + 16].fill(0);
    }

    /// The function wants to send `vector`: the message to send now, or `None` if it stays pending or there is no such vector.
    pub fn raise(&mut self, vector: u16, config: &ConfigSpace) -> Option<(u64, u32)> {
        if vector >= self.vectors {
            return None;
        }
        if self.masked(vector, config) {
            self.pending[usize::from(vector) / 64] |= 1 << (vector % 64);
            return None;
        }
        Some(self.message(vector))
    }

    /// A pending message whose mask is gone: takes it out of the pending bits (6.8.2.10).
    pub fn take_unmasked(&mut self, config: &ConfigSpace) -> Option<(u64, u32)> {
        if !self.enabled(config) {
            return None;
        }
        for index in 0..self.pending.len() {
            let mut word = self.pending[index];
            while word != 0 {
                let bit = word.trailing_zeros() as u16;
                word &= word - 1;
                let vector = index as u16 * 64 + bit;
                if !self.masked(vector, config) {
                    self.pending[index] &= !(1 << bit);
                    return Some(self.message(vector));
                }
            }
        }
        None
    }

    fn masked(&self, vector: u16, config: &ConfigSpace) -> bool {
        let control = config.u16(self.at + spec::MSIX_CONTROL);
        let entry = usize::from(vector) * spec::MSIX_ENTRY_BYTES;
        control & spec::MSIX_FUNCTION_MASK != 0
            || u32::from(self.table[entry + 12]) & spec::MSIX_VECTOR_MASKED != 0
    }

    fn message(&self, vector: u16) -> (u64, u32) {
        let entry = usize::from(vector) * spec::MSIX_ENTRY_BYTES;
        let word = |at: usize| {
            let bytes = &self.table[entry + at..entry + at + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        (u64::from(word(4)) << 32 | u64::from(word(0) & !3), word(8))
    }
}
