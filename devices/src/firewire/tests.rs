//! The bus without a controller: check sums, trees, numbers, locks.

mod tree;

use super::rom::{self, Directory};
use super::{csr, cycle_time};

#[test]
fn check_sums_of_known_blocks() {
    // The check value of the CRC-16 with this polynomial, and two leaves of a published example of a configuration ROM
    // (1394 Trade Association 1999027): "Vendor Name" and "Model Name".
    assert_eq!(rom::crc(&[0x3132_3334, 0x3536_3738]), crc_of_bytes(b"12345678"));
    assert_eq!(crc_of_bytes(b"123456789"), 0x31c3);
    assert_eq!(rom::crc(&[0, 0, 0x5665_6e64, 0x6f72_204e, 0x616d_6500]), 0xc915);
}

/// The same sum, written down differently: bit by bit over bytes.
fn crc_of_bytes(bytes: &[u8]) -> u16 {
    let mut crc = 0u32;
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1)).chain([0; 16]) {
        crc = crc << 1 | u32::from(bit);
        if crc & 0x1_0000 != 0 {
            crc ^= 0x1_1021;
        }
    }
    crc as u16
}

#[test]
fn a_rom_is_laid_out_as_offsets_say() {
    let unit = Directory::new().value(0x12, 0xa02d).text("u");
    let root = Directory::new().value(0x03, 7).text("abcd").directory(0xd1, unit);
    let bytes = rom::build(0xf000_a002, 0x0102_0304_0506_0708, &root);
    let quadlets: Vec<u32> =
        bytes.chunks(4).map(|four| u32::from_be_bytes(four.try_into().unwrap())).collect();
    assert_eq!(quadlets[0] >> 16, 0x0404);
    assert_eq!(quadlets[5] >> 16, 3);
    // Root: vendor at 6, text at 7 → leaf at 9, unit at 8 → directory at 13.
    assert_eq!(quadlets[6..9], [0x0300_0007, 0x8100_0002, 0xd100_0005]);
    assert_eq!((quadlets[9] >> 16, quadlets[12]), (3, 0x6162_6364));
    assert_eq!((quadlets[13] >> 16, quadlets[14], quadlets[15]), (2, 0x1200_a02d, 0x8100_0001));
    assert_eq!(quadlets[19], 0x7500_0000);
}

#[test]
fn locks_do_what_the_table_says() {
    use crate::spec::ieee1394::lock;
    let on = |kind, arg, data| csr::lock(kind, 10, arg, data);
    assert_eq!(on(lock::MASK_SWAP, 0xf, 5), Some(5));
    assert_eq!((on(lock::COMPARE_SWAP, 10, 5), on(lock::COMPARE_SWAP, 9, 5)), (Some(5), Some(10)));
    assert_eq!(on(lock::FETCH_ADD, 0, u32::MAX), Some(9));
    assert_eq!(on(lock::LITTLE_ADD, 0, 1 << 24), Some(10 | 1 << 24));
    assert_eq!((on(lock::BOUNDED_ADD, 10, 5), on(lock::BOUNDED_ADD, 9, 5)), (Some(10), Some(15)));
    assert_eq!((on(lock::WRAP_ADD, 10, 5), on(lock::WRAP_ADD, 9, 5)), (Some(5), Some(15)));
    assert_eq!(on(0, 0, 0), None);
}

#[test]
fn the_cycle_time_has_three_fields() {
    assert_eq!(cycle_time(0), 0);
    assert_eq!(cycle_time(125_000), 1 << 12);
    assert_eq!(cycle_time(1_000_000_000), 1 << 25);
    assert_eq!(cycle_time(128_000_000_000 + 124_999), 3071);
}
