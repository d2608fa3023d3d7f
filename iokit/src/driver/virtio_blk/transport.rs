//! Virtio over PCI: finds the structures, agrees on features, sets the queue up (virtio 1.2, 3.1 and 4.1).

use super::regs;
use crate::family::pci::{PciDevice, Registers};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::Service;

/// Looks at a device that is being reset before it counts as dead.
const RESET_LOOKS: u32 = 1000;

/// Capability ID: vendor-specific.
const CAP_VENDOR: u8 = crate::family::pci::regs::CAP_VENDOR;

/// The structures of a device.
pub struct Transport {
    common: Registers,
    notify: Registers,
    multiplier: u32,
    isr: Registers,
    device: Registers,
    /// The queue's doorbell, once the queue is set up.
    doorbell: u64,
}

/// Where the three areas of a queue are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: u64,
    /// Available ring.
    pub driver: u64,
    /// Used ring.
    pub device: u64,
}

impl Transport {
    /// Finds the structures for `client`. NotFound if one is missing or does not fit into its BAR.
    pub fn find(device: &PciDevice, client: &Service) -> IOResult<Self> {
        let mut found: [Option<Registers>; 4] = [const { None }; 4];
        let mut multiplier = 0;
        for capability in &device.function().capabilities {
            if capability.id != CAP_VENDOR {
                continue;
            }
            let at = capability.offset;
            let kind = (device.config_read32(client, at) >> (8 * regs::CAP_TYPE)) as u8;
            let Some(slot) = usize::from(kind).checked_sub(1).and_then(|i| found.get_mut(i)) else {
                continue;
            };
            if slot.is_some() {
                // The first of each kind is the one to use (4.1.4.1).
                continue;
            }
            let bar = device.config_read32(client, at + regs::CAP_BAR) as u8;
            let offset = u64::from(device.config_read32(client, at + regs::CAP_OFFSET));
            let bytes = u64::from(device.config_read32(client, at + regs::CAP_LENGTH));
            let Ok(whole) = device.map(client, bar) else { continue };
            *slot = whole.part(offset, bytes);
            if kind == regs::TYPE_NOTIFY {
                multiplier = device.config_read32(client, at + regs::CAP_MULTIPLIER);
            }
        }
        let mut take = |kind: u8| found[usize::from(kind - 1)].take().ok_or(IOReturn::NotFound);
        let common = take(regs::TYPE_COMMON)?;
        if common.size() < regs::COMMON_BYTES {
            return Err(IOReturn::NotFound);
        }
        let notify = take(regs::TYPE_NOTIFY)?;
        let isr = take(regs::TYPE_ISR)?;
        let device = take(regs::TYPE_DEVICE)?;
        Ok(Self { common, notify, multiplier, isr, device, doorbell: 0 })
    }

    /// Whether the slot reported the device as gone.
    pub fn is_gone(&self) -> bool {
        self.common.is_gone()
    }

    /// Resets the device (2.4): whatever it was doing stops. NotResponding if it does not say that it is done.
    pub fn reset(&self) -> IOResult {
        self.common.write8(regs::STATUS, 0);
        for _ in 0..RESET_LOOKS {
            match self.common.read8(regs::STATUS) {
                0 => return Ok(()),
                0xff => break,
                _ => {}
            }
        }
        Err(IOReturn::NotResponding)
    }

    fn add_status(&self, bit: u8) {
        let status = self.common.read8(regs::STATUS);
        self.common.write8(regs::STATUS, status | bit);
    }

    /// The driver gave up.
    pub fn fail(&self) {
        self.add_status(regs::FAILED);
    }

    /// Resets the device and agrees on features: VERSION_1, and what it offers of `wanted`. The agreed ones, or Unsupported.
    pub fn negotiate(&self, wanted: u64) -> IOResult<u64> {
        self.reset()?;
        self.add_status(regs::ACKNOWLEDGE);
        self.add_status(regs::DRIVER);
        let offered = self.offered();
        if offered & regs::F_VERSION_1 == 0 {
            return Err(IOReturn::Unsupported);
        }
        let agreed = offered & (wanted | regs::F_VERSION_1);
        for half in 0..2 {
            self.common.write32(regs::DRIVER_FEATURE_SELECT, half);
            self.common.write32(regs::DRIVER_FEATURE, (agreed >> (32 * half)) as u32);
        }
        self.add_status(regs::FEATURES_OK);
        if self.common.read8(regs::STATUS) & regs::FEATURES_OK == 0 {
            return Err(IOReturn::Unsupported);
        }
        Ok(agreed)
    }

    fn offered(&self) -> u64 {
        (0..2).fold(0, |features, half| {
            self.common.write32(regs::DEVICE_FEATURE_SELECT, half);
            features | u64::from(self.common.read32(regs::DEVICE_FEATURE)) << (32 * half)
        })
    }

    /// Entries that queue 0 can have at the most; a power of two. NotFound if there is no such queue.
    pub fn queue_limit(&self) -> IOResult<u16> {
        self.common.write16(regs::QUEUE_SELECT, 0);
        let limit = self.common.read16(regs::QUEUE_SIZE);
        if limit == 0 || !limit.is_power_of_two() { Err(IOReturn::NotFound) } else { Ok(limit) }
    }

    /// Sets queue 0 up with `size` entries; its interrupt is MSI-X vector 0 if `message`, else the line. NoResources if the
    /// device has no vector for it.
    pub fn set_queue(&mut self, size: u16, at: QueueAddresses, message: bool) -> IOResult {
        self.common.write16(regs::CONFIG_VECTOR, regs::NO_VECTOR);
        self.common.write16(regs::QUEUE_SELECT, 0);
        self.common.write16(regs::QUEUE_SIZE, size);
        let vector = if message { 0 } else { regs::NO_VECTOR };
        self.common.write16(regs::QUEUE_VECTOR, vector);
        if message && self.common.read16(regs::QUEUE_VECTOR) != vector {
            return Err(IOReturn::NoResources);
        }
        let areas = [
            (regs::QUEUE_DESC, at.descriptors),
            (regs::QUEUE_DRIVER, at.driver),
            (regs::QUEUE_DEVICE, at.device),
        ];
        for (register, address) in areas {
            self.common.write32(register, address as u32);
            self.common.write32(register + 4, (address >> 32) as u32);
        }
        let offset = self.common.read16(regs::QUEUE_NOTIFY_OFF);
        self.doorbell = u64::from(offset) * u64::from(self.multiplier);
        self.common.write16(regs::QUEUE_ENABLE, 1);
        Ok(())
    }

    /// The driver is ready.
    pub fn begin(&self) {
        self.add_status(regs::DRIVER_OK);
    }

    /// Rings queue 0's doorbell.
    pub fn notify(&self) {
        self.notify.write16(self.doorbell, 0);
    }

    /// The ISR status register, to read at interrupt level; reading it drops the line.
    pub fn isr(&self) -> Registers {
        self.isr.clone()
    }

    /// The disk's capacity in blocks of 512 bytes.
    pub fn capacity(&self) -> u64 {
        let low = self.device.read32(regs::CAPACITY);
        u64::from(low) | u64::from(self.device.read32(regs::CAPACITY + 4)) << 32
    }
}
