//! Descriptors (USB 2.0, 9.6): what a device says of itself. Total over all bytes: what makes no sense is left out or refused, and nothing
//! that a device says makes more than a bounded number of anything.

use super::standard;
use alloc::vec::Vec;

/// Bytes of a device descriptor.
pub const DEVICE_BYTES: usize = 18;
/// Bytes of a configuration's head.
pub const CONFIGURATION_BYTES: usize = 9;
/// Bytes of a whole configuration that are read at the most.
pub const CONFIGURATION_MAX: u16 = 4096;
/// Interfaces (alternate settings too) of a configuration that are kept.
const INTERFACES_MAX: usize = 32;
/// Endpoints of an interface that are kept: 15 in each direction.
const ENDPOINTS_MAX: usize = 30;

/// A device descriptor (table 9-8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceDescriptor {
    /// Class, or 0: each interface has its own.
    pub class: u8,
    /// Subclass.
    pub subclass: u8,
    /// Protocol.
    pub protocol: u8,
    /// Packet size of endpoint 0 as it stands there: an exponent at SuperSpeed.
    pub packet: u8,
    /// Vendor.
    pub vendor: u16,
    /// Product.
    pub product: u16,
    /// Release.
    pub release: u16,
}

impl DeviceDescriptor {
    /// Reads one. `None` if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..DEVICE_BYTES)?;
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let sound = usize::from(bytes[0]) >= DEVICE_BYTES && bytes[1] == standard::DEVICE;
        sound.then(|| Self {
            class: bytes[4],
            subclass: bytes[5],
            protocol: bytes[6],
            packet: bytes[7],
            vendor: word(8),
            product: word(10),
            release: word(12),
        })
    }
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Requests.
    Control,
    /// A stream in time.
    Isochronous,
    /// Much, whenever there is room.
    Bulk,
    /// Little, soon.
    Interrupt,
}

/// An endpoint descriptor, with its companion (tables 9-13 and USB 3.2 9-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Number, and bit 7: to the host.
    pub address: u8,
    /// What it is for.
    pub kind: EndpointKind,
    /// Bytes of a packet, 1–1024.
    pub packet: u16,
    /// Packets in a burst, less one.
    pub burst: u8,
    /// bInterval as it stands there.
    pub interval: u8,
}

impl Endpoint {
    /// Whether data comes from the device.
    pub fn is_input(&self) -> bool {
        self.address & standard::IN != 0
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..7)?;
        let address = bytes[2] & 0x8f;
        let kind = match bytes[3] & 3 {
            0 => EndpointKind::Control,
            1 => EndpointKind::Isochronous,
            2 => EndpointKind::Bulk,
            _ => EndpointKind::Interrupt,
        };
        let word = u16::from_le_bytes([bytes[4], bytes[5]]);
        let packet = word & 0x7ff;
        let sound = address & 0x0f != 0 && (1..=1024).contains(&packet);
        // Bits 12:11: more transactions in a microframe, for periodic endpoints at high speed.
        let burst = (word >> 11 & 3) as u8;
        sound.then_some(Self { address, kind, packet, burst: burst.min(2), interval: bytes[6] })
    }
}

/// An interface, in one of its alternate settings (table 9-12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Number.
    pub number: u8,
    /// Alternate setting.
    pub alternate: u8,
    /// Class.
    pub class: u8,
    /// Subclass.
    pub subclass: u8,
    /// Protocol.
    pub protocol: u8,
    /// Its endpoints, none twice.
    pub endpoints: Vec<Endpoint>,
}

impl Interface {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..9)?;
        Some(Self {
            number: bytes[2],
            alternate: bytes[3],
            class: bytes[5],
            subclass: bytes[6],
            protocol: bytes[7],
            endpoints: Vec::new(),
        })
    }

    /// The first endpoint of this kind and direction.
    pub fn find(&self, kind: EndpointKind, input: bool) -> Option<Endpoint> {
        self.endpoints.iter().copied().find(|e| e.kind == kind && e.is_input() == input)
    }
}

/// A configuration with all that is in it (table 9-10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What SET_CONFIGURATION wants.
    pub value: u8,
    /// Interfaces in their settings, in order.
    pub interfaces: Vec<Interface>,
}

impl Configuration {
    /// Bytes of the whole, from its head; not believed beyond [`CONFIGURATION_MAX`]. `None` if that is no head.
    pub fn total(bytes: &[u8]) -> Option<u16> {
        let bytes = bytes.get(..CONFIGURATION_BYTES)?;
        let total = u16::from_le_bytes([bytes[2], bytes[3]]).min(CONFIGURATION_MAX);
        let sound = bytes[1] == standard::CONFIGURATION && usize::from(total) >= CONFIGURATION_BYTES;
        sound.then_some(total)
    }

    /// Reads a whole one. `None` if it does not begin as one; what does not make sense further on ends the reading.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let total = usize::from(Self::total(bytes)?);
        let mut configuration = Self { value: bytes[5], interfaces: Vec::new() };
        let mut rest = bytes.get(..total).unwrap_or(bytes);
        // An interface beyond the limit takes its endpoints with it.
        let mut open = false;
        while let Some((one, next)) = split(rest) {
            match one[1] {
                standard::INTERFACE => open = configuration.add_interface(one),
                standard::ENDPOINT if open => configuration.add_endpoint(one),
                standard::COMPANION if open => configuration.add_companion(one),
                _ => {}
            }
            rest = next;
        }
        Some(configuration)
    }

    fn add_interface(&mut self, bytes: &[u8]) -> bool {
        match Interface::parse(bytes) {
            Some(interface) if self.interfaces.len() < INTERFACES_MAX => {
                self.interfaces.push(interface);
                true
            }
            _ => false,
        }
    }

    fn add_endpoint(&mut self, bytes: &[u8]) {
        let (Some(endpoint), Some(interface)) = (Endpoint::parse(bytes), self.interfaces.last_mut()) else {
            return;
        };
        let twice = interface.endpoints.iter().any(|e| e.address == endpoint.address);
        if !twice && interface.endpoints.len() < ENDPOINTS_MAX {
            interface.endpoints.push(endpoint);
        }
    }

    fn add_companion(&mut self, bytes: &[u8]) {
        let endpoint = self.interfaces.last_mut().and_then(|i| i.endpoints.last_mut());
        if let (Some(endpoint), Some(&burst)) = (endpoint, bytes.get(2)) {
            endpoint.burst = burst.min(15);
        }
    }

    /// The interfaces as SET_CONFIGURATION leaves them: alternate setting 0 of each.
    pub fn active(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(|interface| interface.alternate == 0)
    }

    /// The endpoints of those, none twice.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let mut all: Vec<Endpoint> = Vec::new();
        for endpoint in self.active().flat_map(|interface| &interface.endpoints) {
            if all.iter().all(|e| e.address != endpoint.address) {
                all.push(*endpoint);
            }
        }
        all
    }
}

/// The first descriptor, at least two bytes, and what follows it. `None` at the end, and where a length makes no sense.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?);
    (length >= 2).then(|| bytes.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stick: one interface, two bulk endpoints.
    const STICK: [u8; 32] = [
        9, 2, 32, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 8, 6, 0x50, 0, 7, 5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2,
        0, 2, 0,
    ];

    #[test]
    fn a_stick_is_understood() {
        let configuration = Configuration::parse(&STICK).expect("a configuration");
        let interface = &configuration.interfaces[0];
        assert_eq!(
            (configuration.value, interface.class, interface.subclass, interface.protocol),
            (1, 8, 6, 0x50)
        );
        let input = interface.find(EndpointKind::Bulk, true).expect("bulk in");
        assert_eq!((input.address, input.packet), (0x81, 512));
        assert_eq!(interface.find(EndpointKind::Bulk, false).map(|e| e.address), Some(2));
        assert_eq!(interface.find(EndpointKind::Interrupt, true), None);
        assert_eq!(configuration.endpoints().len(), 2);
    }

    #[test]
    fn a_device_descriptor_is_read_and_others_are_not() {
        let mut bytes = [0u8; 18];
        bytes[..8].copy_from_slice(&[18, 1, 0, 2, 9, 0, 1, 64]);
        bytes[8..12].copy_from_slice(&[0x34, 0x12, 0x78, 0x56]);
        let device = DeviceDescriptor::parse(&bytes).expect("a device");
        assert_eq!((device.class, device.packet, device.vendor, device.product), (9, 64, 0x1234, 0x5678));
        assert_eq!(DeviceDescriptor::parse(&bytes[..17]), None);
        bytes[1] = 2;
        assert_eq!(DeviceDescriptor::parse(&bytes), None);
    }

    #[test]
    fn no_bytes_at_all_do_harm() {
        // Every prefix, and every byte of the stick replaced by each of a few values.
        for end in 0..=STICK.len() {
            let _ = Configuration::parse(&STICK[..end]);
        }
        for at in 0..STICK.len() {
            for value in [0, 1, 2, 3, 7, 9, 0x7f, 0x80, 0xff] {
                let mut bytes = STICK;
                bytes[at] = value;
                if let Some(configuration) = Configuration::parse(&bytes) {
                    assert!(configuration.endpoints().iter().all(|e| e.packet != 0 && e.address & 0xf != 0));
                }
            }
        }
        // Noise, from a little generator.
        let mut state = 1u32;
        for length in 0..600usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            let mut headed = bytes.clone();
            headed.splice(0..0, [9, 2, 0xff, 0xff, 1, 1, 0, 0, 0]);
            let configuration = Configuration::parse(&headed).expect("it has a head");
            assert!(configuration.interfaces.len() <= INTERFACES_MAX);
            let _ = DeviceDescriptor::parse(&bytes);
        }
    }

    #[test]
    fn a_length_of_zero_ends_the_reading() {
        let mut bytes = STICK;
        bytes[18] = 0;
        let configuration = Configuration::parse(&bytes).expect("a configuration");
        assert_eq!(configuration.interfaces[0].endpoints, []);
    }

    #[test]
    fn many_interfaces_are_cut_off_with_their_endpoints() {
        let mut bytes = STICK[..9].to_vec();
        bytes[2..4].copy_from_slice(&4096u16.to_le_bytes());
        for n in 0..60u8 {
            bytes.extend([9, 4, n, 0, 1, 8, 6, 0x50, 0, 7, 5, 0x81, 2, 0, 2, 0]);
        }
        let configuration = Configuration::parse(&bytes).expect("a configuration");
        assert_eq!(configuration.interfaces.len(), INTERFACES_MAX);
        assert!(configuration.interfaces.iter().all(|i| i.endpoints.len() == 1));
        assert_eq!(configuration.endpoints().len(), 1);
    }
}
