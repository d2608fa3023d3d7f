//! The controller's registers. Whatever is read as all ones is not there any more.

use super::regs::{self, Context, event};
use crate::family::firewire::Register;
use crate::family::pci::{BusMaster, PciDevice, Registers};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::KernelRef;

/// How long a reset may take, and how often that is looked at, machine ns.
const PATIENCE_NS: u64 = 100_000_000;
const LOOK_NS: u64 = 1_000_000;
/// Looks for a context or the controller to come to rest, in the gate, where nobody sleeps.
const REST_LOOKS: u32 = 1000;
/// Tries of a packet that finds its receiver busy: requests, responses and physical responses (5.4).
const RETRIES: u32 = 0xfff;

/// The registers.
#[derive(Clone)]
pub struct Hardware {
    kernel: KernelRef,
    master: BusMaster,
    registers: Registers,
    /// Events that the filter has taken and the action has not.
    taken: Arc<AtomicU32>,
}

impl Hardware {
    /// Maps BAR 0 for `me`. Offline: it is gone already. Unsupported: that is no controller of this kind.
    pub fn find(me: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let registers = device.map(me, 0)?;
        if registers.size() < regs::BYTES {
            return Err(IOReturn::Unsupported);
        }
        match registers.read32(regs::VERSION) {
            u32::MAX => Err(IOReturn::Offline),
            _ => Ok(Self {
                kernel: me.kernel().clone(),
                master: device.bus_master(),
                registers,
                taken: Arc::new(AtomicU32::new(0)),
            }),
        }
    }

    /// Whether the slot reported the controller as gone.
    pub fn is_gone(&self) -> bool {
        self.registers.is_gone()
    }

    fn set(&self, pair: u64, bits: u32) {
        self.registers.write32(pair, bits);
    }

    fn clear(&self, pair: u64, bits: u32) {
        self.registers.write32(pair + regs::CLEAR, bits);
    }

    /// Resets it, and gives the link power (A.2). Sleeps; Offline, NotResponding.
    pub fn reset(&self) -> IOResult {
        self.set(regs::HC_CONTROL, regs::HC_SOFT_RESET);
        self.wait(|word| word & regs::HC_SOFT_RESET == 0)?;
        self.set(regs::HC_CONTROL, regs::HC_LPS | regs::HC_POSTED_WRITES);
        self.clear(regs::HC_CONTROL, regs::HC_NO_SWAP);
        self.wait(|word| word & regs::HC_LPS != 0)
    }

    fn wait(&self, wanted: impl Fn(u32) -> bool) -> IOResult {
        let deadline = self.kernel.now() + PATIENCE_NS;
        loop {
            match self.registers.read32(regs::HC_CONTROL) {
                u32::MAX => return Err(IOReturn::Offline),
                word if wanted(word) => return Ok(()),
                _ if self.kernel.now() > deadline => return Err(IOReturn::NotResponding),
                _ => self.kernel.delay(LOOK_NS),
            }
        }
    }

    /// The EUI-64 of the local node.
    pub fn guid(&self) -> u64 {
        let [high, low] = [regs::GUID_HI, regs::GUID_LO].map(|at| u64::from(self.registers.read32(at)));
        high << 32 | low
    }

    /// The options of the local node's bus information block.
    pub fn bus_options(&self) -> u32 {
        self.registers.read32(regs::BUS_OPTIONS)
    }

    /// Tells it where everything is; nothing runs yet.
    pub fn set_up(&self, self_ids: u64, rom: u64, rom_header: u32) {
        self.registers.write32(regs::SELF_ID_BUFFER, self_ids as u32);
        self.registers.write32(regs::CONFIG_ROM_HEADER, rom_header);
        self.registers.write32(regs::CONFIG_ROM_MAP, rom as u32);
        self.registers.write32(regs::AT_RETRIES, RETRIES);
        self.set(regs::LINK_CONTROL, regs::LINK_SELF_ID | regs::LINK_CYCLE_TIMER | regs::LINK_CYCLE_MASTER);
        self.set(regs::ASYNC_FILTER_HI, regs::FILTER_ALL);
        self.clear(regs::INT_EVENT, u32::MAX);
        self.clear(regs::STREAM_EVENT, u32::MAX);
        self.set(regs::STREAM_MASK, u32::MAX);
        self.clear(regs::INT_MASK, u32::MAX);
        self.set(regs::INT_MASK, event::WANTED | event::MASTER);
    }

    /// Lets the link send and receive.
    pub fn enable(&self) {
        self.set(regs::HC_CONTROL, regs::HC_ROM_VALID | regs::HC_LINK_ENABLE);
    }

    /// Begins a short bus reset.
    pub fn reset_bus(&self) {
        self.registers.write32(regs::PHY_CONTROL, regs::PHY_WRITE | regs::PHY_SHORT_RESET);
    }

    /// Stops everything and waits without sleeping (5.7): afterwards it does not touch memory. One that does not answer now may go on with what it was told when it
    /// answers again: bus mastering, which is taken away too, keeps it from memory that is used by others then.
    pub fn silence(&self) {
        if self.is_gone() {
            return;
        }
        self.clear(regs::INT_MASK, event::MASTER);
        self.set(regs::HC_CONTROL, regs::HC_SOFT_RESET);
        for _ in 0..REST_LOOKS {
            let word = self.registers.read32(regs::HC_CONTROL);
            if word == u32::MAX || word & regs::HC_SOFT_RESET == 0 {
                break;
            }
        }
        self.master.set(false);
    }

    /// Takes the events that there are, at primary interrupt level too. `Ok(false)`: none. Offline: it is gone.
    ///
    /// A bus reset stays set until its self-ID packets have been read, because nothing must be sent before that (7.2.3.1); so it is masked meanwhile.
    pub fn take_events(&self) -> IOResult<bool> {
        let events = self.registers.read32(regs::INT_EVENT + regs::CLEAR);
        if events == u32::MAX {
            return Err(IOReturn::Offline);
        }
        let events = events & event::WANTED;
        if events == 0 {
            return Ok(false);
        }
        if events & event::STREAM_IN != 0 {
            let streams = self.registers.read32(regs::STREAM_EVENT + regs::CLEAR);
            self.clear(regs::STREAM_EVENT, streams);
        }
        if events & event::BUS_RESET != 0 {
            self.clear(regs::INT_MASK, event::BUS_RESET);
        }
        self.clear(regs::INT_EVENT, events & !event::BUS_RESET);
        self.taken.fetch_or(events, Ordering::AcqRel);
        Ok(true)
    }

    /// What has been taken and not looked at.
    pub fn events(&self) -> u32 {
        self.taken.swap(0, Ordering::AcqRel)
    }

    /// The bus reset has been seen: packets may go, and the next one interrupts.
    pub fn reset_seen(&self) {
        self.clear(regs::INT_EVENT, event::BUS_RESET);
        self.set(regs::INT_MASK, event::BUS_RESET);
    }

    /// SelfIDCount. Offline: it is gone.
    pub fn self_id_count(&self) -> IOResult<u32> {
        // A count with every bit set cannot be: some are reserved.
        Some(self.registers.read32(regs::SELF_ID_COUNT))
            .filter(|&word| word != u32::MAX)
            .ok_or(IOReturn::Offline)
    }

    /// The local node's physical ID. NotReady: it has none.
    pub fn node_id(&self) -> IOResult<u8> {
        match self.registers.read32(regs::NODE_ID) {
            u32::MAX => Err(IOReturn::Offline),
            word if word & regs::NODE_VALID != 0 && word & 0x3f != 0x3f => Ok((word & 0x3f) as u8),
            _ => Err(IOReturn::NotReady),
        }
    }

    /// Whether a node may read and write memory without software.
    pub fn set_physical(&self, node: u8, allowed: bool) {
        let pair = if node < 32 { regs::PHYSICAL_FILTER_LO } else { regs::PHYSICAL_FILTER_HI };
        let bit = 1 << (node % 32);
        if allowed { self.set(pair, bit) } else { self.clear(pair, bit) }
    }

    /// Contexts for streams that there are, once the masks are set.
    pub fn streams(&self) -> u8 {
        match self.registers.read32(regs::STREAM_MASK) {
            u32::MAX if self.registers.read32(regs::VERSION) == u32::MAX => 0,
            mask => mask.trailing_ones() as u8,
        }
    }

    /// Compare and swap of a register of the local node (5.5.1): what stood there. Offline, NotResponding.
    pub fn swap(&self, register: Register, compare: u32, data: u32) -> IOResult<u32> {
        self.registers.write32(regs::CSR_DATA, data);
        self.registers.write32(regs::CSR_COMPARE, compare);
        self.registers.write32(regs::CSR_CONTROL, register as u32);
        for _ in 0..REST_LOOKS {
            match self.registers.read32(regs::CSR_CONTROL) {
                u32::MAX => return Err(IOReturn::Offline),
                word if word & regs::CSR_DONE != 0 => return Ok(self.registers.read32(regs::CSR_DATA)),
                _ => {}
            }
        }
        Err(IOReturn::NotResponding)
    }

    /// Lets a context for streams, which stands still, receive `channel` from `pointer` on.
    pub fn start_stream(&self, context: Context, channel: u8, pointer: u32) {
        self.clear(context.at(), regs::STREAM_MODES);
        self.registers.write32(context.at() + regs::MATCH, regs::MATCH_TAGS | u32::from(channel & 0x3f));
        self.set(context.at(), regs::STREAM_HEADER);
        self.start(context, pointer);
    }

    /// Lets a context that stands still begin at `pointer`.
    pub fn start(&self, context: Context, pointer: u32) {
        self.registers.write32(context.at() + regs::COMMAND, pointer);
        self.set(context.at(), regs::RUN);
    }

    /// Lets a context look for descriptors again.
    pub fn wake(&self, context: Context) {
        self.set(context.at(), regs::WAKE);
    }

    /// Stops a context and waits without sleeping. False: it does not come to rest.
    pub fn stop(&self, context: Context) -> bool {
        self.clear(context.at(), regs::RUN);
        (0..REST_LOOKS).any(|_| {
            let word = self.registers.read32(context.at());
            word == u32::MAX || word & regs::ACTIVE == 0
        })
    }
}
