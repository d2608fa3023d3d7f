//! A plain node: a configuration ROM and some memory, to be read, written and locked. The shortest example of a device.

use super::csr;
use super::node::{Facts, Link, Node, Origin, Refusal};
use super::phy::PhyFacts;
use super::rom::{self, Directory};
use crate::spec::ieee1394::{self as spec, key};

/// Where the memory begins: in the units' space.
pub const MEMORY: u64 = spec::REGISTERS + 0x1_0000;
/// Bytes of the memory.
pub const MEMORY_BYTES: usize = 4096;
/// Specifier of the unit: the vendor ID that the project uses for itself (locally administered, so that it is nobody's).
pub const SPECIFIER: u32 = 0x02_5747;
/// Version of the unit.
pub const VERSION: u32 = 1;

/// What can be chosen about a plain node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its PHY.
    pub phy: PhyFacts,
    /// EUI-64.
    pub guid: u64,
    /// Text behind the model ID.
    pub name: String,
    /// Nanoseconds from a request to the response.
    pub latency: u64,
}

/// The node.
pub struct Plain {
    settings: Settings,
    memory: Vec<u8>,
}

impl Plain {
    /// A node at power-on.
    pub fn new(settings: Settings) -> Self {
        Self { settings, memory: vec![0; MEMORY_BYTES] }
    }

    fn range(&mut self, offset: u64, length: usize) -> Result<&mut [u8], Refusal> {
        let at =
            offset.checked_sub(MEMORY).and_then(|at| usize::try_from(at).ok()).ok_or(Refusal::Address)?;
        self.memory.get_mut(at..).and_then(|rest| rest.get_mut(..length)).ok_or(Refusal::Address)
    }
}

impl Node for Plain {
    fn facts(&self) -> Facts {
        Facts { phy: self.settings.phy, max_payload: 2048, latency: self.settings.latency }
    }

    fn rom(&self) -> Vec<u8> {
        let contender = self.settings.phy.contender;
        let options = spec::OPTION_CMC | spec::OPTION_ISC | if contender { spec::OPTION_IRMC } else { 0 };
        let unit = Directory::new().value(key::SPECIFIER, SPECIFIER).value(key::VERSION, VERSION);
        let root = Directory::new()
            .value(key::VENDOR, SPECIFIER)
            .text("Workgate")
            .value(key::CAPABILITIES, super::rom::CAPABILITIES)
            .value(key::MODEL, 1)
            .text(&self.settings.name)
            .directory(key::UNIT, unit);
        rom::build(rom::options(options, 2048, self.settings.phy.speed), self.settings.guid, &root)
    }

    fn read(&mut self, offset: u64, into: &mut [u8], _: Origin, _: &mut Link<'_>) -> Result<(), Refusal> {
        into.copy_from_slice(self.range(offset, into.len())?);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8], _: Origin, _: &mut Link<'_>) -> Result<(), Refusal> {
        self.range(offset, from.len())?.copy_from_slice(from);
        Ok(())
    }

    fn lock(
        &mut self,
        offset: u64,
        extended: u16,
        data: &[u8],
        _: Origin,
        _: &mut Link<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let (arg, data) = match *data {
            [a, b, c, d, e, f, g, h] => (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])),
            [a, b, c, d] => (0, u32::from_be_bytes([a, b, c, d])),
            _ => return Err(Refusal::Type),
        };
        let place = self.range(offset, 4)?;
        let old: [u8; 4] = place.try_into().map_err(|_| Refusal::Type)?;
        let new = csr::lock(extended, u32::from_be_bytes(old), arg, data).ok_or(Refusal::Type)?;
        place.copy_from_slice(&new.to_be_bytes());
        Ok(old.to_vec())
    }

    fn power_on(&mut self) {
        self.memory.fill(0);
    }
}
