//! Contexts in memory (6.2).

use super::{Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;

/// Bytes of a context that mean something.
const BYTES: usize = 32;

/// The words of a context that mean something.
pub type Words = [u32; 8];

/// What an input control context says (6.2.5.1): bit n = context n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Contexts to be disabled.
    pub drop: u32,
    /// Contexts to be taken over.
    pub add: u32,
}

/// A slot context (6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotContext(pub Words);

impl SlotContext {
    /// The way from the root port.
    pub fn route(&self) -> u32 {
        self.0[0] & 0xf_ffff
    }

    /// The number of the device's speed.
    pub fn speed(&self) -> u32 {
        self.0[0] >> 20 & 0xf
    }

    /// The number of the root port, from 1.
    pub fn root_port(&self) -> u8 {
        (self.0[1] >> 16) as u8
    }

    /// Number of the last context that means something.
    pub fn entries(&self) -> u32 {
        self.0[0] >> 27
    }

    /// The same with another number.
    pub fn set_entries(&mut self, entries: u32) {
        self.0[0] = self.0[0] & 0x07ff_ffff | entries << 27;
    }

    /// State of the slot (`spec::SLOT_…`).
    pub fn state(&self) -> u32 {
        self.0[3] >> 27
    }

    /// The same with another state and address.
    pub fn set_state(&mut self, state: u32, address: u8) {
        self.0[3] = state << 27 | u32::from(address);
    }
}

/// An endpoint context (6.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointContext(pub Words);

impl EndpointContext {
    /// State (`spec::EP_…`).
    pub fn state(&self) -> u32 {
        self.0[0] & 7
    }

    /// The same with another state.
    pub fn set_state(&mut self, state: u32) {
        self.0[0] = self.0[0] & !7 | state;
    }

    /// Streams, as a power of two.
    pub fn streams(&self) -> u32 {
        self.0[0] >> 10 & 0x1f
    }

    /// Machine ns from one service to the next.
    pub fn interval(&self) -> u64 {
        spec::MICROFRAME_NS << (self.0[0] >> 16 & 0xff).min(15)
    }

    /// Type (`spec::TYPE_…`).
    pub fn kind(&self) -> u32 {
        self.0[1] >> 3 & 7
    }

    /// Largest packet.
    pub fn packet(&self) -> u16 {
        (self.0[1] >> 16) as u16
    }

    /// The same with another one.
    pub fn set_packet(&mut self, packet: u16) {
        self.0[1] = self.0[1] & 0xffff | u32::from(packet) << 16;
    }

    /// TR dequeue pointer and cycle state.
    pub fn dequeue(&self) -> u64 {
        u64::from(self.0[3]) << 32 | u64::from(self.0[2])
    }

    /// The same with another one.
    pub fn set_dequeue(&mut self, pointer: u64) {
        self.0[2] = pointer as u32;
        self.0[3] = (pointer >> 32) as u32;
    }
}

impl Xhci {
    /// The distance from one context to the next.
    fn stride(&self) -> u64 {
        if self.settings.wide_contexts { 64 } else { 32 }
    }

    /// Reads context `index` of the list at `base`.
    pub(super) fn read_context(&mut self, base: u64, index: u32, env: &mut dyn Env) -> Result<Words, Fallen> {
        let mut bytes = [0; BYTES];
        let address = base.wrapping_add(u64::from(index) * self.stride());
        self.fetch(address, &mut bytes, env)?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Ok(std::array::from_fn(|index| word(index * 4)))
    }

    /// Writes context `index` of the list at `base`.
    pub(super) fn write_context(
        &mut self,
        base: u64,
        index: u32,
        words: &Words,
        env: &mut dyn Env,
    ) -> Result<(), Fallen> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.store(base.wrapping_add(u64::from(index) * self.stride()), &bytes, env)
    }

    /// Reads the input control context.
    pub(super) fn read_control(&mut self, base: u64, env: &mut dyn Env) -> Result<Control, Fallen> {
        let words = self.read_context(base, 0, env)?;
        Ok(Control { drop: words[0], add: words[1] })
    }

    /// The address of a slot's device context (6.1).
    pub(super) fn device_context(&mut self, slot: u8, env: &mut dyn Env) -> Result<u64, Fallen> {
        let mut bytes = [0; 8];
        self.fetch(self.contexts.wrapping_add(u64::from(slot) * 8), &mut bytes, env)?;
        Ok(u64::from_le_bytes(bytes) & !0x3f)
    }
}
