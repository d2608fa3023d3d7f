//! Requests, features and status of hubs (USB 2.0, 11.24; USB 3.2, 10.16).

use crate::family::usb::{HubFacts, PortStatus, Speed};

/// SetHubDepth of SuperSpeed hubs (USB 3.2, 10.16.2.9).
pub const SET_DEPTH: u8 = 12;
/// Port feature: reset.
pub const PORT_RESET: u16 = 4;
/// Port feature: power.
pub const PORT_POWER: u16 = 8;
/// Bytes of a hub descriptor that are asked for.
pub const DESCRIPTOR_BYTES: u16 = 12;
/// Bytes of a port's status.
pub const STATUS_BYTES: u16 = 4;
/// The change of a connection: bit 0 of the change word, feature C_PORT_CONNECTION.
const CONNECTION: u16 = 1 << 0;

/// Port features of the change bits 0–6 of hubs up to high speed (table 11-17), and of the changes that SuperSpeed adds.
const CHANGES: [(u16, u16); 7] =
    [(1 << 0, 16), (1 << 1, 17), (1 << 2, 18), (1 << 3, 19), (1 << 4, 20), (1 << 5, 29), (1 << 6, 25)];

/// The features to clear so that these changes are acknowledged.
pub fn changes(word: u16) -> impl Iterator<Item = u16> {
    CHANGES.into_iter().filter(move |(bit, _)| word & bit != 0).map(|(_, feature)| feature)
}

/// What the descriptor of a hub says: how many ports, think time, and how long power takes, ms. `None`: it is none.
pub fn describe(bytes: &[u8]) -> Option<(HubFacts, u64)> {
    let bytes = bytes.get(..7)?;
    let characteristics = u16::from_le_bytes([bytes[3], bytes[4]]);
    let facts = HubFacts { ports: bytes[2], think_time: (characteristics >> 5 & 3) as u8 };
    (facts.ports != 0).then_some((facts, 2 * u64::from(bytes[5])))
}

/// What the four bytes of a port's status say, and its change word. `speed`: the hub's own. `None`: too short.
pub fn status(bytes: &[u8], speed: Speed) -> Option<(PortStatus, u16)> {
    let bytes = bytes.get(..4)?;
    let (now, change) = (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]));
    let of_port = match speed {
        Speed::Super => Speed::Super,
        _ if now & 1 << 9 != 0 => Speed::Low,
        _ if now & 1 << 10 != 0 => Speed::High,
        _ => Speed::Full,
    };
    let status = PortStatus {
        connected: now & 1 << 0 != 0,
        enabled: now & 1 << 1 != 0,
        resetting: now & 1 << 4 != 0,
        changed: change & CONNECTION != 0,
        speed: Some(of_port),
    };
    Some((status, change))
}

/// The ports (0: the hub itself) that a bitmap of the status pipe names (11.12.4).
pub fn named(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let bits =
        bytes.iter().take(4).enumerate().fold(0u32, |bits, (n, &byte)| bits | u32::from(byte) << (8 * n));
    (0..32).filter(move |port| bits >> port & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_described() {
        let (facts, power) = describe(&[9, 0x29, 4, 0x20, 0, 50, 0, 0, 0xff]).expect("a hub");
        assert_eq!((facts.ports, facts.think_time, power), (4, 1, 100));
        assert_eq!(describe(&[9, 0x29, 0, 0, 0, 0, 0]), None);
        assert_eq!(describe(&[9, 0x29, 4]), None);
    }

    #[test]
    fn a_port_says_who_is_there() {
        let (port, change) = status(&[0x03, 0x02, 0x01, 0], Speed::High).expect("four bytes");
        assert!(port.connected && port.enabled && port.changed && !port.resetting);
        assert_eq!((port.speed, change), (Some(Speed::Low), 1));
        assert_eq!(status(&[1, 4, 0, 0], Speed::High).and_then(|(p, _)| p.speed), Some(Speed::High));
        assert_eq!(status(&[1, 0, 0, 0], Speed::Super).and_then(|(p, _)| p.speed), Some(Speed::Super));
        assert_eq!(status(&[1, 0, 0], Speed::Full), None);
    }

    #[test]
    fn changes_and_bitmaps_have_names() {
        assert!(changes(0b10001).eq([16, 20]));
        assert!(named(&[0b101, 0x80]).eq([0, 2, 15]));
        assert!(named(&[]).next().is_none());
    }
}
