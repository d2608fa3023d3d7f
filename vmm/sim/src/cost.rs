//! What things cost in virtual time, in nanoseconds. Orders of magnitude of a real processor; part of what a seed means.

/// A point: the code between two places where something can happen.
pub(crate) const POINT: u64 = 50;
/// A turn of a spin loop.
pub(crate) const RELAX: u64 = 50;
/// A turn of a spin loop while every CPU that runs is spinning.
const RELAX_ALL: u64 = 1_000;
/// The same, when that has gone on for a while: nobody is about to stop by himself soon.
const RELAX_LONG: u64 = 10_000;
/// Turns before a CPU is taken to spin at all, and for long.
pub(crate) const SPINS: u32 = 8;
const LONG: u32 = 100;

/// The turn of a spin after `spins` others; `busy` if some CPU does something else. Never beyond what is due next: the caller sees to that.
pub(crate) fn relax(spins: u32, busy: bool) -> u64 {
    match spins {
        _ if busy => RELAX,
        0..SPINS => RELAX,
        SPINS..LONG => RELAX_ALL,
        _ => RELAX_LONG,
    }
}

/// A context switch.
pub(crate) const SWITCH: u64 = 200;
/// A device register or configuration space read: a round trip on the bus.
pub(crate) const READ: u64 = 500;
/// A device register or configuration space write: posted.
pub(crate) const WRITE: u64 = 150;
/// From the end of a handler to the next interrupt of the same line, if it is still asserted.
pub(crate) const LINE_AGAIN: u64 = 4 * POINT;
/// Most that a CPU loses at one decision.
pub(crate) const ELAPSE: u64 = 20_000;
/// Points of delay for each alternative of an interrupt's latency.
pub(crate) const LATENCY: [u64; 8] = [0, 1, 2, 4, 8, 32, 128, 512];
