//! Virtio 1.2 devices: the PCI transport, its queues, and the block device.
//!
//! What a driver does wrong in its rings sets DEVICE_NEEDS_RESET (2.1.2) or fails the request. Work is bounded: a notification looks at
//! no more requests than the queue has entries, a tick completes no more than that, and a request moves at most
//! [`block::MAX_REQUEST_BYTES`].

pub mod block;
mod chain;
mod common;
mod queue;
pub mod store;
mod transport;
mod window;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use queue::VirtQueue;
pub use transport::{Backend, VirtioPci};

use thiserror::Error;

/// The driver broke the rules of a queue: only a reset cures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the driver broke the rules of the queue")]
pub struct Broken;
