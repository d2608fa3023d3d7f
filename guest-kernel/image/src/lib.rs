//! The guest kernel image, built for the machine and embedded.
//!
//! [`IMAGE`] is an ELF file with a PVH note: any loader that knows the x86/HVM direct boot ABI can start it. It holds only what
//! is loaded; its last segment is the table of its functions, from which the kernel names the frames of a
//! backtrace, and the host addresses of the guest ([`function_at`]).
#![forbid(unsafe_code)]

extern crate alloc;

#[path = "../../src/symbols.rs"]
pub mod symbols;

/// The image.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-guest.elf"));

/// Its table of functions, in the format of [`symbols`].
pub static SYMBOLS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-guest.symbols"));

/// The same kernel as the linker left it, with sections and debug information: for debuggers. Costs nothing in a program that does
/// not name it.
pub static DEBUG_IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-guest.debug"));

/// The image of the user programs, which is part of [`IMAGE`].
pub static USER_IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-user.elf"));

/// The same as the linker left it: for debuggers.
pub static USER_DEBUG_IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workgate-user.debug"));

/// Where the image counts the edges that it has passed, one byte each: guest address and number of counters. `None` unless it was built with
/// `WORKGATE_COVERAGE=1`.
pub const COUNTERS: Option<(u64, u64)> = include!(concat!(env!("OUT_DIR"), "/counters.rs"));

/// The function of [`IMAGE`] that contains guest address `address`, and the distance from its beginning.
pub fn function_at(address: u64) -> Option<(&'static str, u64)> {
    symbols::Symbols::new(SYMBOLS)?.find(address)
}
