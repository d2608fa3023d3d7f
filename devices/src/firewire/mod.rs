//! FireWire: the IEEE 1394 bus behind a controller, with its nodes.
//!
//! ```text
//!  controller ─► Bus::send ─► Station ─► Node                  (arrives at once: the controller has waited for the wire)
//!      ▲                         │
//!      └── Output::Packet ◄── Queue ◄── response, requests of the node, timers
//! ```
//!
//! A bus is sans-IO: it is given the time with every call, and says when it wants to be called next. A bus reset begins with
//! [`Output::Reset`]; some time later the tree is known again and [`Output::SelfId`] has its self-ID packets. In between, no packet goes.

mod bus;
pub mod camera;
pub mod csr;
pub mod node;
pub mod packet;
pub mod phy;
pub mod plain;
mod queue;
pub mod rom;
pub mod sbp2;
pub mod station;
#[cfg(test)]
mod tests;
pub mod topology;
mod traffic;

pub use bus::{AttachError, Bus, Cabled, Delivery, HOST, Output};

use crate::spec::ieee1394::{CYCLES_PER_SECOND, TICKS_PER_CYCLE};

/// The cycle timer at machine time `now`: seconds (7 bits), cycles (13), ticks of 24.576 MHz (12) (IEEE 1394-1995, 8.3.2.3.1).
pub fn cycle_time(now: u64) -> u32 {
    // 24 576 000 a second, in lowest terms.
    let ticks = u128::from(now) * 3072 / 125_000;
    let (cycles, offset) =
        ((ticks / u128::from(TICKS_PER_CYCLE)) as u64, (ticks % u128::from(TICKS_PER_CYCLE)) as u32);
    let (seconds, cycle) = (cycles / CYCLES_PER_SECOND, cycles % CYCLES_PER_SECOND);
    (seconds as u32 & 0x7f) << 25 | (cycle as u32) << 12 | offset
}
