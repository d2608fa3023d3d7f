//! Device and input contexts (xHCI 1.2, 6.2): what the driver tells of a device. Written into a copy first, tested alone.

use crate::family::usb::{Endpoint, EndpointKind, HubFacts, Place, Speed};
use alloc::vec;
use alloc::vec::Vec;

/// Contexts of a device: the slot's, and 31 endpoints'.
const CONTEXTS: usize = 32;

/// The number of an endpoint's context: 1 = endpoint 0 (4.5.1).
pub const fn index_of(address: u8) -> u8 {
    let number = address & 0x0f;
    if number == 0 { 1 } else { 2 * number + (address >> 7) }
}

/// Bytes of a device context, if one context has `each`.
pub const fn device_bytes(each: usize) -> u64 {
    (CONTEXTS * each) as u64
}

/// Bytes of an input context.
pub const fn input_bytes(each: usize) -> u64 {
    ((CONTEXTS + 1) * each) as u64
}

/// An input context that is being written.
pub struct Input {
    each: usize,
    bytes: Vec<u8>,
}

impl Input {
    /// Nothing is to be changed. `each`: bytes of a context, 32 or 64.
    pub fn new(each: usize) -> Self {
        Self { each, bytes: vec![0; input_bytes(each) as usize] }
    }

    /// The bytes, for the controller.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Word `word` of the context with this number, 0 = the slot's.
    fn word(&mut self, context: u8, word: usize, value: u32) {
        let at = (usize::from(context) + 1) * self.each + 4 * word;
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The context with this number is to be taken over (6.2.5.1).
    fn add(&mut self, context: u8) {
        let flags = u32::from_le_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]]);
        self.bytes[4..8].copy_from_slice(&(flags | 1 << context).to_le_bytes());
    }

    /// The slot (6.2.2), with contexts up to number `last`.
    pub fn slot(&mut self, place: &Place, last: u8, hub: Option<HubFacts>) {
        let hub_bit = u32::from(hub.is_some()) << 26;
        let speed = (place.speed as u32) << 20;
        self.word(0, 0, place.route & 0xf_ffff | speed | hub_bit | u32::from(last) << 27);
        let ports = hub.map_or(0, |hub| u32::from(hub.ports));
        self.word(0, 1, u32::from(place.root_port) << 16 | ports << 24);
        let think = match hub {
            Some(hub) if place.speed == Speed::High => u32::from(hub.think_time & 3) << 16,
            _ => 0,
        };
        let translator = place.translator.map_or(0, |(hub, port)| u32::from(hub.slot) | u32::from(port) << 8);
        self.word(0, 2, translator | think);
        self.add(0);
    }

    /// Endpoint 0 (6.2.3), with packets of `packet` bytes, and its ring at `ring`, cycle in bit 0.
    pub fn control(&mut self, packet: u16, ring: u64) {
        self.endpoint_words(1, 0, 4, u32::from(packet) << 16, ring, 8);
    }

    /// Any other endpoint.
    pub fn endpoint(&mut self, endpoint: &Endpoint, speed: Speed, ring: u64) {
        let kind = match endpoint.kind {
            EndpointKind::Control => 4,
            EndpointKind::Isochronous => 1,
            EndpointKind::Bulk => 2,
            EndpointKind::Interrupt => 3,
        };
        let kind = if endpoint.is_input() && kind != 4 { kind + 4 } else { kind };
        let periodic = matches!(endpoint.kind, EndpointKind::Isochronous | EndpointKind::Interrupt);
        let burst = if speed == Speed::Super || periodic { u32::from(endpoint.burst) } else { 0 };
        let interval = if periodic { u32::from(interval(endpoint, speed)) } else { 0 };
        let payload = u32::from(endpoint.packet) * (burst + 1);
        let average = if periodic { payload | payload << 16 } else { 1024.max(u32::from(endpoint.packet)) };
        let context = index_of(endpoint.address);
        self.endpoint_words(
            context,
            interval << 16,
            kind,
            u32::from(endpoint.packet) << 16 | burst << 8,
            ring,
            average,
        );
    }

    fn endpoint_words(&mut self, context: u8, first: u32, kind: u32, sizes: u32, ring: u64, average: u32) {
        self.word(context, 0, first);
        // Three attempts before a transaction error is one (CErr).
        self.word(context, 1, sizes | kind << 3 | 3 << 1);
        self.word(context, 2, ring as u32);
        self.word(context, 3, (ring >> 32) as u32);
        self.word(context, 4, average);
        self.add(context);
    }
}

/// The interval as an exponent of 125 µs (table 6-12).
fn interval(endpoint: &Endpoint, speed: Speed) -> u8 {
    let given = endpoint.interval.max(1);
    match speed {
        Speed::High | Speed::Super => given.min(16) - 1,
        Speed::Full if endpoint.kind == EndpointKind::Isochronous => given.min(16) + 2,
        // In frames of 1 ms: the power of two that is not longer.
        Speed::Full | Speed::Low => (7 - given.leading_zeros() as u8) + 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(input: &Input, context: usize, word: usize) -> u32 {
        let at = context * input.each + 4 * word;
        u32::from_le_bytes(input.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    #[test]
    fn contexts_are_numbered_out_before_in() {
        assert_eq!([0x00, 0x80, 0x01, 0x81, 0x0f, 0x8f].map(index_of), [1, 1, 2, 3, 30, 31]);
    }

    #[test]
    fn a_device_behind_a_hub() {
        for each in [32, 64] {
            let mut input = Input::new(each);
            let place = Place { root_port: 5, route: 0x21, depth: 2, speed: Speed::High, translator: None };
            let stick =
                Endpoint { address: 0x81, kind: EndpointKind::Bulk, packet: 512, burst: 0, interval: 0 };
            input.slot(&place, 3, None);
            input.endpoint(&stick, Speed::High, 0x1_0000_0041);
            assert_eq!(word(&input, 0, 1), 0b1001);
            assert_eq!(word(&input, 1, 0), 3 << 27 | 3 << 20 | 0x21);
            assert_eq!(word(&input, 1, 1), 5 << 16);
            assert_eq!(word(&input, 4, 1), 512 << 16 | 6 << 3 | 6);
            assert_eq!((word(&input, 4, 2), word(&input, 4, 3)), (0x41, 1));
        }
    }

    #[test]
    fn intervals_are_exponents() {
        let endpoint = |interval| Endpoint {
            address: 0x81,
            kind: EndpointKind::Interrupt,
            packet: 8,
            burst: 0,
            interval,
        };
        for (given, speed, expected) in [
            (10, Speed::Low, 6),
            (255, Speed::Full, 10),
            (1, Speed::Full, 3),
            (0, Speed::Full, 3),
            (4, Speed::High, 3),
            (200, Speed::High, 15),
        ] {
            assert_eq!(interval(&endpoint(given), speed), expected, "{given}");
        }
    }
}
