//! Workgate's virtual hardware: PCI, devices, the fault plane and plans.
//!
//! One access of the guest, from top to bottom:
//!
//! ```text
//!  mmio_read(0xc100_0024)        platform::Platform      which BAR is that? (ports' windows, command bits)
//!        │
//!  core.site(slot, MmioRead)     fault::plane            counts; a rule may pull the card at this very access
//!        │                                               (then: all ones)
//!  model.read(bar, offset, env)  device::Device          edu, virtio
//!        │
//!  env.dma_write / raise / at    platform's Env          the card's connection to the bus: counted again, and gone as soon as
//!        │                                               the card is
//!  host.message / line / fault   platform::Host          the machine: KVM or the simulator
//! ```
//!
//! Models are sans-IO: they are called with `&mut self` and an [`env::Env`], hold no clock, no thread and no
//! file of their own, and are total over every guest input. A model does not know that it can be pulled out: the `Env` that it is given
//! stops working. [`catalogue`] lists the models and checks what a plan says about them.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod daq;
pub mod device;
pub mod edu;
pub mod env;
pub mod fault;
pub mod firewire;
pub mod memory;
pub mod ohci;
pub mod pci;
pub mod platform;
pub mod spec;
pub mod usb;
pub mod virtio;
pub mod xhci;
