//! Numbers of the USB standard that the family and its drivers use (USB 2.0 chapters 9 and 11, USB 3.2 chapter 9).

/// A device request: the setup stage of a control transfer (USB 2.0, 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Direction, type, recipient (bmRequestType).
    pub kind: u8,
    /// Which request (bRequest).
    pub request: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// Bytes of the data stage at the most (wLength).
    pub length: u16,
}

impl Setup {
    /// Whether data comes from the device.
    pub fn is_input(&self) -> bool {
        self.kind & IN != 0
    }

    /// The eight bytes on the wire.
    pub fn encode(&self) -> [u8; 8] {
        let [v0, v1] = self.value.to_le_bytes();
        let [i0, i1] = self.index.to_le_bytes();
        let [l0, l1] = self.length.to_le_bytes();
        [self.kind, self.request, v0, v1, i0, i1, l0, l1]
    }
}

/// bmRequestType: device to host.
pub const IN: u8 = 0x80;
/// bmRequestType: a request of the device's class.
pub const CLASS: u8 = 0x20;
/// bmRequestType: to an interface.
pub const TO_INTERFACE: u8 = 0x01;
/// bmRequestType: to an endpoint.
pub const TO_ENDPOINT: u8 = 0x02;
/// bmRequestType: to something else (a hub's port).
pub const TO_OTHER: u8 = 0x03;

/// GET_STATUS (9.4.5).
pub const GET_STATUS: u8 = 0;
/// CLEAR_FEATURE (9.4.1).
pub const CLEAR_FEATURE: u8 = 1;
/// SET_FEATURE (9.4.9).
pub const SET_FEATURE: u8 = 3;
/// GET_DESCRIPTOR (9.4.3).
pub const GET_DESCRIPTOR: u8 = 6;
/// SET_CONFIGURATION (9.4.7).
pub const SET_CONFIGURATION: u8 = 9;
/// Feature: an endpoint is halted.
pub const ENDPOINT_HALT: u16 = 0;

/// Descriptor of a device (table 9-5).
pub const DEVICE: u8 = 1;
/// Descriptor of a configuration.
pub const CONFIGURATION: u8 = 2;
/// Descriptor of an interface.
pub const INTERFACE: u8 = 4;
/// Descriptor of an endpoint.
pub const ENDPOINT: u8 = 5;
/// Descriptor of a hub (11.23.2.1).
pub const HUB: u8 = 0x29;
/// Descriptor of a SuperSpeed hub (USB 3.2, 10.15.2.1).
pub const SUPER_HUB: u8 = 0x2a;
/// Companion of an endpoint at SuperSpeed (USB 3.2, 9.6.7).
pub const COMPANION: u8 = 0x30;

/// Class of human interface devices.
pub const CLASS_HID: u8 = 0x03;
/// Class of communication devices.
pub const CLASS_CDC: u8 = 0x02;
/// Class of mass storage.
pub const CLASS_STORAGE: u8 = 0x08;
/// Class of hubs.
pub const CLASS_HUB: u8 = 0x09;
/// Class of the data interfaces of communication devices.
pub const CLASS_CDC_DATA: u8 = 0x0a;

/// How fast a device talks. The numbers are those of xHCI's default speed IDs (xHCI 1.2, 7.2.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speed {
    /// 12 Mbit/s.
    Full = 1,
    /// 1.5 Mbit/s.
    Low = 2,
    /// 480 Mbit/s.
    High = 3,
    /// 5 Gbit/s and more.
    Super = 4,
}

impl Speed {
    /// The speed with this default ID; what is faster than SuperSpeed counts as that.
    pub fn from_id(id: u32) -> Option<Self> {
        match id {
            1 => Some(Self::Full),
            2 => Some(Self::Low),
            3 => Some(Self::High),
            4..=7 => Some(Self::Super),
            _ => None,
        }
    }

    /// Packet size of endpoint 0 until the device descriptor says more (xHCI 1.2, 4.3).
    pub fn first_packet(self) -> u16 {
        match self {
            Self::Low | Self::Full => 8,
            Self::High => 64,
            Self::Super => 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_is_little_endian() {
        let setup = Setup { kind: IN, request: GET_DESCRIPTOR, value: 0x0100, index: 0x0302, length: 18 };
        assert_eq!(setup.encode(), [0x80, 6, 0, 1, 2, 3, 18, 0]);
        assert!(setup.is_input());
    }

    #[test]
    fn speeds_have_the_numbers_of_xhci() {
        for speed in [Speed::Full, Speed::Low, Speed::High, Speed::Super] {
            assert_eq!(Speed::from_id(speed as u32), Some(speed));
        }
        assert_eq!((Speed::from_id(0), Speed::from_id(8)), (None, None));
    }
}
