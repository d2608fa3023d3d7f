//! Configuration ROMs (IEEE 1212-2001, clause 7): what a node says of itself. Total over all quadlets: what makes no sense is left out or refused,
//! and no ROM makes more than a bounded number of anything.

use super::standard::{BUS_NAME, MAX_REC_SHIFT, ROM_QUADLETS, key};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::string::String;
use alloc::vec::Vec;

/// Units of a node that are looked at, at the most.
const UNITS_MAX: usize = 8;
/// Bytes of a text at the most.
const TEXT_MAX: usize = 64;
/// Quadlets that are read of one ROM at the most, those that are read again included.
const READS_MAX: u32 = 2048;

/// An entry of a directory: key and 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Type in bits 7:6, identifier below.
    pub key: u8,
    /// Immediate value, or offset.
    pub value: u32,
}

/// A unit directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitDirectory {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// The text about its model.
    pub model: Option<String>,
}

impl UnitDirectory {
    /// The value of the first entry with this key.
    pub fn value(&self, key: u8) -> Option<u32> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }
}

/// The bus information block (IEEE 1394-1995, 8.3.2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusInfo {
    /// EUI-64.
    pub guid: u64,
    /// Bytes of data that the node takes in one packet.
    pub payload: usize,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rom {
    /// Vendor.
    pub vendor: u32,
    /// The text about the vendor.
    pub vendor_name: Option<String>,
    /// The text about the model.
    pub model_name: Option<String>,
    /// Its units.
    pub units: Vec<UnitDirectory>,
}

/// The header of the bus information block: quadlets of the block. NotReady: the node is not done with its ROM. Unsupported: a minimal ROM, or none of
/// this bus.
fn info_length(header: u32) -> IOResult<u16> {
    match header >> 24 {
        0 => Err(IOReturn::NotReady),
        // Of a minimal ROM the header is the vendor, and nothing follows (7.2).
        length @ 4.. => Ok(length as u16),
        _ => Err(IOReturn::Unsupported),
    }
}

/// Reads the bus information block by `get`, which reads the quadlet with a number.
///
/// # Errors
/// Those of `get`; NotReady, Unsupported.
pub fn read_info(mut get: impl FnMut(u16) -> IOResult<u32>) -> IOResult<BusInfo> {
    info_length(get(0)?)?;
    if get(1)? != BUS_NAME {
        return Err(IOReturn::Unsupported);
    }
    let (options, high, low) = (get(2)?, get(3)?, get(4)?);
    let max_rec = options >> MAX_REC_SHIFT & 0xf;
    Ok(BusInfo { guid: u64::from(high) << 32 | u64::from(low), payload: (2 << max_rec).clamp(4, 2048) })
}

/// Reads the root directory, and the units, by `get`, as [`read_info`] does.
///
/// # Errors
/// The same.
pub fn read(mut get: impl FnMut(u16) -> IOResult<u32>) -> IOResult<Rom> {
    let mut left = READS_MAX;
    let mut get = move |at: u16| {
        left = left.checked_sub(1).ok_or(IOReturn::Unsupported)?;
        get(at)
    };
    let root = 1 + info_length(get(0)?)?;
    let entries = block(&mut get, root)?;
    let mut rom = Rom { vendor: 0, vendor_name: None, model_name: None, units: Vec::new() };
    let mut before = 0;
    for (place, entry) in directory(root, &entries) {
        match entry.key {
            key::VENDOR => rom.vendor = entry.value,
            key::TEXT => {
                let text = text(&mut get, place, entry)?;
                match before {
                    key::VENDOR => rom.vendor_name = text,
                    key::MODEL => rom.model_name = text,
                    _ => {}
                }
            }
            key::UNIT if rom.units.len() < UNITS_MAX => {
                let unit = unit(&mut get, place, entry)?;
                rom.units.extend(unit);
            }
            _ => {}
        }
        before = entry.key;
    }
    Ok(rom)
}

/// The quadlets of a leaf or directory whose header is at `at`.
fn block(get: &mut impl FnMut(u16) -> IOResult<u32>, at: u16) -> IOResult<Vec<u32>> {
    let length = get(at)? >> 16;
    let end = u32::from(at) + 1 + length;
    if end > u32::from(ROM_QUADLETS) {
        return Err(IOReturn::Unsupported);
    }
    (at + 1..end as u16).map(get).collect()
}

/// Entries with their places.
fn directory(at: u16, quadlets: &[u32]) -> impl Iterator<Item = (u16, Entry)> + '_ {
    let entry = |quadlet: u32| Entry { key: (quadlet >> 24) as u8, value: quadlet & 0xff_ffff };
    quadlets.iter().zip(at + 1..).map(move |(&quadlet, place)| (place, entry(quadlet)))
}

/// Where an entry at `place` points to. `None`: outside of the ROM, or at itself.
fn target(place: u16, entry: Entry) -> Option<u16> {
    let at = u32::from(place).checked_add(entry.value)?;
    (entry.value != 0 && at < u32::from(ROM_QUADLETS)).then_some(at as u16)
}

fn unit(
    get: &mut impl FnMut(u16) -> IOResult<u32>,
    place: u16,
    entry: Entry,
) -> IOResult<Option<UnitDirectory>> {
    let Some(at) = target(place, entry) else { return Ok(None) };
    let quadlets = match block(get, at) {
        Err(IOReturn::Unsupported) => return Ok(None),
        other => other?,
    };
    let mut unit = UnitDirectory::default();
    let mut before = 0;
    for (place, entry) in directory(at, &quadlets) {
        if entry.key == key::TEXT && before == key::MODEL {
            unit.model = text(get, place, entry)?;
        }
        before = entry.key;
        unit.entries.push(entry);
    }
    Ok(Some(unit))
}

/// A textual descriptor in minimal ASCII (7.5.4.1). `None`: it is something else.
fn text(get: &mut impl FnMut(u16) -> IOResult<u32>, place: u16, entry: Entry) -> IOResult<Option<String>> {
    let Some(at) = target(place, entry) else { return Ok(None) };
    let quadlets = match block(get, at) {
        Err(IOReturn::Unsupported) => return Ok(None),
        other => other?,
    };
    let Some(([0, 0], letters)) = quadlets.split_first_chunk::<2>() else { return Ok(None) };
    let bytes = letters.iter().flat_map(|quadlet| quadlet.to_be_bytes());
    let seen = bytes.take_while(|&byte| byte != 0).take(TEXT_MAX);
    Ok(Some(seen.map(|byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '?' }).collect()))
}

/// The check sum of a block (7.3): CRC-16 with x¹⁶ + x¹² + x⁵ + 1, from zero.
pub fn crc(quadlets: &[u32]) -> u16 {
    quadlets.iter().flat_map(|quadlet| quadlet.to_be_bytes()).fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    })
}

/// A ROM that says no more than who it is: bus information block with `options` and `guid`, and a root directory with `vendor` and `capabilities`.
pub fn build(options: u32, guid: u64, vendor: u32, capabilities: u32) -> Vec<u32> {
    let info = [BUS_NAME, options, (guid >> 32) as u32, guid as u32];
    let root = [
        u32::from(key::VENDOR) << 24 | vendor & 0xff_ffff,
        u32::from(key::CAPABILITIES) << 24 | capabilities & 0xff_ffff,
    ];
    let mut rom = Vec::with_capacity(8);
    rom.push(4 << 24 | 4 << 16 | u32::from(crc(&info)));
    rom.extend(info);
    rom.push((root.len() as u32) << 16 | u32::from(crc(&root)));
    rom.extend(root);
    rom
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn reader(rom: &[u32]) -> impl FnMut(u16) -> IOResult<u32> + '_ {
        |at| rom.get(usize::from(at)).copied().ok_or(IOReturn::NotFound)
    }

    #[test]
    fn what_is_built_can_be_read() {
        let rom = build(0xa << MAX_REC_SHIFT, 0x0011_2233_4455_6677, 0x02_5747, 0x83c0);
        let info = read_info(reader(&rom)).expect("a block");
        assert_eq!(info, BusInfo { guid: 0x0011_2233_4455_6677, payload: 2048 });
        let read = read(reader(&rom)).expect("a directory");
        assert_eq!((read.vendor, read.units.len()), (0x02_5747, 0));
    }

    /// Vendor with text, a unit with specifier, version, model and text.
    fn with_unit() -> Vec<u32> {
        let mut rom = build(0, 1, 2, 0)[..5].to_vec();
        rom.extend([3 << 16, 0x0300_0002, 0x8100_0002, 0xd100_0005]);
        rom.extend([3 << 16, 0, 0, u32::from_be_bytes(*b"Work")]);
        rom.extend([4 << 16, 0x1200_609e, 0x1301_0483, 0x1700_0001, 0x8100_0001]);
        rom.extend([3 << 16, 0, 0, u32::from_be_bytes(*b"D\x01k\0")]);
        rom
    }

    #[test]
    fn units_and_texts_are_found() {
        let rom = read(reader(&with_unit())).expect("a directory");
        assert_eq!((rom.vendor, rom.vendor_name.as_deref()), (2, Some("Work")));
        let unit = &rom.units[0];
        assert_eq!((unit.value(key::SPECIFIER), unit.value(key::VERSION)), (Some(0x609e), Some(0x1_0483)));
        assert_eq!((unit.value(0x54), unit.model.as_deref()), (None, Some("D?k")));
    }

    #[test]
    fn roms_that_make_no_sense_are_refused() {
        assert_eq!(read(reader(&[0; 8])), Err(IOReturn::NotReady));
        assert_eq!(read_info(reader(&[1 << 24, 0, 0, 0, 0])), Err(IOReturn::Unsupported));
        assert_eq!(read_info(reader(&[4 << 24, 7, 0, 0, 0])), Err(IOReturn::Unsupported));
        assert_eq!(read(reader(&[4 << 24, 0, 0, 0, 0, 0xffff_0000])), Err(IOReturn::Unsupported));
    }

    /// Every value of every quadlet that matters: no panic, and a bounded number of reads.
    #[test]
    fn no_rom_costs_more_than_a_bounded_number_of_reads() {
        for place in 0..with_unit().len() {
            for value in [0, u32::MAX, 0xd100_0000, 0xd100_0001, 0xd1ff_ffff, 0x8100_0001, 0x00ff_0000] {
                let mut rom = with_unit();
                rom[place] = value;
                rom.resize(usize::from(ROM_QUADLETS), value);
                let mut reads = 0;
                let _ = read(|at| {
                    reads += 1;
                    assert!(at < ROM_QUADLETS);
                    Ok(rom[usize::from(at)])
                });
                assert!(reads <= READS_MAX, "{place} {value:#x}: {reads}");
            }
        }
        let loops = vec![0xd100_0001u32; 256];
        assert!(read(|at| Ok(if at == 0 { 4 << 24 } else { loops[usize::from(at)] })).is_err());
    }
}
