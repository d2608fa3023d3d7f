//! The control socket: a running machine is watched and steered by the QEMU Machine Protocol (QMP).
//!
//! # The way of a command
//!
//! [`Server`] has one thread, which never waits for a client: bytes go into the client's [`session`], a state machine that does no I/O. It cuts
//! them into JSON objects ([`framer`]), checks each against the table of [`commands`], and answers what needs no machine. The rest becomes an order on
//! the [`Desk`]. The machine takes orders between two of its steps, on its own thread, and a [`Controller`] carries them out; answers and events go
//! back over the desk. So no thread but the machine's own ever touches the machine, and no client can make it wait: what a client does not read
//! is kept up to a bound, and then the client is dropped.
//!
//! Everything that comes from a client is hostile: messages, queues and clients are bounded ([`limits`]).
#![forbid(unsafe_code)]

pub mod commands;
mod controller;
mod desk;
mod devices_of;
pub mod framer;
pub mod limits;
mod machine;
pub mod message;
mod monitor;
mod outbox;
mod pci;
mod schema;
mod server;
pub mod session;
mod socket;

pub use commands::Command;
pub use controller::{Controller, Over};
pub use desk::{Desk, Order};
pub use machine::{Cpu, Machine, Story};
pub use message::{Answer, Failure};
pub use server::{Server, ServerError};
pub use socket::{Socket, SocketError};
