//! Configuration space: bytes, what software may write in them, and what it clears by writing one.

use crate::spec::pci as spec;

/// Bytes of conventional configuration space. Above it, up to 4096, PCIe functions of this bench have no extended capability: zeroes.
pub const CONFIG_BYTES: usize = 256;

/// Where the first capability goes.
const FIRST_CAPABILITY: usize = 0x40;

/// The configuration space of one function (PCI 3.0, 6.1), without side effects: these belong to the owner, which looks at
/// what changed after a write.
#[derive(Clone)]
pub struct ConfigSpace {
    bytes: [u8; CONFIG_BYTES],
    writable: [u8; CONFIG_BYTES],
    write_one_to_clear: [u8; CONFIG_BYTES],
    link: usize,
    free: usize,
}

impl ConfigSpace {
    /// Empty space: everything reads zero and nothing can be written.
    pub fn new() -> Self {
        Self {
            bytes: [0; CONFIG_BYTES],
            writable: [0; CONFIG_BYTES],
            write_one_to_clear: [0; CONFIG_BYTES],
            link: spec::CAPABILITIES,
            free: FIRST_CAPABILITY,
        }
    }

    /// Software reads at `offset` (0–4095); what is outside of the space reads as zero.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        for (at, byte) in (offset..).zip(into) {
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Software writes at `offset`: writable bits take the value, bits of the write-one-to-clear kind clear.
    pub fn write(&mut self, offset: usize, from: &[u8]) {
        for (at, &value) in (offset..CONFIG_BYTES).zip(from) {
            let mask = self.writable[at];
            let clear = self.write_one_to_clear[at] & value;
            self.bytes[at] = (self.bytes[at] & !mask & !clear) | (value & mask);
        }
    }

    /// The 16 bits at `offset`.
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array(offset))
    }

    /// The 32 bits at `offset`.
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    /// The byte at `offset`.
    pub fn u8(&self, offset: usize) -> u8 {
        self.array::<1>(offset)[0]
    }

    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes);
        bytes
    }

    /// Takes over the bytes of `pristine`, which has the same layout.
    pub fn restore(&mut self, pristine: &ConfigSpace) {
        self.bytes = pristine.bytes;
    }

    /// The hardware sets bytes, whatever software may do to them.
    pub fn set(&mut self, offset: usize, value: &[u8]) {
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
    }

    /// The hardware sets and clears bits of a 16-bit register.
    pub fn change(&mut self, offset: usize, clear: u16, set: u16) {
        let value = (self.u16(offset) & !clear) | set;
        self.set(offset, &value.to_le_bytes());
    }

    /// Declares the bits that software may write.
    pub fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Declares the bits that software clears by writing one.
    pub fn allow_clear(&mut self, offset: usize, mask: &[u8]) {
        self.write_one_to_clear[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Chains a capability (PCI 3.0, 6.7) with `body` behind its two header bytes and tells its offset; `None` if there is no room.
    pub fn add_capability(&mut self, id: u8, body: &[u8]) -> Option<usize> {
        let at = self.free;
        let end = (at + 2 + body.len()).next_multiple_of(4);
        if end > CONFIG_BYTES {
            return None;
        }
        self.free = end;
        self.bytes[self.link] = at as u8;
        self.link = at + 1;
        self.set(at, &[id, 0]);
        self.set(at + 2, body);
        self.change(spec::STATUS, 0, spec::STATUS_CAPABILITIES);
        Some(at)
    }

    /// Fills the registers that both header types have.
    pub fn identify(&mut self, vendor: u16, device: u16, class: [u8; 3], revision: u8) {
        self.set(spec::VENDOR_ID, &vendor.to_le_bytes());
        self.set(spec::DEVICE_ID, &device.to_le_bytes());
        self.set(spec::REVISION, &[revision, class[2], class[1], class[0]]);
        let command = spec::COMMAND_MEMORY
            | spec::COMMAND_MASTER
            | spec::COMMAND_PARITY
            | spec::COMMAND_SERR
            | spec::COMMAND_INTX_DISABLE;
        self.allow(spec::COMMAND, &command.to_le_bytes());
        self.allow_clear(spec::STATUS, &spec::STATUS_W1C.to_le_bytes());
        self.allow(spec::CACHE_LINE, &[0xff]);
        self.allow(spec::INTERRUPT_LINE, &[0xff]);
    }

    /// True if every bit of `bits` is set in the command register.
    pub fn commanded(&self, bits: u16) -> bool {
        self.u16(spec::COMMAND) & bits == bits
    }
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self::new()
    }
}

/// True if the access at `offset` of `length` bytes touches any of the `bytes` bytes of the register at `register`.
pub fn touches(offset: usize, length: usize, register: usize, bytes: usize) -> bool {
    offset < register + bytes && register < offset + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_the_clear_kind_clear_and_others_keep() {
        let mut space = ConfigSpace::new();
        space.set(0x50, &[0xff, 0xff]);
        space.allow(0x50, &[0x0f]);
        space.allow_clear(0x51, &[0x01]);
        space.write(0x50, &[0x00, 0x03]);
        assert_eq!(space.u16(0x50), 0xfef0);
    }

    #[test]
    fn capabilities_chain_in_order() {
        let mut space = ConfigSpace::new();
        let first = space.add_capability(5, &[0; 12]).unwrap();
        let second = space.add_capability(0x11, &[0; 10]).unwrap();
        assert_eq!(space.u8(spec::CAPABILITIES) as usize, first);
        assert_eq!(space.u8(first + 1) as usize, second);
        assert_eq!(space.u8(second + 1), 0);
        assert_eq!(space.add_capability(9, &[0; 250]), None);
    }

    #[test]
    fn accesses_beyond_the_end_are_harmless() {
        let mut space = ConfigSpace::new();
        let mut bytes = [0xaa; 8];
        space.read(0xffc, &mut bytes);
        assert_eq!(bytes, [0; 8]);
        space.write(0xfc, &[0xff; 8]);
        space.write(0xffc, &[0xff; 4]);
    }
}
