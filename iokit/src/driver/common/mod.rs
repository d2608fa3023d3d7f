//! What drivers of cards have in common: what they consist of between `start` and `stop`, and how that comes to its end.
//!
//! A removal, as the orders (a) to (d) want it:
//!
//! | callback | what a driver does | here |
//! |---|---|---|
//! | `willTerminate` | nothing starts any more, what is in flight is Offline, sleepers wake; no interrupt and no timer after it | [`Frame::go_offline`] |
//! | `didTerminate` | close the provider: now, or behind the last call that uses it | [`Holder::close_when_idle`] |
//! | `stop` | no DMA any more, then free what it went to | [`Holder::stop`] |
//!
//! [`Life`] is a driver that does just this; [`HostDriver`] is one with a bus behind it; [`Disk`] is what a
//! driver of a disk offers, [`ScsiDisk`] one that takes SCSI commands. [`UsbFrame`] adds what drivers of USB interfaces share, [`FireWireFrame`] what those of FireWire units do, and [`Subscriber`] is the user client of a driver
//! in which each client has a place.

pub mod disk;
mod firewire;
mod frame;
mod habits;
mod holder;
mod host;
mod life;
pub mod scsi;
mod scsi_disk;
mod subscriber;
mod usb;

pub use disk::{Disk, Request};
pub use firewire::FireWireFrame;
pub use frame::Frame;
pub use habits::{FireHabits, Right, UsbHabits};
pub use holder::{Holder, Parts};
pub use host::{Controller, HostDriver};
pub use life::{Kind, Life, card};
pub use scsi_disk::{Moves, ScsiDisk, Transport};
pub use subscriber::{Place, Subscriber};
pub use usb::UsbFrame;
