//! The interface of a device model.

use crate::env::Env;

/// A base address register that a function asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarSpec {
    /// BAR number, 0–5.
    pub index: u8,
    /// Size in bytes, a power of two, at least 16.
    pub size: u64,
    /// 64-bit memory BAR (takes the next number too).
    pub wide: bool,
    /// Prefetchable.
    pub prefetchable: bool,
}

/// What a PCI function says about itself in configuration space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Class code: base class, subclass, programming interface.
    pub class: [u8; 3],
    /// Revision ID.
    pub revision: u8,
    /// Subsystem vendor ID and subsystem ID.
    pub subsystem: (u16, u16),
    /// BARs of the model itself (the MSI-X BAR is added by the function around it).
    pub bars: Vec<BarSpec>,
    /// MSI-X vectors, 0 = no MSI-X capability.
    pub msix_vectors: u16,
    /// MSI capability present (one vector).
    pub msi: bool,
    /// INTA# wired.
    pub intx: bool,
    /// Further capabilities, as bytes without the two header bytes: (capability id, body). Chained by the function around the model.
    pub capabilities: Vec<(u8, Vec<u8>)>,
}

/// A register range whose writes only notify (virtio doorbells): the machine may serve it without an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doorbell {
    /// BAR that holds it.
    pub bar: u8,
    /// Offset in the BAR, in bytes.
    pub offset: u64,
    /// Width of the access in bytes.
    pub width: u8,
    /// The value written, if it matters.
    pub value: Option<u64>,
    /// The machine may serve it without an exit. Else it only counts as a doorbell.
    pub collect: bool,
}

/// Something happened to what is plugged in behind a controller. Units are numbered in the order of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A unit comes to its port.
    Attach(usize),
    /// A unit leaves its port.
    Detach(usize),
    /// A port takes too much current, or does so no longer.
    Current {
        /// The hub; `None` = the controller itself.
        hub: Option<usize>,
        /// From 1.
        port: u8,
        /// Too much.
        over: bool,
    },
}

/// A device model: hardware as registers, time as tokens.
pub trait Device: Send {
    /// What the function says about itself. Constant.
    fn identity(&self) -> Identity;
    /// Reads `into.len()` bytes (1, 2, 4 or 8) at `offset` of BAR `bar`. Any offset within the BAR, aligned or not.
    fn read(&mut self, bar: u8, offset: u64, into: &mut [u8], env: &mut dyn Env);
    /// Writes `from` (1, 2, 4 or 8 bytes) at `offset` of BAR `bar`.
    fn write(&mut self, bar: u8, offset: u64, from: &[u8], env: &mut dyn Env);
    /// A time asked for with [`Env::at`] has come.
    fn tick(&mut self, token: u64, env: &mut dyn Env);
    /// Back to the state after power-on (function reset, secondary bus reset, plugged in again).
    fn reset(&mut self);
    /// Writes that only notify.
    fn doorbells(&self) -> Vec<Doorbell> {
        Vec::new()
    }
    /// Something happened to what is plugged in behind this controller. What is plugged in survives [`Device::reset`].
    fn news(&mut self, _news: News, _env: &mut dyn Env) {}
    /// Configuration space outside the standard header and the capabilities the wrapper knows was written (vendor-specific capability bodies).
    fn config_written(&mut self, _capability: usize, _offset: u8, _from: &[u8], _env: &mut dyn Env) {}
    /// A vendor-specific capability body is about to be read; the model may answer instead of the stored bytes.
    fn config_read(&mut self, _capability: usize, _offset: u8, _into: &mut [u8], _env: &mut dyn Env) -> bool {
        false
    }
}
