//! Packets as the controller wants them, and as it writes them down (OHCI 1.1, 7.8 and 8.7). Tested alone; total over all bytes.

use crate::family::firewire::Packet;
use crate::family::firewire::standard::{LOCAL_BUS, tcode};
use alloc::vec::Vec;

/// Bytes of data of a received packet at the most: a block at S400.
const DATA_MAX: usize = 2048;

/// The header quadlets of a packet to be sent. What follows as data, if it does not stand in the header, is `packet.data`.
pub fn encode(packet: &Packet) -> Vec<u32> {
    let first = u32::from(packet.speed) << 16
        | u32::from(packet.label & 0x3f) << 10
        | 1 << 8
        | u32::from(packet.tcode & 0xf) << 4;
    let destination = u32::from(LOCAL_BUS << 6 | u16::from(packet.node & 0x3f)) << 16;
    let mut header = if tcode::is_response(packet.tcode) {
        [first, destination | u32::from(packet.rcode & 0xf) << 12, 0].to_vec()
    } else {
        [first, destination | (packet.offset >> 32) as u32 & 0xffff, packet.offset as u32].to_vec()
    };
    match packet.tcode {
        tcode::WRITE_QUADLET | tcode::READ_QUADLET_RESPONSE => {
            // Data stands in memory in the order of the bus.
            let mut quadlet = [0; 4];
            let count = packet.data.len().min(4);
            quadlet[..count].copy_from_slice(&packet.data[..count]);
            header.push(u32::from_le_bytes(quadlet));
        }
        code if tcode::is_block(code) => {
            let length = if code == tcode::READ_BLOCK { packet.wanted } else { packet.data.len() as u16 };
            header.push(u32::from(length) << 16 | u32::from(packet.extended));
        }
        _ => {}
    }
    header
}

/// Whether data follows the header of a packet that is sent.
pub fn has_data(packet: &Packet) -> bool {
    tcode::is_block(packet.tcode) && packet.tcode != tcode::READ_BLOCK && !packet.data.is_empty()
}

/// What stands at the beginning of received bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A packet, and how many bytes it has. `None`: one that is nobody's business (PHY packets, the one that tells of a bus reset).
    Whole(Option<Packet>, usize),
    /// Not all of it is there yet.
    Part,
    /// No packet.
    Nonsense,
}

/// Reads a packet.
pub fn decode(bytes: &[u8]) -> Received {
    let quadlet = |n: usize| {
        let four = bytes.get(4 * n..4 * n + 4)?;
        Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    let Some(first) = quadlet(0) else { return Received::Part };
    let code = (first >> 4 & 0xf) as u8;
    let known = tcode::is_request(code) || tcode::is_response(code) || code == tcode::PHY;
    if !known {
        return Received::Nonsense;
    }
    let header = if tcode::is_block(code) { 4 } else { 3 };
    let (Some(second), Some(third)) = (quadlet(1), quadlet(2)) else { return Received::Part };
    let (mut length, mut extended) = (0, 0);
    if tcode::is_block(code) {
        let Some(fourth) = quadlet(3) else { return Received::Part };
        (length, extended) = ((fourth >> 16) as u16, fourth as u16);
    }
    let data = match code {
        tcode::WRITE_QUADLET | tcode::READ_QUADLET_RESPONSE => 4,
        tcode::READ_BLOCK => 0,
        _ => usize::from(length),
    };
    if data > DATA_MAX {
        return Received::Nonsense;
    }
    let trailer = header + data.div_ceil(4);
    let Some(trailing) = quadlet(trailer) else { return Received::Part };
    let end = 4 * trailer + 4;
    if code == tcode::PHY {
        return Received::Whole(None, end);
    }
    let event = trailing >> 16 & 0x1f;
    let offset =
        if tcode::is_request(code) { u64::from(second & 0xffff) << 32 | u64::from(third) } else { 0 };
    let packet = Packet {
        node: (second >> 16 & 0x3f) as u8,
        label: (first >> 10 & 0x3f) as u8,
        tcode: code,
        speed: (trailing >> 21 & 7) as u8,
        offset,
        rcode: if tcode::is_response(code) { (second >> 12 & 0xf) as u8 } else { 0 },
        extended,
        wanted: if code == tcode::READ_BLOCK { length } else { 0 },
        data: bytes[4 * header..4 * header + data].to_vec(),
        stamp: trailing as u16,
        pending: event == super::regs::code::PENDING,
    };
    Received::Whole(Some(packet), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(quadlets: &[u32]) -> Vec<u8> {
        quadlets.iter().flat_map(|quadlet| quadlet.to_le_bytes()).collect()
    }

    #[test]
    fn a_block_write_has_its_length_and_a_quadlet_write_its_data_in_the_header() {
        let packet = Packet {
            node: 3,
            label: 5,
            tcode: tcode::WRITE_BLOCK,
            speed: 2,
            offset: 0xffff_f001_0000,
            data: [1; 8].to_vec(),
            ..Packet::default()
        };
        assert_eq!(encode(&packet), [2 << 16 | 5 << 10 | 1 << 8 | 1 << 4, 0xffc3_ffff, 0xf001_0000, 8 << 16]);
        assert!(has_data(&packet));
        let quadlet = Packet { tcode: tcode::WRITE_QUADLET, data: [1, 2, 3, 4].to_vec(), ..packet };
        assert_eq!((encode(&quadlet)[3], has_data(&quadlet)), (0x0403_0201, false));
    }

    #[test]
    fn what_is_received_is_whole_or_in_part() {
        let quadlets = [7 << 10 | 1 << 4, 0xffc2_0001, 64, 8 << 16, 0x0403_0201, 0x0807_0605, 0x0051_0123];
        let all = bytes(&quadlets);
        for end in 0..all.len() {
            assert_eq!(decode(&all[..end]), Received::Part, "{end}");
        }
        let Received::Whole(Some(packet), 28) = decode(&all) else { panic!("a packet") };
        assert_eq!((packet.node, packet.label, packet.offset, packet.speed), (2, 7, 1 << 32 | 64, 2));
        assert_eq!((packet.data, packet.pending, packet.stamp), ((1..=8).collect(), false, 0x0123));
        assert_eq!(decode(&bytes(&[0xe << 4, 0, 5 << 16, 0])), Received::Whole(None, 16));
    }

    #[test]
    fn no_bytes_are_believed_beyond_a_packet() {
        assert_eq!(decode(&[0xff; 64]), Received::Nonsense);
        assert_eq!(decode(&bytes(&[1 << 4, 0, 0, 0xffff_0000, 0])), Received::Nonsense);
        let mut seed = 1u32;
        for _ in 0..20_000 {
            let noise: Vec<u8> = (0..40)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            if let Received::Whole(_, end) = decode(&noise) {
                assert!(end > 0 && end <= noise.len());
            }
        }
    }
}
