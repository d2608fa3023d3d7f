//! Virtio 1.2 devices.

pub mod store;
