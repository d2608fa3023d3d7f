//! The fault plane: carries out a plan's rules.
//!
//! Device sites ([`Site`]) are counted from power-on at one choke point of the platform, before the access takes effect. An action that a
//! count triggers is applied at once, at that very access: with `on edu0.mmio.write #40 unplug edu0` the fortieth write
//! vanishes; a read at which the card goes returns all ones; a DMA access at which it goes transfers its first half; an interrupt or a tick
//! at which it goes does not happen. What the guest does (any word of [`trace::Kind`] about the slot's nub) is counted as its events
//! arrive.
//!
//! What goes wrong is of three kinds. Cards come and go ([`Act`]); what happens to a card's interrupts, DMA writes and work is kept beside the
//! card ([`Faults`]) and asked at the place where it happens, so that models stay honest hardware; and what happens to processors and
//! memory is asked of the machine ([`crate::platform::Ask`]).

mod act;
mod chance;
mod faults;
mod guest;
mod hardware;
mod rules;
mod site;

pub use faults::{Fate, Faults, HeldWrite, Write};
pub use guest::Hit;
pub use rules::{Act, Plane, resolve};
pub use site::{SITES, Site, guest_kind, guest_word};
