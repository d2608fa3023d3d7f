//! Configuration ROMs (IEEE 1212-2001, clause 7): bus information block, directories, textual leaves, check sums.

use crate::spec::ieee1394::{BUS_NAME, key};

/// The check sum of a block (IEEE 1212-2001, 7.3): CRC-16 with x¹⁶ + x¹² + x⁵ + 1, from zero, over big-endian quadlets.
pub fn crc(quadlets: &[u32]) -> u16 {
    quadlets.iter().flat_map(|quadlet| quadlet.to_be_bytes()).fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

/// What an entry of a directory points to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// 24 bits, in place.
    Immediate(u32),
    /// A leaf: its quadlets without the header.
    Leaf(Vec<u32>),
    /// A directory.
    Directory(Directory),
}

/// A directory: entries in their order, each with its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    entries: Vec<(u8, Value)>,
}

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds 24 bits: an immediate value, or an offset in the register space in quadlets.
    #[must_use]
    pub fn value(mut self, key: u8, value: u32) -> Self {
        self.entries.push((key, Value::Immediate(value & 0xff_ffff)));
        self
    }

    /// Adds a text about the entry before: minimal ASCII (IEEE 1212-2001, 7.5.4.1).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let mut leaf = vec![0, 0];
        for four in text.as_bytes().chunks(4) {
            let mut bytes = [0; 4];
            bytes[..four.len()].copy_from_slice(four);
            leaf.push(u32::from_be_bytes(bytes));
        }
        self.entries.push((key::TEXT_LEAF, Value::Leaf(leaf)));
        self
    }

    /// Adds a directory below.
    #[must_use]
    pub fn directory(mut self, key: u8, directory: Directory) -> Self {
        self.entries.push((key, Value::Directory(directory)));
        self
    }

    /// The directory and everything below it, which follows it.
    fn quadlets(&self) -> Vec<u32> {
        let mut below = Vec::new();
        let mut entries = Vec::new();
        for (at, (key, value)) in self.entries.iter().enumerate() {
            // From the entry itself to the first quadlet of what it points to.
            let offset = (self.entries.len() - at + below.len()) as u32;
            let value = match value {
                Value::Immediate(value) => *value,
                Value::Leaf(leaf) => {
                    below.extend(block(leaf));
                    offset
                }
                Value::Directory(directory) => {
                    below.extend(directory.quadlets());
                    offset
                }
            };
            entries.push(u32::from(*key) << 24 | value);
        }
        let mut all = block(&entries);
        all.extend(below);
        all
    }
}

/// A leaf or directory with its header: length and check sum.
fn block(quadlets: &[u32]) -> Vec<u32> {
    let mut all = vec![(quadlets.len() as u32) << 16 | u32::from(crc(quadlets))];
    all.extend(quadlets);
    all
}

/// A whole ROM as bytes, most significant first: the bus information block with `options` and `guid`, and the root directory.
pub fn build(options: u32, guid: u64, root: &Directory) -> Vec<u8> {
    let info = [BUS_NAME, options, (guid >> 32) as u32, guid as u32];
    let rest = root.quadlets();
    // The check sum covers the bus information block only; who wants to know more reads the sums of the directories.
    let header = 4 << 24 | 4 << 16 | u32::from(crc(&info));
    std::iter::once(header).chain(info).chain(rest).flat_map(u32::to_be_bytes).collect()
}

/// Node capabilities of the nodes here (IEEE 1394-1995, 8.3.2.5.5.2): split timeouts, 64-bit fixed addressing, the state bits that follow.
pub const CAPABILITIES: u32 = 0x00_83c0;

/// The bus options quadlet: `flags` (the `OPTION_` bits), largest payload in bytes, speed code. The generation is that of a ROM that never
/// changes.
pub fn options(flags: u32, max_payload: u32, speed: u8) -> u32 {
    use crate::spec::ieee1394::{OPTION_GENERATION_SHIFT, OPTION_MAX_REC_SHIFT};
    // A payload of 2 to the power of max_rec + 1.
    let max_rec = max_payload.max(4).ilog2() - 1;
    flags | 100 << 16 | max_rec << OPTION_MAX_REC_SHIFT | 1 << OPTION_GENERATION_SHIFT | u32::from(speed)
}
