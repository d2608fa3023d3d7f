//! The common configuration structure (4.1.4.3): negotiation, status and queue set-up.

use super::VirtQueue;
use crate::spec::virtio as spec;
use virtio_queue::QueueT;

/// What a write asks the transport to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more.
    None,
    /// Reset the device.
    Reset,
}

/// The registers.
pub struct Common {
    offered: u64,
    accepted: u64,
    device_half: u32,
    driver_half: u32,
    vectors: u16,
    selected: u16,
    /// Device status.
    pub status: u8,
    /// MSI-X vector of configuration changes.
    pub config_vector: u16,
    /// The queues.
    pub queues: Vec<VirtQueue>,
}

impl Common {
    /// Registers of a device that offers `features`, has queues of these sizes and `vectors` MSI-X vectors.
    pub fn new(features: u64, queue_sizes: &[u16], vectors: u16) -> Self {
        Self {
            offered: features,
            accepted: 0,
            device_half: 0,
            driver_half: 0,
            vectors,
            selected: 0,
            status: 0,
            config_vector: spec::NO_VECTOR,
            queues: queue_sizes.iter().map(|&size| VirtQueue::new(size)).collect(),
        }
    }

    /// Back to power-on (4.1.4.3.1).
    pub fn reset(&mut self) {
        self.accepted = 0;
        self.device_half = 0;
        self.driver_half = 0;
        self.selected = 0;
        self.status = 0;
        self.config_vector = spec::NO_VECTOR;
        for queue in &mut self.queues {
            queue.reset();
        }
    }

    /// True if requests are served: driver ready, nothing broken.
    pub fn running(&self) -> bool {
        let bits = self.status & (spec::STATUS_DRIVER_OK | spec::STATUS_NEEDS_RESET);
        bits == spec::STATUS_DRIVER_OK
    }

    /// The register at `offset`; zero where there is none.
    pub fn read(&self, offset: u64) -> u32 {
        let queue = self.queues.get(usize::from(self.selected));
        let ring = |low: u64, address: fn(&VirtQueue) -> u64| {
            let address = queue.map_or(0, address);
            if offset == low { address as u32 } else { (address >> 32) as u32 }
        };
        match offset {
            spec::DEVICE_FEATURE_SELECT => self.device_half,
            spec::DEVICE_FEATURE => half(self.offered, self.device_half),
            spec::DRIVER_FEATURE_SELECT => self.driver_half,
            spec::DRIVER_FEATURE => half(self.accepted, self.driver_half),
            spec::CONFIG_VECTOR => self.config_vector.into(),
            spec::NUM_QUEUES => self.queues.len() as u32,
            spec::DEVICE_STATUS => self.status.into(),
            // The configuration never changes: its generation stays zero.
            spec::CONFIG_GENERATION => 0,
            spec::QUEUE_SELECT => self.selected.into(),
            // Zero says that there is no such queue.
            spec::QUEUE_SIZE => queue.map_or(0, |queue| queue.queue.size()).into(),
            spec::QUEUE_VECTOR => queue.map_or(spec::NO_VECTOR, |queue| queue.vector).into(),
            spec::QUEUE_ENABLE => queue.is_some_and(|queue| queue.queue.ready()).into(),
            spec::QUEUE_NOTIFY_OFF => queue.map_or(0, |_| self.selected).into(),
            0x20 | 0x24 => ring(spec::QUEUE_DESC, |queue| queue.queue.desc_table()),
            0x28 | 0x2c => ring(spec::QUEUE_DRIVER, |queue| queue.queue.avail_ring()),
            0x30 | 0x34 => ring(spec::QUEUE_DEVICE, |queue| queue.queue.used_ring()),
            _ => 0,
        }
    }

    /// Writes the register at `offset`.
    pub fn write(&mut self, offset: u64, value: u32) -> Effect {
        match offset {
            spec::DEVICE_FEATURE_SELECT => self.device_half = value,
            spec::DRIVER_FEATURE_SELECT => self.driver_half = value,
            spec::DRIVER_FEATURE => self.accept(value),
            spec::CONFIG_VECTOR => self.config_vector = self.vector(value),
            spec::DEVICE_STATUS => return self.set_status(value as u8),
            spec::QUEUE_SELECT => self.selected = value as u16,
            spec::QUEUE_SIZE..0x38 => self.write_queue(offset, value),
            _ => {}
        }
        Effect::None
    }

    fn vector(&self, value: u32) -> u16 {
        let vector = value as u16;
        if vector < self.vectors { vector } else { spec::NO_VECTOR }
    }

    fn accept(&mut self, value: u32) {
        if self.status & spec::STATUS_FEATURES_OK != 0 || self.driver_half > 1 {
            return;
        }
        let shift = self.driver_half * 32;
        self.accepted = self.accepted & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }

    /// Bits are set one after the other and cleared by a reset only (2.1.1).
    fn set_status(&mut self, value: u8) -> Effect {
        if value == 0 {
            return Effect::Reset;
        }
        let mut bits = value & spec::STATUS_DRIVER_BITS;
        let wrong = self.accepted & !self.offered != 0 || self.accepted & spec::F_VERSION_1 == 0;
        if self.status & spec::STATUS_FEATURES_OK == 0 && wrong {
            bits &= !(spec::STATUS_FEATURES_OK | spec::STATUS_DRIVER_OK);
        }
        if (self.status | bits) & spec::STATUS_FEATURES_OK == 0 {
            bits &= !spec::STATUS_DRIVER_OK;
        }
        self.status |= bits;
        Effect::None
    }

    fn write_queue(&mut self, offset: u64, value: u32) {
        let vector = self.vector(value);
        let event_idx = self.accepted & spec::F_EVENT_IDX != 0;
        let negotiated = self.status & spec::STATUS_FEATURES_OK != 0;
        let Some(state) = self.queues.get_mut(usize::from(self.selected)) else { return };
        let queue = &mut state.queue;
        if offset == spec::QUEUE_VECTOR {
            state.vector = vector;
            return;
        }
        // An enabled queue does not change (4.1.4.3.2).
        if queue.ready() {
            return;
        }
        match offset {
            spec::QUEUE_SIZE => queue.set_size(value as u16),
            spec::QUEUE_ENABLE if value as u16 == 1 && negotiated => {
                queue.set_event_idx(event_idx);
                queue.set_ready(true);
            }
            0x20 => queue.set_desc_table_address(Some(value), None),
            0x24 => queue.set_desc_table_address(None, Some(value)),
            0x28 => queue.set_avail_ring_address(Some(value), None),
            0x2c => queue.set_avail_ring_address(None, Some(value)),
            0x30 => queue.set_used_ring_address(Some(value), None),
            0x34 => queue.set_used_ring_address(None, Some(value)),
            _ => {}
        }
    }
}

fn half(features: u64, select: u32) -> u32 {
    match select {
        0 => features as u32,
        1 => (features >> 32) as u32,
        _ => 0,
    }
}
