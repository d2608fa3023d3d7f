//! The guest kernel image with the rules' tests in it: the kernel of `guest-image`, and the crate `conformance`.
//!
//! A crate of its own, so that programs do not carry what only tests boot.
#![forbid(unsafe_code)]

/// The image: an ELF file with a PVH note. `conform=` on its command line names the tests.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-guest.elf"));
