//! A disk whose driver fills its rings with anything, changes them under way, and resets it when it likes.

use super::machine::{MAX_WRITES, MEMORY, Machine, noise, pass};
use super::steps;
use crate::target::{Features, Target, Trouble};
use arbitrary::Arbitrary;
use devices::fault::plan::Plan;
use devices::platform::{Platform, layout};
use devices::spec::{pci, virtio as spec};
use std::sync::OnceLock;
use vm_memory::{Bytes, GuestAddress};

/// Disks with both kinds of interrupt.
const PLAN: &str = "\
plug disk0 virtio-blk slot=1 size=64K latency=1us
plug disk1 virtio-blk slot=2 size=64K latency=1us irq=intx
run for=1s
";
/// Steps of one input.
const MAX_OPS: usize = 512;
/// Bytes of an input.
const MOST: usize = 8192;
/// Where the driver's rings are.
const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Headers, 32 bytes each: 16 of the request, then the status byte.
const HEADERS: u64 = 0x4000;
/// Tables of indirect descriptors.
const INDIRECT: u64 = 0x5000;
/// Entries of the ring that the driver sets up.
const SIZE: u16 = 16;
/// Where the first queue's notifications go (4.1.4.4), in the device's BAR.
const NOTIFY: u64 = 0x3000;
/// Descriptor flags (2.7.5).
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// What the driver does.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Op {
    /// A request as it should be.
    Request {
        kind: u8,
        sector: u16,
        blocks: u8,
    },
    /// A descriptor of the table, or of an indirect one.
    Descriptor {
        indirect: bool,
        index: u8,
        place: Place,
        length: Length,
        flags: u8,
        next: u8,
    },
    /// An entry of the available ring.
    Entry {
        index: u8,
        head: u8,
    },
    /// The index of the available ring goes on, or anywhere.
    Available {
        by: u8,
    },
    Index(u16),
    /// A request's header.
    Header {
        index: u8,
        kind: u32,
        sector: u64,
    },
    /// Event fields, flags, anything.
    Memory {
        at: u16,
        value: u32,
    },
    Kick,
    /// A register of the common structure.
    Register {
        offset: u8,
        value: u32,
    },
    /// Sets the queue up again, in order.
    Negotiate {
        features: u8,
    },
    Reset,
    /// Bus mastering on or off.
    Master(bool),
    /// Machine time passes, in units of 64 ns.
    Wait(u8),
}

/// Where a descriptor points.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Place {
    Header(u8),
    Data(u16),
    Rings(u16),
    Edge(u8),
    Anywhere(u64),
}

impl Place {
    fn address(self) -> u64 {
        match self {
            Self::Header(n) => HEADERS + u64::from(n % 64) * 32,
            Self::Data(at) => 0x8000 + u64::from(at % 0x4000),
            Self::Rings(at) => DESC + u64::from(at % 0x3000),
            Self::Edge(at) => MEMORY as u64 - u64::from(at),
            Self::Anywhere(at) => at,
        }
    }
}

/// How long a descriptor is.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Length {
    Header,
    Status,
    Blocks(u8),
    Any(u32),
}

impl Length {
    fn bytes(self) -> u32 {
        match self {
            Self::Header => 16,
            Self::Status => 1,
            Self::Blocks(n) => u32::from(n) * 512,
            Self::Any(n) => n,
        }
    }
}

/// The target.
pub struct Virtqueues;

impl Target for Virtqueues {
    fn name(&self) -> &'static str {
        "virtqueues"
    }

    fn about(&self) -> &'static str {
        "a disk whose rings hold anything: its work is bounded, and a broken queue is quiet until a reset"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        noise(&[64, 512, 2048])
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let (slot, ops) = script(input);
        let mut disk = Disk::new(slot);
        for op in ops {
            disk.step(op, features);
        }
        None
    }

    fn describe(&self, input: &[u8]) -> String {
        let (slot, ops) = script(input);
        format!("slot {slot}\n{}", steps::lines(&ops))
    }
}

/// The first byte says which disk; the others what its driver does.
fn script(input: &[u8]) -> (u8, Vec<Op>) {
    let mut bytes = steps::bytes(input, MOST);
    let slot = 1 + u8::arbitrary(&mut bytes).unwrap_or(0) % 2;
    let ops = steps::steps(&mut bytes, MAX_OPS);
    (slot, ops)
}

/// Whether a DMA access lies in memory.
fn inside((address, bytes): (u64, usize)) -> bool {
    address.checked_add(bytes as u64).is_some_and(|end| end <= MEMORY as u64)
}

struct Disk {
    platform: Platform,
    machine: Machine,
    slot: u8,
    bar: u64,
    available: u16,
    requests: u8,
}

impl Disk {
    fn new(slot: u8) -> Self {
        static ONCE: OnceLock<Plan> = OnceLock::new();
        let (platform, _) = steps::platform(&ONCE, "virtqueues", PLAN);
        let bar = layout::WIDE_APERTURE_BASE + u64::from(slot) * layout::SLOT_WIDE_APERTURE_BYTES;
        let mut disk = Self { platform, machine: Machine::new(), slot, bar, available: 0, requests: 0 };
        disk.act(Op::Master(true));
        disk.negotiate(0);
        disk
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.platform.mmio_write(self.bar + offset, bytes, &mut self.machine);
    }

    fn status(&mut self) -> u8 {
        let mut byte = [0];
        self.platform.mmio_read(self.bar + spec::DEVICE_STATUS, &mut byte, &mut self.machine);
        byte[0]
    }

    /// Beyond the end of memory nothing is written, and nothing needs to be.
    fn put(&mut self, address: u64, bytes: &[u8]) {
        let _ = self.machine.memory.write_slice(bytes, GuestAddress(address));
    }

    fn get(&self, address: u64) -> u16 {
        let mut bytes = [0; 2];
        let _ = self.machine.memory.read_slice(&mut bytes, GuestAddress(address));
        u16::from_le_bytes(bytes)
    }

    fn descriptor(&mut self, at: u64, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.put(at, &bytes);
    }

    fn negotiate(&mut self, features: u8) {
        self.available = 0;
        self.put(DESC, &[0; 0x3000]);
        let mut wanted = spec::F_VERSION_1;
        wanted |= if features & 1 != 0 { spec::F_EVENT_IDX } else { 0 };
        wanted |= if features & 2 != 0 { spec::F_INDIRECT } else { 0 };
        for status in [0_u8, 3] {
            self.write(spec::DEVICE_STATUS, &[status]);
        }
        for half in 0..2_u32 {
            self.write(spec::DRIVER_FEATURE_SELECT, &half.to_le_bytes());
            self.write(spec::DRIVER_FEATURE, &((wanted >> (32 * half)) as u32).to_le_bytes());
        }
        self.write(spec::DEVICE_STATUS, &[0xb]);
        self.write(spec::QUEUE_SELECT, &[0, 0]);
        self.write(spec::QUEUE_SIZE, &SIZE.to_le_bytes());
        for (register, address) in
            [(spec::QUEUE_DESC, DESC), (spec::QUEUE_DRIVER, AVAIL), (spec::QUEUE_DEVICE, USED)]
        {
            self.write(register, &(address as u32).to_le_bytes());
            self.write(register + 4, &[0; 4]);
        }
        self.write(spec::QUEUE_ENABLE, &[1, 0]);
        self.write(spec::DEVICE_STATUS, &[0xf]);
    }

    fn request(&mut self, kind: u8, sector: u16, blocks: u8) {
        let number = self.requests % 64;
        self.requests = self.requests.wrapping_add(1);
        let header = HEADERS + u64::from(number) * 32;
        let kind =
            [spec::BLK_T_IN, spec::BLK_T_OUT, spec::BLK_T_FLUSH, spec::BLK_T_GET_ID][usize::from(kind % 4)];
        self.header(number, kind, u64::from(sector % 160));
        let head = u16::from(number % 5) * 3;
        let write = if kind == spec::BLK_T_OUT { 0 } else { WRITE };
        let table = |index: u16| DESC + u64::from(index) * 16;
        self.descriptor(table(head), header, 16, NEXT, head + 1);
        self.descriptor(table(head + 1), 0x8000, u32::from(blocks % 9) * 512, write | NEXT, head + 2);
        self.descriptor(table(head + 2), header + 16, 1, WRITE, 0);
        self.put(AVAIL + 4 + u64::from(self.available % SIZE) * 2, &head.to_le_bytes());
        self.act(Op::Available { by: 1 });
    }

    fn header(&mut self, index: u8, kind: u32, sector: u64) {
        let at = HEADERS + u64::from(index % 64) * 32;
        self.put(at, &kind.to_le_bytes());
        self.put(at + 8, &sector.to_le_bytes());
        self.put(at + 16, &[0xff]);
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Request { kind, sector, blocks } => self.request(kind, sector, blocks),
            Op::Descriptor { indirect, index, place, length, flags, next } => {
                let table = if indirect { INDIRECT } else { DESC };
                let at = table + u64::from(index % SIZE as u8) * 16;
                self.descriptor(
                    at,
                    place.address(),
                    length.bytes(),
                    u16::from(flags % 8),
                    u16::from(next % 20),
                );
            }
            Op::Entry { index, head } => {
                self.put(AVAIL + 4 + u64::from(index % SIZE as u8) * 2, &[head % 20, 0]);
            }
            Op::Available { by } => {
                self.available = self.available.wrapping_add(u16::from(by % 20));
                self.put(AVAIL + 2, &self.available.to_le_bytes());
            }
            Op::Index(index) => {
                self.available = index;
                self.put(AVAIL + 2, &index.to_le_bytes());
            }
            Op::Header { index, kind, sector } => self.header(index, kind, sector),
            Op::Memory { at, value } => self.put(at.into(), &value.to_le_bytes()),
            Op::Kick => self.write(NOTIFY, &[0, 0]),
            Op::Register { offset, value } => self.write(u64::from(offset % 0x40), &value.to_le_bytes()),
            Op::Negotiate { features } => self.negotiate(features),
            Op::Reset => self.write(spec::DEVICE_STATUS, &[0]),
            Op::Master(on) => {
                let command = pci::COMMAND_MEMORY | if on { pci::COMMAND_MASTER } else { 0 };
                let bytes = command.to_le_bytes();
                self.platform.config_write(self.slot, 0, 0, pci::COMMAND, &bytes, &mut self.machine);
            }
            Op::Wait(units) => self.machine.now += u64::from(units) * 64,
        }
    }

    /// A driver may send the disk where no memory is. The request ends there: what is written next, if anything, is its status byte, which tells
    /// of an error (5.2.6). Where the status byte or a ring is what has no memory, the device wants a reset, and writes nothing more.
    fn nowhere(&self, status: u8) {
        let written = &self.machine.written;
        // Of a list that is full the last may have had a successor.
        let known = if written.len() < MAX_WRITES { written.len() } else { written.len() - 1 };
        for (at, &(address, bytes)) in
            written[..known].iter().enumerate().filter(|(_, write)| !inside(**write))
        {
            let what = format!("DMA of {bytes} bytes at {address:#x}");
            let Some(&(answer, length)) = written.get(at + 1) else {
                assert!(status & spec::STATUS_NEEDS_RESET != 0, "{what}, and no more");
                continue;
            };
            assert_eq!(length, 1, "{what}, and then another at {answer:#x}");
            let later = written[at + 2..].iter().any(|&(from, length)| {
                let place = answer.checked_sub(from);
                place.is_some_and(|place| place < length as u64)
            });
            let mut byte = [0];
            if !later && self.machine.memory.read_slice(&mut byte, GuestAddress(answer)).is_ok() {
                assert_eq!(byte, [spec::BLK_S_IOERR], "{what}, and the request is said to be good");
            }
        }
    }

    /// One step, and what holds after it.
    fn step(&mut self, op: Op, features: &mut Features) {
        let broken = self.status() & spec::STATUS_NEEDS_RESET != 0;
        let used = self.get(USED + 2);
        self.machine.written.clear();
        self.act(op);
        pass(&mut self.platform, &mut self.machine);
        let status = self.status();
        self.nowhere(status);
        let still = broken && status & spec::STATUS_NEEDS_RESET != 0;
        assert!(
            !still || self.machine.written.is_empty(),
            "a broken queue wrote: {:x?}",
            self.machine.written
        );
        // The device's own counter, unless the guest wrote over it.
        let theirs = matches!(op, Op::Memory { .. } | Op::Negotiate { .. } | Op::Descriptor { .. });
        let done = self.get(USED + 2).wrapping_sub(used);
        let written = self.machine.written.len().min(7) as u64;
        features.note(op.kind() << 16 | u64::from(status) << 8 | written << 4 | u64::from(done.min(15)));
        assert!(theirs || !still || done == 0, "a broken queue handed {done} requests back");
        self.machine.tell(features);
    }
}

impl Op {
    /// What is worth telling apart.
    fn kind(self) -> u64 {
        match self {
            Self::Request { kind, .. } => 1 << 8 | u64::from(kind % 4),
            Self::Descriptor { indirect, flags, .. } => {
                2 << 8 | u64::from(flags % 8) << 1 | u64::from(indirect)
            }
            Self::Entry { .. } => 3 << 8,
            Self::Available { by } => 4 << 8 | u64::from(by % 20),
            Self::Index(_) => 5 << 8,
            Self::Header { kind, .. } => 6 << 8 | u64::from(kind.min(16)),
            Self::Memory { at, .. } => 7 << 8 | u64::from(at >> 12),
            Self::Kick => 8 << 8,
            Self::Register { offset, .. } => 9 << 8 | u64::from(offset % 0x40),
            Self::Negotiate { features } => 10 << 8 | u64::from(features % 4),
            Self::Reset => 11 << 8,
            Self::Master(on) => 12 << 8 | u64::from(on),
            Self::Wait(_) => 13 << 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by libFuzzer: the check took the driver's address for the disk's mistake.
    #[test]
    fn a_driver_may_send_the_disk_where_no_memory_is() {
        // Its identification, and a block.
        for (kind, length) in [(3, Length::Any(15)), (0, Length::Blocks(1))] {
            let mut disk = Disk::new(1);
            let data = Op::Descriptor {
                indirect: false,
                index: 1,
                place: Place::Anywhere(0x6f84_5fbb_7952_61cd),
                length,
                flags: (WRITE | NEXT) as u8,
                next: 2,
            };
            let request = Op::Request { kind, sector: 0, blocks: 1 };
            for op in [request, data, Op::Kick] {
                disk.step(op, &mut Features::default());
            }
            let mut nowhere = 0;
            while disk.get(USED + 2) == 0 {
                disk.step(Op::Wait(u8::MAX), &mut Features::default());
                nowhere += disk.machine.written.iter().filter(|write| !inside(**write)).count();
            }
            assert_eq!(nowhere, 1, "the disk tried once");
            let mut status = [0];
            disk.machine.memory.read_slice(&mut status, GuestAddress(HEADERS + 16)).expect("it is in memory");
            assert_eq!(status, [spec::BLK_S_IOERR]);
        }
    }
}
