//! The ports of a hub, as the bus sees them: requests to the hub's endpoint 0.

use super::parts::Parts;
use super::wire;
use crate::family::usb::standard::{CLASS, CLEAR_FEATURE, GET_STATUS, IN, SET_FEATURE, TO_OTHER};
use crate::family::usb::{Device, PortStatus, Ports, Setup};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::sync::{Arc, Weak};

/// The ports of one hub.
pub struct HubPorts {
    device: Arc<Device>,
    count: u8,
    parts: Weak<Parts>,
}

impl HubPorts {
    /// The `count` ports of `device`, whose driver has `parts`.
    pub fn new(device: &Arc<Device>, count: u8, parts: Weak<Parts>) -> Self {
        Self { device: device.clone(), count, parts }
    }

    fn feature(&self, request: u8, feature: u16, port: u8) -> IOResult {
        let setup =
            Setup { kind: CLASS | TO_OTHER, request, value: feature, index: u16::from(port), length: 0 };
        self.device.control(setup, None).map(drop)
    }

    /// Gives a port power. Gated; sleeps.
    pub fn power(&self, port: u8) -> IOResult {
        self.feature(SET_FEATURE, wire::PORT_POWER, port)
    }

    fn read(&self, port: u8) -> IOResult<(PortStatus, u16)> {
        let setup = Setup {
            kind: IN | CLASS | TO_OTHER,
            request: GET_STATUS,
            value: 0,
            index: u16::from(port),
            length: wire::STATUS_BYTES,
        };
        let mut bytes = [0; wire::STATUS_BYTES as usize];
        let count = self.device.request_bytes(setup, &mut bytes)?;
        let speed = self.device.facts().place.speed;
        wire::status(&bytes[..count], speed).ok_or(IOReturn::NotResponding)
    }
}

impl Ports for HubPorts {
    fn count(&self) -> u8 {
        self.count
    }

    fn status(&self, port: u8) -> IOResult<PortStatus> {
        self.read(port).map(|(status, _)| status)
    }

    fn reset(&self, port: u8) -> IOResult {
        self.feature(SET_FEATURE, wire::PORT_RESET, port)
    }

    fn acknowledge(&self, port: u8) -> IOResult {
        let (_, change) = self.read(port)?;
        wire::changes(change).try_for_each(|feature| self.feature(CLEAR_FEATURE, feature, port))
    }

    fn tend(&self) {
        if let Some(parts) = self.parts.upgrade() {
            parts.tend();
        }
    }
}
