//! Workgate's virtual hardware: PCI, devices, the fault plane and plans.
//!
//! Models are sans-IO: they are called with `&mut self` and an [`env::Env`], hold no clock, no thread and no
//! file of their own, and are total over every guest input.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod device;
pub mod edu;
pub mod env;
pub mod fault;
pub mod pci;
pub mod platform;
pub mod spec;
pub mod virtio;
