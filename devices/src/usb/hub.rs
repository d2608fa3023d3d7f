//! A USB 2.0 hub (chapter 11): ports with power, reset, enable, over-current and their changes, and the status change endpoint.
//!
//! The hub has one transaction translator for all ports, gets no power from the bus, and switches and protects each port by itself.

use super::descriptor::{Configuration, Descriptors};
use super::gadget::{Gadget, Reply, Setup, Speed, Stalled};
use crate::spec::usb as spec;

/// Ports of a hub at the most.
pub const MOST_PORTS: u8 = 8;
/// The status change endpoint.
const CHANGES: u8 = 1;
/// Time from power on to power good in units of 2 ms (11.23.2.1).
const POWER_GOOD: u8 = 1;
/// Bits of a status that a change can be about.
const CHANGEABLE: u32 = spec::PORT_CONNECTION
    | spec::PORT_ENABLE
    | spec::PORT_SUSPEND
    | spec::PORT_OVER_CURRENT
    | spec::PORT_RESET;

/// One port.
#[derive(Clone, Copy, Default)]
struct Port {
    /// What is plugged in, whether the port has power or not.
    plugged: Option<Speed>,
    /// Status in the low half, changes in the high half.
    bits: u32,
    /// When the reset that is driven is over.
    reset_end: u64,
}

impl Port {
    fn has(&self, bit: u32) -> bool {
        self.bits & bit != 0
    }

    /// Sets or clears a status bit, and its change.
    fn change(&mut self, bit: u32, set: bool) {
        if self.has(bit) != set {
            self.bits = self.bits & !bit | if set { bit } else { 0 };
            self.bits |= bit << spec::PORT_CHANGE;
        }
    }

    /// The port sees what is plugged in, if it has power.
    fn look(&mut self) {
        let there = self.plugged.is_some() && self.has(spec::PORT_POWER);
        self.bits &= !(spec::PORT_LOW_SPEED | spec::PORT_HIGH_SPEED);
        self.bits |= match self.plugged {
            Some(Speed::Low) if there => spec::PORT_LOW_SPEED,
            Some(Speed::High | Speed::Super) if there => spec::PORT_HIGH_SPEED,
            _ => 0,
        };
        self.change(spec::PORT_CONNECTION, there);
    }

    /// The port is enabled no longer, and what was going on is over; no change of that is told (11.24.2.7.2.2).
    fn disable(&mut self) {
        self.bits &= !(spec::PORT_ENABLE | spec::PORT_RESET | spec::PORT_SUSPEND);
    }

    /// A reset that is over leaves the port enabled (11.5.1.5).
    fn settle(&mut self, now: u64) {
        if self.has(spec::PORT_RESET) && now >= self.reset_end {
            self.bits &= !spec::PORT_RESET;
            self.bits |= spec::PORT_RESET << spec::PORT_CHANGE | spec::PORT_ENABLE;
        }
    }
}

/// The ports of a hub.
pub struct Ports {
    ports: Vec<Port>,
    reset_ns: u64,
    /// Bit n: what is on port n has been reset or has lost its power, and has not heard of it.
    struck: u32,
}

impl Ports {
    fn port(&mut self, port: u8) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(port.checked_sub(1)?))
    }

    /// Something is plugged in, or pulled out.
    pub fn plug(&mut self, port: u8, speed: Option<Speed>) {
        if let Some(port) = self.port(port) {
            port.plugged = speed;
            port.disable();
            port.look();
        }
    }

    /// The port takes too much current, and is switched off (11.12.5); or does so no longer.
    pub fn current(&mut self, port: u8, over: bool) {
        let struck = 1 << port;
        if let Some(port) = self.port(port) {
            port.change(spec::PORT_OVER_CURRENT, over);
            if over {
                port.bits &= !spec::PORT_POWER;
                port.disable();
                port.look();
                self.struck |= struck;
            }
        }
    }

    /// True if packets pass through the port.
    pub fn is_open(&mut self, port: u8, now: u64) -> bool {
        self.port(port).is_some_and(|port| {
            port.settle(now);
            port.has(spec::PORT_ENABLE) && !port.has(spec::PORT_SUSPEND)
        })
    }

    /// The ports whose devices must be reset: bit n = port n.
    pub fn take_struck(&mut self) -> u32 {
        std::mem::take(&mut self.struck)
    }

    /// Power-on: no port has power, and what is plugged in stays plugged in.
    fn reset(&mut self) {
        for port in &mut self.ports {
            *port = Port { plugged: port.plugged, ..Port::default() };
        }
        self.struck = u32::MAX;
    }

    /// SET_FEATURE of a port (11.24.2.13).
    fn set(&mut self, number: u8, feature: u16, now: u64) -> Result<(), Stalled> {
        let reset_ns = self.reset_ns;
        let port = self.port(number).ok_or(Stalled)?;
        port.settle(now);
        match 1u32.checked_shl(feature.into()) {
            Some(spec::PORT_POWER) => {
                if !port.has(spec::PORT_OVER_CURRENT) {
                    port.bits |= spec::PORT_POWER;
                    port.look();
                }
            }
            Some(spec::PORT_RESET) => {
                if port.has(spec::PORT_CONNECTION) {
                    port.disable();
                    port.bits |= spec::PORT_RESET;
                    port.reset_end = now.saturating_add(reset_ns);
                    self.struck |= 1 << number;
                }
            }
            Some(spec::PORT_SUSPEND) if port.has(spec::PORT_ENABLE) => port.bits |= spec::PORT_SUSPEND,
            Some(spec::PORT_SUSPEND) => {}
            _ => return Err(Stalled),
        }
        Ok(())
    }

    /// CLEAR_FEATURE of a port (11.24.2.2).
    fn clear(&mut self, number: u8, feature: u16, now: u64) -> Result<(), Stalled> {
        let port = self.port(number).ok_or(Stalled)?;
        port.settle(now);
        if let Some(change) = feature.checked_sub(spec::FEATURE_CHANGE) {
            let bit = 1u32.checked_shl(change.into()).filter(|bit| bit & CHANGEABLE != 0).ok_or(Stalled)?;
            port.bits &= !(bit << spec::PORT_CHANGE);
            return Ok(());
        }
        match 1u32.checked_shl(feature.into()) {
            Some(spec::PORT_ENABLE) => port.disable(),
            Some(spec::PORT_SUSPEND) if port.has(spec::PORT_SUSPEND) => {
                port.bits &= !spec::PORT_SUSPEND;
                port.bits |= spec::PORT_SUSPEND << spec::PORT_CHANGE;
            }
            Some(spec::PORT_SUSPEND) => {}
            Some(spec::PORT_POWER) => {
                port.bits &= !spec::PORT_POWER;
                port.disable();
                port.look();
                self.struck |= 1 << number;
            }
            _ => return Err(Stalled),
        }
        Ok(())
    }

    /// The map of the status change endpoint (11.12.4): bit n = port n; and when it may change by itself.
    fn changes(&mut self, now: u64) -> (u16, Option<u64>) {
        let (mut map, mut wake) = (0, None);
        for (index, port) in self.ports.iter_mut().enumerate() {
            port.settle(now);
            if port.bits >> spec::PORT_CHANGE != 0 {
                map |= 2 << index;
            }
            if port.has(spec::PORT_RESET) {
                wake = Some(wake.map_or(port.reset_end, |time: u64| time.min(port.reset_end)));
            }
        }
        (map, wake)
    }
}

/// The hub.
pub struct Hub {
    ports: Ports,
}

impl Hub {
    /// A hub with 1 to 8 ports that drives a reset for `reset_ns`.
    pub fn new(ports: u8, reset_ns: u64) -> Self {
        let ports = vec![Port::default(); ports.clamp(1, MOST_PORTS).into()];
        Self { ports: Ports { ports, reset_ns, struck: 0 } }
    }

    fn describe(&self) -> Vec<u8> {
        // Each port has its own power switch and its own protection (11.23.2.1).
        let count = self.ports.ports.len() as u8;
        let map = usize::from(count) / 8 + 1;
        let mut bytes = vec![(7 + 2 * map) as u8, spec::DESCRIPTOR_HUB, count, 0x09, 0, POWER_GOOD, 0];
        bytes.extend(vec![0; map]);
        bytes.extend(vec![0xff; map]);
        bytes
    }

    fn port_status(&mut self, port: u8, now: u64) -> Result<[u8; 4], Stalled> {
        let port = self.ports.port(port).ok_or(Stalled)?;
        port.settle(now);
        Ok(port.bits.to_le_bytes())
    }
}

impl Gadget for Hub {
    fn speed(&self) -> Speed {
        Speed::High
    }

    fn descriptors(&self, speed: Speed) -> Descriptors {
        let map = self.ports.ports.len() as u16 / 8 + 1;
        // Changes are told every 32 ms at full speed (255 frames at most), every 256 microframes at high speed.
        let interval = if speed == Speed::High { 9 } else { 32 };
        Descriptors {
            vendor: spec::VENDOR,
            product: 0x0002,
            class: [spec::CLASS_HUB, 0, u8::from(speed == Speed::High)],
            name: "Workgate hub",
            serial: String::new(),
            configuration: Configuration::new(speed).interface([spec::CLASS_HUB, 0, 0]).endpoint(
                CHANGES | spec::REQUEST_IN,
                spec::INTERRUPT,
                map,
                interval,
            ),
        }
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled> {
        if setup.class() != spec::TYPE_CLASS {
            return Err(Stalled);
        }
        let port = setup.index as u8;
        match (setup.recipient(), setup.request) {
            (spec::TO_DEVICE, spec::GET_DESCRIPTOR)
                if setup.value >> 8 == u16::from(spec::DESCRIPTOR_HUB) =>
            {
                data.extend(self.describe());
            }
            // The hub's own power and current are good and do not change.
            (spec::TO_DEVICE, spec::GET_STATUS) => data.extend([0; 4]),
            (spec::TO_DEVICE, spec::CLEAR_FEATURE) if setup.value <= 1 => {}
            (spec::TO_OTHER, spec::GET_STATUS) => data.extend(self.port_status(port, now)?),
            (spec::TO_OTHER, spec::SET_FEATURE) => self.ports.set(port, setup.value, now)?,
            (spec::TO_OTHER, spec::CLEAR_FEATURE) => self.ports.clear(port, setup.value, now)?,
            _ => return Err(Stalled),
        }
        Ok(())
    }

    fn input(&mut self, _endpoint: u8, packet: &mut [u8], now: u64) -> Reply {
        let (map, wake) = self.ports.changes(now);
        if map == 0 {
            return Reply::Nak(wake);
        }
        let length = packet.len().min(self.ports.ports.len() / 8 + 1);
        packet[..length].copy_from_slice(&map.to_le_bytes()[..length]);
        Reply::Done(length)
    }

    fn output(&mut self, _endpoint: u8, _packet: &[u8], _now: u64) -> Reply {
        Reply::Silence
    }

    fn reset(&mut self) {
        self.ports.reset();
    }

    fn ports(&mut self) -> Option<&mut Ports> {
        Some(&mut self.ports)
    }
}
