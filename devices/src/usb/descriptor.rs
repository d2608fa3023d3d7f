//! Descriptors, as bytes (9.6).

use super::gadget::Speed;
use crate::spec::usb as spec;

/// What a device says about itself.
#[derive(Clone, Debug)]
pub struct Descriptors {
    /// Vendor ID.
    pub vendor: u16,
    /// Product ID.
    pub product: u16,
    /// Class, subclass, protocol; zero = its interfaces say.
    pub class: [u8; 3],
    /// Name of the product.
    pub name: &'static str,
    /// Serial number; empty = none.
    pub serial: String,
    /// The one configuration.
    pub configuration: Configuration,
}

/// A configuration, built descriptor by descriptor (9.6.3).
#[derive(Clone, Debug)]
pub struct Configuration {
    speed: Speed,
    interfaces: u8,
    endpoints: Vec<(u8, u16)>,
    bytes: Vec<u8>,
    /// Where the number of endpoints of the last interface stands.
    count_at: usize,
}

impl Configuration {
    /// One without interfaces, for a device at `speed`.
    pub fn new(speed: Speed) -> Self {
        Self { speed, interfaces: 0, endpoints: Vec::new(), bytes: Vec::new(), count_at: 0 }
    }

    /// The next interface, of this class, subclass and protocol (9.6.5).
    #[must_use]
    pub fn interface(mut self, class: [u8; 3]) -> Self {
        self.count_at = self.bytes.len() + 4;
        let number = self.interfaces;
        self.bytes.extend([9, spec::DESCRIPTOR_INTERFACE, number, 0, 0, class[0], class[1], class[2], 0]);
        self.interfaces += 1;
        self
    }

    /// A descriptor of a class.
    #[must_use]
    pub fn extra(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// An endpoint of the last interface (9.6.6): its address (bit 7: IN), kind, largest packet and interval; with its companion at
    /// SuperSpeed.
    #[must_use]
    pub fn endpoint(mut self, address: u8, kind: u8, packet: u16, interval: u8) -> Self {
        if let Some(count) = self.bytes.get_mut(self.count_at) {
            *count += 1;
        }
        self.endpoints.push((address, packet));
        let [low, high] = packet.to_le_bytes();
        self.bytes.extend([7, spec::DESCRIPTOR_ENDPOINT, address, kind, low, high, interval]);
        if self.speed == Speed::Super {
            let per_interval = if kind == spec::INTERRUPT { packet } else { 0 };
            let [low, high] = per_interval.to_le_bytes();
            self.bytes.extend([6, spec::DESCRIPTOR_COMPANION, 0, 0, low, high]);
        }
        self
    }

    /// The largest packet of an endpoint, by its address; `None` if it has no such endpoint.
    pub fn packet(&self, address: u8) -> Option<u16> {
        self.endpoints.iter().find(|(other, _)| *other == address).map(|(_, packet)| *packet)
    }

    /// Number of interfaces.
    pub fn interfaces(&self) -> u8 {
        self.interfaces
    }

    /// The whole configuration as GET_DESCRIPTOR answers it.
    pub fn bytes(&self) -> Vec<u8> {
        let [low, high] = ((self.bytes.len() + 9) as u16).to_le_bytes();
        let attributes = spec::ATTRIBUTE_ONE | spec::ATTRIBUTE_SELF_POWERED;
        let mut all =
            vec![9, spec::DESCRIPTOR_CONFIGURATION, low, high, self.interfaces, 1, 0, attributes, 0];
        all.extend(&self.bytes);
        all
    }
}

/// Largest packet of the control endpoint, in bytes (5.5.3; USB 3.2, 9.6.1).
pub fn control_packet(speed: Speed) -> u16 {
    match speed {
        Speed::Low => 8,
        Speed::Full | Speed::High => 64,
        Speed::Super => 512,
    }
}

impl Descriptors {
    /// The device descriptor (9.6.1).
    pub fn device(&self, speed: Speed) -> Vec<u8> {
        let (version, packet) = match speed {
            Speed::Super => ([0x00, 0x03], 9),
            speed => ([0x00, 0x02], control_packet(speed) as u8),
        };
        let mut bytes = vec![18, spec::DESCRIPTOR_DEVICE, version[0], version[1]];
        bytes.extend(self.class);
        bytes.push(packet);
        bytes.extend(self.vendor.to_le_bytes());
        bytes.extend(self.product.to_le_bytes());
        bytes.extend([0x00, 0x01, 1, 2, if self.serial.is_empty() { 0 } else { 3 }, 1]);
        bytes
    }

    /// What the device would be at the other of full and high speed (9.6.2): the same.
    pub fn qualifier(&self) -> Vec<u8> {
        let mut bytes = vec![10, spec::DESCRIPTOR_QUALIFIER, 0x00, 0x02];
        bytes.extend(self.class);
        bytes.extend([64, 1, 0]);
        bytes
    }

    /// A string (9.6.7); string 0 is the list of languages.
    pub fn string(&self, index: u8) -> Option<Vec<u8>> {
        let units: Vec<u16> = match index {
            0 => vec![spec::LANGUAGE],
            1 => "Workgate".encode_utf16().collect(),
            2 => self.name.encode_utf16().collect(),
            3 if !self.serial.is_empty() => self.serial.encode_utf16().take(126).collect(),
            _ => return None,
        };
        let mut bytes = vec![(units.len() * 2 + 2) as u8, spec::DESCRIPTOR_STRING];
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        Some(bytes)
    }
}

/// The binary object store of a device that can do SuperSpeed (USB 3.2, 9.6.2): USB 2.0 extension and SuperSpeed capability.
pub fn object_store() -> Vec<u8> {
    let mut bytes = vec![5, spec::DESCRIPTOR_BOS, 22, 0, 2];
    bytes.extend([7, spec::DESCRIPTOR_CAPABILITY, 2, 0, 0, 0, 0]);
    // Speeds: full, high, super; all functions from full speed on; no U1 or U2 latency.
    bytes.extend([10, spec::DESCRIPTOR_CAPABILITY, 3, 0, 0x0e, 0, 1, 0, 0, 0]);
    bytes
}
