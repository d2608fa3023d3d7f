//! A small driver: finds the structures, negotiates, fills the rings.

use crate::fault::plan::Rule;
use crate::platform::layout;
use crate::platform::testing::{Bench, plan, plug};
use crate::spec::{pci, virtio as spec};
use vm_memory::{Bytes, GuestAddress};

/// Where the rings are.
pub const DESC: u64 = 0x1000;
pub const AVAIL: u64 = 0x3000;
pub const USED: u64 = 0x4000;
/// Headers and status bytes, 32 bytes a request.
pub const HEADERS: u64 = 0x6000;
/// Data.
pub const DATA: u64 = 0x10000;
/// Entries that the driver uses.
pub const SIZE: u16 = 64;

/// Descriptor flags.
pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const INDIRECT: u16 = 4;

/// A disk in slot 2 with a driver.
pub struct Disk {
    pub bench: Bench,
    pub bar: u64,
    pub slot: u8,
    pub available: u16,
    pub features: u64,
}

impl Disk {
    /// A disk of 1 MiB, not yet negotiated.
    pub fn new(options: &[(&str, &str)], rules: Vec<Rule>) -> Self {
        let mut all = vec![("size", "1M")];
        all.extend(options);
        let mut bench = Bench::new(&plan(vec![plug("disk0", "virtio-blk", 2, &all)], rules));
        bench.master(2);
        let bar = layout::WIDE_APERTURE_BASE + 2 * layout::SLOT_WIDE_APERTURE_BYTES;
        Self { bench, bar, slot: 2, available: 0, features: spec::F_VERSION_1 }
    }

    /// Drives the disk in `slot` of a bench that is there already.
    pub fn adopt(bench: Bench, slot: u8, features: u64) -> Self {
        let bar = layout::WIDE_APERTURE_BASE + u64::from(slot) * layout::SLOT_WIDE_APERTURE_BYTES;
        let mut disk = Self { bench, bar, slot, available: 0, features };
        disk.enable_msix();
        disk.negotiate();
        disk
    }

    /// The same after negotiation, with MSI-X vectors 0x40 (configuration) and 0x41 (queue) if it has them.
    pub fn ready(options: &[(&str, &str)], rules: Vec<Rule>) -> Self {
        let mut disk = Self::new(options, rules);
        disk.enable_msix();
        disk.negotiate();
        disk
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.bench.platform.mmio_write(self.bar + offset, bytes, &mut self.bench.machine);
    }

    pub fn read16(&mut self, offset: u64) -> u16 {
        u16::from_le_bytes(self.bench.read(self.bar + offset))
    }

    pub fn status(&mut self) -> u8 {
        self.bench.read::<1>(self.bar + spec::DEVICE_STATUS)[0]
    }

    pub fn enable_msix(&mut self) {
        let Some(at) = self.bench.capability(self.slot, 0, pci::CAP_MSIX) else { return };
        let table = Bench::bar0(self.slot.into());
        for vector in 0..2u64 {
            self.bench.write32(table + vector * 16, 0xfee0_0000);
            self.bench.write32(table + vector * 16 + 8, 0x40 + vector as u32);
            self.bench.write32(table + vector * 16 + 12, 0);
        }
        self.bench.set_config16(self.slot, 0, at + pci::MSIX_CONTROL, pci::MSIX_ENABLE);
    }

    pub fn negotiate(&mut self) {
        self.available = 0;
        self.bench.machine.memory.write_slice(&[0; 0x4000], GuestAddress(DESC)).unwrap();
        self.write(spec::DEVICE_STATUS, &[0]);
        self.write(spec::DEVICE_STATUS, &[3]);
        for half in 0..2u32 {
            self.write(spec::DRIVER_FEATURE_SELECT, &half.to_le_bytes());
            let features = (self.features >> (half * 32)) as u32;
            self.write(spec::DRIVER_FEATURE, &features.to_le_bytes());
        }
        self.write(spec::DEVICE_STATUS, &[0xb]);
        self.write(spec::CONFIG_VECTOR, &0u16.to_le_bytes());
        self.set_up_queue();
        self.write(spec::DEVICE_STATUS, &[0xf]);
    }

    pub fn set_up_queue(&mut self) {
        self.write(spec::QUEUE_SELECT, &0u16.to_le_bytes());
        self.write(spec::QUEUE_SIZE, &SIZE.to_le_bytes());
        self.write(spec::QUEUE_VECTOR, &1u16.to_le_bytes());
        for (register, address) in
            [(spec::QUEUE_DESC, DESC), (spec::QUEUE_DRIVER, AVAIL), (spec::QUEUE_DEVICE, USED)]
        {
            self.write(register, &(address as u32).to_le_bytes());
            self.write(register + 4, &0u32.to_le_bytes());
        }
        self.write(spec::QUEUE_ENABLE, &1u16.to_le_bytes());
    }

    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        self.bench.machine.memory.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub fn get<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.bench.machine.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    pub fn descriptor(&mut self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.put(DESC + u64::from(index) * 16, &bytes);
    }

    /// Writes a request's header; the address of its status byte follows it.
    pub fn header(&mut self, request: u16, kind: u32, sector: u64) -> u64 {
        let at = HEADERS + u64::from(request) * 32;
        self.put(at, &kind.to_le_bytes());
        self.put(at + 4, &[0; 4]);
        self.put(at + 8, &sector.to_le_bytes());
        self.put(at + 16, &[0xff]);
        at
    }

    /// A request of three descriptors, number 0–20, made available.
    pub fn submit(&mut self, request: u16, kind: u32, sector: u64, data: u64, length: u32) {
        let header = self.header(request, kind, sector);
        let first = request * 3;
        let flags = if kind == spec::BLK_T_OUT { 0 } else { WRITE };
        self.descriptor(first, header, 16, NEXT, first + 1);
        self.descriptor(first + 1, data, length, flags | NEXT, first + 2);
        self.descriptor(first + 2, header + 16, 1, WRITE, 0);
        self.offer(first);
    }

    pub fn offer(&mut self, head: u16) {
        let entry = AVAIL + 4 + u64::from(self.available % SIZE) * 2;
        self.put(entry, &head.to_le_bytes());
        self.available = self.available.wrapping_add(1);
        let available = self.available.to_le_bytes();
        self.put(AVAIL + 2, &available);
    }

    pub fn kick(&mut self) {
        self.write(0x3000, &0u16.to_le_bytes());
    }

    /// Lets time pass until nothing is under way.
    pub fn wait(&mut self) {
        let until = self.bench.machine.now + 10_000_000;
        self.bench.run_until(until);
    }

    pub fn request_status(&self, request: u16) -> u8 {
        self.get::<1>(HEADERS + u64::from(request) * 32 + 16)[0]
    }

    /// Entries that the device has handed back.
    pub fn used(&self) -> u16 {
        u16::from_le_bytes(self.get(USED + 2))
    }

    /// Head and length of used entry `index`.
    pub fn used_entry(&self, index: u16) -> (u32, u32) {
        let at = USED + 4 + u64::from(index % SIZE) * 8;
        (u32::from_le_bytes(self.get(at)), u32::from_le_bytes(self.get(at + 4)))
    }
}
