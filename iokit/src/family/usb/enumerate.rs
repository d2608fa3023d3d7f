//! Getting to know who is at a port (USB 2.0, 9.1.2; xHCI 1.2, 4.3). The bus's thread only, and not in the gate.

use super::bus::Bus;
use super::controller::{Data, Handle, Place, PortStatus};
use super::descriptor::{self, Configuration, DeviceDescriptor};
use super::device::{Device, Facts};
use super::hub::{Hub, Port};
use super::standard::{self, IN, Setup, Speed};
use crate::family::bus::Bus as _;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// How often a new connection is looked at before it counts as stable (TATTDB, 7.1.7.3).
const DEBOUNCE_LOOKS: u64 = 4;
/// How long a reset may take, and how often it is looked at.
const RESET_NS: u64 = 500_000_000;
const RESET_STEP_NS: u64 = 2_000_000;
/// What a device may take to recover from it (TRSTRCY).
const RECOVERY_NS: u64 = 10_000_000;
/// Attempts before a device is left alone.
const ATTEMPTS: u32 = 3;
/// Hubs between the root hub and a device at the most (4.1.1).
const DEPTH_MAX: u8 = 5;

impl Bus {
    /// Somebody is at a port whom nobody knows: makes him known, and his nubs.
    pub(super) fn enumerate(self: &Arc<Self>, hub: &Arc<Hub>, port: u8) {
        // Who was there before anybody looked has been for long enough.
        if self.gated(|| hub.was_looked_at(port)) && !self.is_stable(hub, port) {
            return;
        }
        for attempt in 1..=ATTEMPTS {
            self.gated(|| hub.set(port, Port::Busy { handle: None, lost: false }));
            match self.meet(hub, port) {
                Ok(facts) => return self.introduce(hub, port, facts),
                Err(IOReturn::Offline) => return self.gated(|| hub.set(port, Port::Empty)),
                Err(why) => hub
                    .kernel()
                    .log(format_args!("usb: slot {} port {port}: attempt {attempt}: {why}", self.slot())),
            }
            if self.is_stopping() {
                break;
            }
        }
        self.gated(|| hub.set(port, Port::Failed));
    }

    /// Whether the connection stays. A change on the way begins it anew.
    fn is_stable(&self, hub: &Arc<Hub>, port: u8) -> bool {
        let mut stable = 0;
        while stable < DEBOUNCE_LOOKS && !self.is_stopping() {
            self.kernel().delay(self.debounce / DEBOUNCE_LOOKS);
            match self.gated(|| self.look_again(hub, port)) {
                Ok(status) if !status.connected => return false,
                Ok(status) if status.changed => stable = 0,
                Ok(_) => stable += 1,
                Err(_) => return false,
            }
        }
        !self.is_stopping()
    }

    fn look_again(&self, hub: &Arc<Hub>, port: u8) -> IOResult<PortStatus> {
        if hub.is_gone() {
            return Err(IOReturn::Offline);
        }
        let status = hub.ports().status(port)?;
        if status.changed {
            hub.ports().acknowledge(port)?;
        }
        Ok(status)
    }

    /// Reset, address, descriptors, configuration. Whoever it was is forgotten again if it does not come to an end.
    fn meet(self: &Arc<Self>, hub: &Arc<Hub>, port: u8) -> IOResult<Facts> {
        let speed = self.reset(hub, port)?;
        let place = place(hub, port, speed)?;
        self.gated(|| {
            let handle = self.host().connect(&place)?;
            if hub.is_lost(port, Some(handle)) {
                self.host().disconnect(handle);
                return Err(IOReturn::Offline);
            }
            let facts = self.interview(handle, place);
            let lost = hub.is_lost(port, None);
            match facts {
                Ok(facts) if !lost => {
                    // From here on the device is the one to lose.
                    hub.is_lost(port, Some(handle));
                    Ok(facts)
                }
                other => {
                    self.host().disconnect(handle);
                    Err(if lost { IOReturn::Offline } else { other.err().unwrap_or(IOReturn::Offline) })
                }
            }
        })
    }

    /// Resets the port; how fast who is there talks.
    fn reset(&self, hub: &Arc<Hub>, port: u8) -> IOResult<Speed> {
        self.gated(|| hub.ports().reset(port))?;
        let deadline = self.kernel().now().saturating_add(RESET_NS);
        loop {
            self.kernel().delay(RESET_STEP_NS);
            let status = self.gated(|| match hub.is_gone() {
                true => Err(IOReturn::Offline),
                false => hub.ports().status(port),
            })?;
            if !status.connected || self.is_stopping() {
                return Err(IOReturn::Offline);
            }
            if status.enabled && !status.resetting {
                self.kernel().delay(RECOVERY_NS);
                return status.speed.ok_or(IOReturn::NotResponding);
            }
            if self.kernel().now() > deadline {
                return Err(IOReturn::NotResponding);
            }
        }
    }

    /// Asks the device what it is, and sets its configuration. Gated; sleeps.
    fn interview(&self, handle: Handle, place: Place) -> IOResult<Facts> {
        if place.speed < Speed::Super {
            let head = self.get_descriptor(handle, standard::DEVICE, 8)?;
            let packet = u16::from(*head.get(7).ok_or(IOReturn::NotResponding)?);
            if ![8, 16, 32, 64].contains(&packet) {
                return Err(IOReturn::NotResponding);
            }
            if packet != place.speed.first_packet() {
                self.host().set_packet(handle, packet)?;
            }
        }
        let bytes = self.get_descriptor(handle, standard::DEVICE, descriptor::DEVICE_BYTES as u16)?;
        let descriptor = DeviceDescriptor::parse(&bytes).ok_or(IOReturn::NotResponding)?;
        let head = descriptor::CONFIGURATION_BYTES as u16;
        let head = self.get_descriptor(handle, standard::CONFIGURATION, head)?;
        let total = Configuration::total(&head).ok_or(IOReturn::NotResponding)?;
        let bytes = self.get_descriptor(handle, standard::CONFIGURATION, total)?;
        let configuration = Configuration::parse(&bytes).ok_or(IOReturn::NotResponding)?;
        self.host().configure(handle, &configuration.endpoints(), None)?;
        let setup = Setup {
            request: standard::SET_CONFIGURATION,
            value: u16::from(configuration.value),
            ..Setup::default()
        };
        self.control(handle, setup, None)?;
        Ok(Facts { handle, place, descriptor, configuration })
    }

    /// The first descriptor of this type, at most `length` bytes of it.
    fn get_descriptor(&self, handle: Handle, kind: u8, length: u16) -> IOResult<Vec<u8>> {
        let memory = self.host().buffer(u64::from(length))?;
        let data = Data { memory: memory.clone(), offset: 0, length: u32::from(length) };
        let setup = Setup {
            kind: IN,
            request: standard::GET_DESCRIPTOR,
            value: u16::from(kind) << 8,
            index: 0,
            length,
        };
        let count = self.control(handle, setup, Some(data))?.min(u32::from(length));
        let mut bytes = vec![0; count as usize];
        memory.read_bytes(0, &mut bytes);
        Ok(bytes)
    }

    /// Makes the nubs of a device that is known now.
    fn introduce(self: &Arc<Self>, hub: &Arc<Hub>, port: u8, facts: Facts) {
        let mut ports = path(&facts.place);
        ports[0] = self.host().connector(ports[0]);
        let device = Device::new(self, hub, port, facts);
        let lost = self.gated(|| {
            let lost = hub.is_lost(port, None);
            hub.set(port, if lost { Port::Empty } else { Port::Present(device.clone()) });
            lost
        });
        let parent = hub.service().filter(|_| !lost);
        let published = parent.is_some_and(|parent| device.publish(&parent, &ports));
        if !published {
            self.gated(|| {
                self.lose_device(&device);
                hub.vacate(&device);
            });
        }
    }
}

/// Where port `port` of `hub` is. Unsupported: too deep.
fn place(hub: &Hub, port: u8, speed: Speed) -> IOResult<Place> {
    let Some(of) = hub.of() else {
        return Ok(Place { root_port: port, route: 0, depth: 0, speed, translator: None });
    };
    let above = of.facts().place;
    if above.depth >= DEPTH_MAX {
        return Err(IOReturn::Unsupported);
    }
    let translator = match (speed, above.speed) {
        (Speed::Low | Speed::Full, Speed::High) => Some((of.handle(), port)),
        (Speed::Low | Speed::Full, _) => above.translator,
        _ => None,
    };
    let route = above.route | u32::from(port.min(15)) << (4 * above.depth);
    Ok(Place { root_port: above.root_port, route, depth: above.depth + 1, speed, translator })
}

/// The ports on the way to a place, from the root.
fn path(place: &Place) -> Vec<u8> {
    let hubs = (0..place.depth).map(|n| (place.route >> (4 * n) & 0xf) as u8);
    core::iter::once(place.root_port).chain(hubs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_route_with_the_root_port_before_it() {
        let place = Place { root_port: 3, route: 0x21, depth: 2, speed: Speed::High, translator: None };
        assert_eq!(path(&place), [3, 1, 2]);
        assert_eq!(path(&Place { depth: 0, route: 0, ..place }), [3]);
    }
}
