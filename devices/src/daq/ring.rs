//! The ring in memory: where samples go, how full it is, what was lost.
//!
//! The indices count samples since power-on and never go back, modulo 2³²; the entry of index *i* is number *i* modulo the number of entries.

use super::sample;
use crate::env::{DmaError, Env};
use crate::spec::daq as spec;

/// What the driver says about the ring.
#[derive(Clone, Copy, Default)]
pub struct Setup {
    /// Entries.
    pub entries: u32,
    /// Bus address.
    pub base: u64,
    /// Samples ready that make an interrupt.
    pub threshold: u32,
}

impl Setup {
    /// Whether a card whose rings have up to `most` entries can work with it. Whether there is memory shows only when it is written.
    pub fn is_good(&self, most: u32) -> bool {
        let Self { entries, base, threshold } = *self;
        entries.is_power_of_two()
            && (2..=most).contains(&entries)
            && (1..=entries).contains(&threshold)
            && base.is_multiple_of(spec::RING_ALIGN)
            && base.checked_add(self.index_offset() + spec::INDEX_BYTES).is_some()
    }

    fn index_offset(&self) -> u64 {
        u64::from(self.entries) * spec::SAMPLE_BYTES as u64
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the ring.
    Written,
    /// The ring was full.
    Lost,
}

/// Counters and indices.
#[derive(Clone, Copy, Default)]
pub struct Ring {
    /// As the registers say; not changed while the card runs.
    pub setup: Setup,
    sequence: u32,
    producer: u32,
    consumer: u32,
    lost: u32,
}

impl Ring {
    /// Samples written.
    pub fn producer(&self) -> u32 {
        self.producer
    }

    /// Samples taken.
    pub fn consumer(&self) -> u32 {
        self.consumer
    }

    /// Samples lost.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Whether the indices can belong to this ring: a smaller one may have been set up since they were counted.
    pub fn fits(&self) -> bool {
        self.ready() <= self.setup.entries
    }

    /// Whether as many samples are ready as make an interrupt.
    pub fn is_due(&self) -> bool {
        self.ready() >= self.setup.threshold
    }

    fn ready(&self) -> u32 {
        self.producer.wrapping_sub(self.consumer)
    }

    /// The driver took the samples up to `index`. False: it cannot have, and nothing changes.
    pub fn consume(&mut self, index: u32) -> bool {
        let sane = index.wrapping_sub(self.consumer) <= self.ready();
        if sane {
            self.consumer = index;
        }
        sane
    }

    /// Writes the next sample, which has its number even if it is lost.
    pub fn put(&mut self, env: &mut dyn Env) -> Result<Put, DmaError> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        if self.ready() >= self.setup.entries {
            self.lost = self.lost.wrapping_add(1);
            return Ok(Put::Lost);
        }
        let entry = u64::from(self.producer & (self.setup.entries - 1));
        let at = self.setup.base + entry * spec::SAMPLE_BYTES as u64;
        env.dma_write(at, &sample::encode(sequence, self.lost))?;
        self.producer = self.producer.wrapping_add(1);
        Ok(Put::Written)
    }

    /// Tells memory how far the samples reach; after them, so that who sees the index sees the samples.
    pub fn publish(&self, env: &mut dyn Env) -> Result<(), DmaError> {
        env.dma_write(self.setup.base + self.setup.index_offset(), &self.producer.to_le_bytes())
    }
}
