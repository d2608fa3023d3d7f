//! The PCI transport (4.1): structures in BAR 4, found through vendor capabilities.

use super::common::{Common, Effect};
use super::window::{self, Window};
use super::{Broken, VirtQueue};
use crate::device::{BarSpec, Device, Doorbell, Identity};
use crate::env::Env;
use crate::spec::pci::CAP_VENDOR;
use crate::spec::virtio as spec;
use virtio_queue::QueueT;

/// The BAR of the structures.
const BAR: u8 = 4;
/// Bytes between two structures.
const PAGE: u64 = 0x1000;
const COMMON: u64 = 0;
const ISR: u64 = PAGE;
const DEVICE: u64 = 2 * PAGE;
const NOTIFY: u64 = 3 * PAGE;
const BAR_BYTES: u64 = 4 * PAGE;
/// Bytes between the notification registers of two queues.
const NOTIFY_MULTIPLIER: u32 = 4;
/// Index of the configuration access capability in the list of capabilities.
const WINDOW_CAPABILITY: usize = 4;

/// What is particular to one type of device.
pub trait Backend: Send {
    /// Device type (5).
    fn device_type(&self) -> u16;
    /// PCI class.
    fn class(&self) -> [u8; 3];
    /// Features of the type; those of the transport come on top.
    fn features(&self) -> u64;
    /// Sizes of the queues, powers of two.
    fn queue_sizes(&self) -> &'static [u16];
    /// Reads device-specific configuration.
    fn read_config(&self, offset: u64, into: &mut [u8]);
    /// Drops all requests: a reset by the driver. Times that were asked for still come.
    fn reset(&mut self);
    /// Back to power-on: times that were asked for come no more.
    fn power_on(&mut self);
    /// The driver notified queue `index`.
    ///
    /// # Errors
    /// The queue is broken.
    fn notified(&mut self, index: usize, queue: &mut VirtQueue, env: &mut dyn Env) -> Result<(), Broken>;
    /// A time asked for has come. True for each queue that should interrupt, as bit n.
    ///
    /// # Errors
    /// A queue is broken.
    fn tick(&mut self, token: u64, queues: &mut [VirtQueue], env: &mut dyn Env) -> Result<u32, Broken>;
}

/// A virtio device behind the PCI transport.
pub struct VirtioPci<B> {
    backend: B,
    common: Common,
    window: Window,
    isr: u8,
    vectors: u16,
}

impl<B: Backend> VirtioPci<B> {
    /// The device; `msix`: with MSI-X, one vector for configuration changes and one for each queue.
    pub fn new(backend: B, msix: bool) -> Self {
        let features = backend.features() | spec::F_VERSION_1 | spec::F_EVENT_IDX | spec::F_INDIRECT;
        let sizes = backend.queue_sizes();
        let vectors = if msix { sizes.len() as u16 + 1 } else { 0 };
        let common = Common::new(features, sizes, vectors);
        Self { backend, common, window: Window::default(), isr: 0, vectors }
    }

    fn reset_device(&mut self) {
        self.common.reset();
        self.backend.reset();
        self.isr = 0;
    }

    fn read_bar(&mut self, offset: u64, into: &mut [u8], env: &mut dyn Env) {
        into.fill(0);
        match offset & !(PAGE - 1) {
            COMMON => self.read_common(offset, into),
            ISR if offset == ISR => {
                // Reading acknowledges and drops the line (4.1.4.5).
                into[0] = std::mem::take(&mut self.isr);
                env.lower();
            }
            DEVICE => self.backend.read_config(offset - DEVICE, into),
            _ => {}
        }
    }

    fn read_common(&self, offset: u64, into: &mut [u8]) {
        for (at, word) in (offset..).step_by(4).zip(into.chunks_mut(4)) {
            word.copy_from_slice(&self.common.read(at).to_le_bytes()[..word.len()]);
        }
    }

    fn write_bar(&mut self, offset: u64, from: &[u8], env: &mut dyn Env) {
        match offset & !(PAGE - 1) {
            COMMON => self.write_common(offset, from, env),
            NOTIFY => self.notify((offset - NOTIFY) / u64::from(NOTIFY_MULTIPLIER), env),
            _ => {}
        }
    }

    fn write_common(&mut self, offset: u64, from: &[u8], env: &mut dyn Env) {
        for (at, word) in (offset..).step_by(4).zip(from.chunks(4)) {
            let mut bytes = [0; 4];
            bytes[..word.len()].copy_from_slice(word);
            if self.common.write(at, u32::from_le_bytes(bytes)) == Effect::Reset {
                self.reset_device();
                env.lower();
            }
        }
    }

    fn notify(&mut self, index: u64, env: &mut dyn Env) {
        let running = self.common.running();
        let Some(queue) = self.common.queues.get_mut(index as usize) else { return };
        if !running || !queue.queue.ready() {
            return;
        }
        if self.backend.notified(index as usize, queue, env).is_err() {
            self.fail(env);
        }
    }

    /// Only a reset helps from here (2.1.2).
    fn fail(&mut self, env: &mut dyn Env) {
        self.backend.reset();
        self.common.status |= spec::STATUS_NEEDS_RESET;
        if self.common.status & spec::STATUS_DRIVER_OK != 0 {
            self.isr |= spec::ISR_CONFIG;
            env.raise(self.common.config_vector);
        }
    }
}

impl<B: Backend> Device for VirtioPci<B> {
    fn identity(&self) -> Identity {
        let queues = self.common.queues.len() as u32;
        let structure = |kind: u8, offset: u64, length: u32| structure(kind, offset, length, &[]);
        let notify_length = queues * NOTIFY_MULTIPLIER;
        Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE_BASE + self.backend.device_type(),
            class: self.backend.class(),
            revision: 1,
            subsystem: (spec::VENDOR, 0x1100),
            bars: vec![BarSpec { index: BAR, size: BAR_BYTES, wide: true, prefetchable: true }],
            msix_vectors: self.vectors,
            msi: false,
            intx: true,
            capabilities: vec![
                structure(spec::CFG_COMMON, COMMON, 0x38),
                structure(spec::CFG_ISR, ISR, 1),
                structure(spec::CFG_DEVICE, DEVICE, PAGE as u32),
                self::structure(spec::CFG_NOTIFY, NOTIFY, notify_length, &NOTIFY_MULTIPLIER.to_le_bytes()),
                self::structure(spec::CFG_PCI, 0, 0, &[0; 4]),
            ],
        }
    }

    fn read(&mut self, _bar: u8, offset: u64, into: &mut [u8], env: &mut dyn Env) {
        self.read_bar(offset, into, env);
    }

    fn write(&mut self, _bar: u8, offset: u64, from: &[u8], env: &mut dyn Env) {
        self.write_bar(offset, from, env);
    }

    fn tick(&mut self, token: u64, env: &mut dyn Env) {
        match self.backend.tick(token, &mut self.common.queues, env) {
            Err(Broken) => self.fail(env),
            Ok(0) => {}
            Ok(queues) => {
                self.isr |= spec::ISR_QUEUE;
                for (index, queue) in self.common.queues.iter().enumerate() {
                    if queues & 1 << index != 0 {
                        env.raise(queue.vector);
                    }
                }
            }
        }
    }

    fn reset(&mut self) {
        self.reset_device();
        self.backend.power_on();
        self.window.reset();
    }

    fn doorbells(&self) -> Vec<Doorbell> {
        let bell = |index: u64| Doorbell {
            bar: BAR,
            offset: NOTIFY + index * u64::from(NOTIFY_MULTIPLIER),
            width: 2,
            value: None,
            collect: true,
        };
        (0..self.common.queues.len() as u64).map(bell).collect()
    }

    fn config_written(&mut self, capability: usize, offset: u8, from: &[u8], env: &mut dyn Env) {
        if capability != WINDOW_CAPABILITY {
            return;
        }
        let Some(access) = self.window.write(offset.into(), from) else { return };
        if access.bar == BAR && access.offset < BAR_BYTES {
            let mut bytes = [0; 4];
            let bytes = &mut bytes[..access.length];
            bytes.copy_from_slice(self.window.data(access.length));
            self.write_bar(access.offset, bytes, env);
        }
    }

    fn config_read(&mut self, capability: usize, offset: u8, into: &mut [u8], env: &mut dyn Env) -> bool {
        if capability != WINDOW_CAPABILITY {
            return false;
        }
        if let Some(access) = self.window.before_read(offset.into(), into.len())
            && access.bar == BAR
            && access.offset < BAR_BYTES
        {
            let mut bytes = [0; 4];
            self.read_bar(access.offset, &mut bytes[..access.length], env);
            self.window.data(access.length).copy_from_slice(&bytes[..access.length]);
        }
        self.window.read(offset.into(), into);
        true
    }
}

/// A capability that says where a structure is (4.1.4), without its two header bytes.
fn structure(kind: u8, offset: u64, length: u32, more: &[u8]) -> (u8, Vec<u8>) {
    let bytes = 16 + more.len() as u8;
    let bar = if kind == spec::CFG_PCI { 0 } else { BAR };
    let mut body = vec![bytes, kind, bar, 0, 0, 0];
    body.extend((offset as u32).to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(more);
    debug_assert!(kind != spec::CFG_PCI || body.len() == window::BODY_BYTES);
    (CAP_VENDOR, body)
}
