//! A disk by SBP-2: a target that fetches its commands, and moves the data, by itself.
//!
//! ```text
//! initiator: writes the address of an ORB ─► management agent ─► LOGIN … ─► a command block agent for each login
//!            writes the address of a list ─► command block agent ─► reads ORB ─► SCSI ─► reads or writes the buffer ─► status
//! ```
//!
//! The target is the one who acts: after an address was written to it, everything goes by its own requests to the initiator's
//! memory, the last of them the status block. A bus reset aborts all commands; logins are kept for some seconds, in which the initiator can
//! reconnect.

mod agent;
mod data;
mod management;
mod orb;

use super::node::{Facts, Failure, Link, Node, Origin, Refusal};
use super::phy::PhyFacts;
use super::rom::{self, Directory};
use crate::spec::ieee1394::{self as bus, key};
use crate::spec::sbp2::{self as spec, agent as register};
use crate::usb::scsi::Disk;
use crate::virtio::store::BlockStore;
use agent::Agent;
use management::Management;

/// The management agent, in the units' space.
pub const MANAGEMENT: u64 = bus::REGISTERS + 0x1_0000;
/// The command block agents, one behind another.
pub const AGENTS: u64 = MANAGEMENT + 0x100;
/// Initiators that can be logged in at one time.
pub const LOGINS: usize = 4;
/// Seconds that a login outlives a bus reset at the most.
pub const HOLD_MOST: u64 = 4;
/// Vendor ID in the ROM: locally administered, so that it is nobody's.
const VENDOR: u32 = 0x02_5747;

/// What can be chosen about the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its PHY.
    pub phy: PhyFacts,
    /// EUI-64.
    pub guid: u64,
    /// The plan's name: the serial number.
    pub name: String,
    /// Nanoseconds of a command, without its data.
    pub latency: u64,
}

/// A login.
struct Login {
    id: u16,
    /// The initiator's node ID since the last bus reset; `None`: it has not reconnected.
    node: Option<u16>,
    /// The initiator's EUI-64.
    guid: u64,
    /// Where status blocks go.
    fifo: u64,
    exclusive: bool,
    /// Nanoseconds that it outlives a bus reset.
    hold: u64,
    agent: Agent,
}

/// The target.
pub struct Target {
    settings: Settings,
    disk: Disk,
    logins: [Option<Login>; LOGINS],
    next_id: u16,
    management: Management,
    /// Counts bus resets: what was under way before is nobody's.
    epoch: u32,
}

/// What a request of the target is about, as its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Management,
    /// Of the command block agent with this number, while it has this serial number.
    Agent(usize, u32),
    /// A login's time to reconnect ends.
    Expire(u16, u32),
}

impl Tag {
    fn pack(self) -> u64 {
        match self {
            Tag::Management => 0,
            Tag::Agent(which, serial) => 1 | (which as u64) << 8 | u64::from(serial) << 32,
            Tag::Expire(id, epoch) => 2 | u64::from(id) << 8 | u64::from(epoch) << 32,
        }
    }

    fn unpack(tag: u64) -> Self {
        let (low, high) = ((tag >> 8 & 0xffff) as u16, (tag >> 32) as u32);
        match tag & 0xff {
            0 => Tag::Management,
            1 => Tag::Agent(low.into(), high),
            _ => Tag::Expire(low, high),
        }
    }
}

impl Target {
    /// A disk with its data in `store`.
    pub fn new(store: Box<dyn BlockStore>, settings: Settings) -> Self {
        let disk = Disk::new(store, "FireWire disk", &settings.name);
        Self {
            settings,
            disk,
            logins: Default::default(),
            next_id: 1,
            management: Management::default(),
            epoch: 0,
        }
    }

    /// The agent whose registers are at `offset`, and which of them.
    fn agent_at(&mut self, offset: u64, origin: Origin) -> Result<(usize, u64), Refusal> {
        let at = offset.checked_sub(AGENTS).ok_or(Refusal::Address)?;
        let which = usize::try_from(at / register::BYTES).map_err(|_| Refusal::Address)?;
        let login = self.logins.get(which).ok_or(Refusal::Address)?.as_ref().ok_or(Refusal::Address)?;
        // Only who is logged in may touch it (6.4).
        if login.node == Some(origin.node) { Ok((which, at % register::BYTES)) } else { Err(Refusal::Type) }
    }

    /// A pointer of two quadlets (5.1).
    fn pointer(from: &[u8]) -> Result<u64, Refusal> {
        let bytes: [u8; 8] = from.try_into().map_err(|_| Refusal::Type)?;
        Ok(u64::from_be_bytes(bytes) & 0xffff_ffff_fffc)
    }
}

impl Node for Target {
    fn facts(&self) -> Facts {
        Facts { phy: self.settings.phy, max_payload: 2048, latency: 5_000 }
    }

    fn rom(&self) -> Vec<u8> {
        let orb_quadlets = u32::from(spec::COMMAND_ORB_BYTES / 4);
        let unit = Directory::new()
            .value(key::SPECIFIER, spec::SPECIFIER)
            .value(key::VERSION, spec::VERSION)
            .value(spec::KEY_COMMAND_SET_SPECIFIER, spec::COMMAND_SET_SPECIFIER)
            .value(spec::KEY_COMMAND_SET, spec::COMMAND_SET)
            .value(spec::KEY_MANAGEMENT_AGENT, ((MANAGEMENT - bus::REGISTERS) / 4) as u32)
            // Management ORBs take at most 5 s (in units of half a second).
            .value(spec::KEY_CHARACTERISTICS, 10 << 8 | orb_quadlets)
            .value(spec::KEY_RECONNECT, HOLD_MOST as u32)
            .value(spec::KEY_LOGICAL_UNIT, 0)
            .value(key::MODEL, 2)
            .text("Disk");
        let root = Directory::new()
            .value(key::VENDOR, VENDOR)
            .text("Workgate")
            .value(key::CAPABILITIES, rom::CAPABILITIES)
            .directory(key::UNIT, unit);
        let options = bus::OPTION_CMC | bus::OPTION_ISC;
        rom::build(rom::options(options, 2048, self.settings.phy.speed), self.settings.guid, &root)
    }

    fn read(
        &mut self,
        offset: u64,
        into: &mut [u8],
        origin: Origin,
        _: &mut Link<'_>,
    ) -> Result<(), Refusal> {
        if (MANAGEMENT..MANAGEMENT + 8).contains(&offset) {
            into.fill(0);
            return Ok(());
        }
        let (which, at) = self.agent_at(offset, origin)?;
        let login = self.logins[which].as_ref().ok_or(Refusal::Address)?;
        let value = match (at, into.len()) {
            (register::STATE, 4) => u64::from(login.agent.state_code()) << 32,
            (register::ORB_POINTER, 8) => login.agent.pointer(),
            (register::ORB_POINTER, 4) => login.agent.pointer() & 0xffff_ffff_0000_0000,
            (12, 4) => login.agent.pointer() << 32,
            _ => return Err(Refusal::Type),
        };
        let length = into.len();
        into.copy_from_slice(&value.to_be_bytes()[..length]);
        Ok(())
    }

    fn write(
        &mut self,
        offset: u64,
        from: &[u8],
        origin: Origin,
        link: &mut Link<'_>,
    ) -> Result<(), Refusal> {
        if offset == MANAGEMENT {
            let address = Self::pointer(from)?;
            return self.manage(address, origin, link);
        }
        let (which, at) = self.agent_at(offset, origin)?;
        match (at, from.len()) {
            (register::RESET, 4) => self.with_agent(which, |agent, _| agent.reset()),
            (register::ORB_POINTER, 8) => {
                let address = Self::pointer(from)?;
                return self.append(which, address, origin, link);
            }
            (register::DOORBELL, 4) => self.doorbell(which, link),
            // Nothing is ever said without being asked.
            (register::UNSOLICITED, 4) => {}
            _ => return Err(Refusal::Type),
        }
        Ok(())
    }

    fn answer(&mut self, tag: u64, result: Result<Vec<u8>, Failure>, link: &mut Link<'_>) {
        match Tag::unpack(tag) {
            Tag::Management => self.managed(result, link),
            Tag::Agent(which, serial) => self.fetched(which, serial, result, link),
            Tag::Expire(..) => {}
        }
    }

    fn tick(&mut self, token: u64, link: &mut Link<'_>) {
        match Tag::unpack(token) {
            Tag::Agent(which, serial) => self.begin_data(which, serial, link),
            Tag::Expire(id, epoch) if epoch == self.epoch => {
                let over = |login: &Login| login.id == id && login.node.is_none();
                self.logins.iter_mut().for_each(|login| {
                    login.take_if(|login| over(login));
                });
            }
            Tag::Management | Tag::Expire(..) => {}
        }
    }

    fn bus_reset(&mut self, link: &mut Link<'_>) {
        self.epoch = self.epoch.wrapping_add(1);
        self.management = Management::default();
        for login in self.logins.iter_mut().flatten() {
            login.agent.reset();
            login.node = None;
            link.after(login.hold, Tag::Expire(login.id, self.epoch).pack());
        }
    }

    fn power_on(&mut self) {
        self.disk.reset();
        self.logins = Default::default();
        self.management = Management::default();
        self.epoch = self.epoch.wrapping_add(1);
    }
}
