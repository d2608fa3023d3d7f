//! The symbol table of the image: written by the image's build script, read by the panic handler and by the host.
//!
//! Layout, little-endian: [`MAGIC`], u32 number of entries, u32 bytes of names; the entries, sorted by address, each u64
//! address, u32 size, u32 end of its name; then the names, one after another. A name begins where the one before ends.

use alloc::vec::Vec;

/// First eight bytes of a table.
pub const MAGIC: [u8; 8] = *b"WGsyms\x01\0";
/// Bytes before the first entry.
pub const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 16;

/// A function in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Address of its first byte.
    pub address: u64,
    /// Its length in bytes.
    pub size: u32,
    /// Its demangled name.
    pub name: &'a str,
}

/// Writes a table. Addresses need not be sorted.
pub fn encode(symbols: &[Symbol<'_>]) -> Vec<u8> {
    let mut sorted = symbols.to_vec();
    sorted.sort_by_key(|s| s.address);
    let names: usize = sorted.iter().map(|s| s.name.len()).sum();
    let mut out = Vec::with_capacity(HEADER_BYTES + sorted.len() * ENTRY_BYTES + names);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&(sorted.len() as u32).to_le_bytes());
    out.extend_from_slice(&(names as u32).to_le_bytes());
    let mut end = 0;
    for symbol in &sorted {
        end += symbol.name.len() as u32;
        out.extend_from_slice(&symbol.address.to_le_bytes());
        out.extend_from_slice(&symbol.size.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
    }
    for symbol in &sorted {
        out.extend_from_slice(symbol.name.as_bytes());
    }
    out
}

/// A table in memory. Reading a damaged one finds nothing, or too little; it does not panic.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    entries: &'a [u8],
    names: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// The number of bytes of the table that begins with `header`, or `None` if no table does.
    pub fn length(header: &[u8]) -> Option<usize> {
        if header.get(..8)? != MAGIC {
            return None;
        }
        let entries = u32_at(header, 8)? as usize;
        let names = u32_at(header, 12)? as usize;
        entries.checked_mul(ENTRY_BYTES)?.checked_add(names)?.checked_add(HEADER_BYTES)
    }

    /// The table in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let body = bytes.get(HEADER_BYTES..Self::length(bytes)?)?;
        let (entries, names) = body.split_at_checked(u32_at(bytes, 8)? as usize * ENTRY_BYTES)?;
        Some(Self { entries, names })
    }

    /// The number of symbols.
    pub fn len(&self) -> usize {
        self.entries.len() / ENTRY_BYTES
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The symbol with this index, in order of addresses.
    pub fn get(&self, index: usize) -> Option<Symbol<'a>> {
        let entry = self.entries.get(index.checked_mul(ENTRY_BYTES)?..)?.get(..ENTRY_BYTES)?;
        let begin = match index.checked_sub(1) {
            Some(before) => u32_at(self.entries, before * ENTRY_BYTES + 12)? as usize,
            None => 0,
        };
        let name = self.names.get(begin..u32_at(entry, 12)? as usize)?;
        let address = u64::from(u32_at(entry, 0)?) | u64::from(u32_at(entry, 4)?) << 32;
        Some(Symbol { address, size: u32_at(entry, 8)?, name: core::str::from_utf8(name).ok()? })
    }

    /// The function that contains `address`, and the distance from its beginning.
    pub fn find(&self, address: u64) -> Option<(&'a str, u64)> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle)?.address <= address { low = middle + 1 } else { high = middle }
        }
        let symbol = self.get(low.checked_sub(1)?)?;
        let offset = address - symbol.address;
        (offset < u64::from(symbol.size.max(1))).then_some((symbol.name, offset))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        encode(&[
            Symbol { address: 0x20_0100, size: 0x40, name: "b::second" },
            Symbol { address: 0x20_0000, size: 0x100, name: "a::first" },
            Symbol { address: 0x20_0200, size: 0, name: "asm_label" },
        ])
    }

    #[test]
    fn an_address_finds_its_function() {
        let bytes = sample();
        let table = Symbols::new(&bytes).unwrap();
        assert_eq!(table.len(), 3);
        assert_eq!(table.find(0x20_0000), Some(("a::first", 0)));
        assert_eq!(table.find(0x20_00ff), Some(("a::first", 0xff)));
        assert_eq!(table.find(0x20_0101), Some(("b::second", 1)));
        assert_eq!(table.find(0x20_0140), None, "between two functions");
        assert_eq!(table.find(0x1f_ffff), None);
        assert_eq!(table.find(0x20_0200), Some(("asm_label", 0)));
        assert_eq!(Symbols::length(&bytes), Some(bytes.len()));
    }

    #[test]
    fn a_damaged_table_does_not_panic() {
        let good = sample();
        for cut in 0..good.len() {
            assert!(Symbols::new(&good[..cut]).is_none());
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            if let Some(table) = Symbols::new(&bad) {
                let _ = table.find(0x20_0101);
            }
        }
    }
}
