//! Root hub ports (4.19, 5.4.8).
//!
//! Each connector has two ports: one for USB 2 devices, one for SuperSpeed. A USB 2 port is enabled by a reset; a SuperSpeed port by its
//! training, which takes no time here.

use super::agenda::Job;
use super::ring::Trb;
use super::{Fallen, Xhci};
use crate::env::Env;
use crate::fault::plane::Site;
use crate::spec::xhci as spec;
use crate::usb::Speed;

/// A reset that is driven.
#[derive(Clone, Copy)]
struct Reset {
    warm: bool,
}

/// One port.
#[derive(Clone, Copy)]
pub struct Port {
    /// The connector, from 1.
    pub connector: u8,
    /// The SuperSpeed side of the connector.
    pub is_super: bool,
    /// PORTSC without link state and speed.
    bits: u32,
    link: u32,
    speed: u32,
    reset: Option<Reset>,
    /// PORTPMSC.
    pub power_management: u32,
}

impl Port {
    /// A powered port with nothing on it.
    pub fn new(connector: u8, is_super: bool) -> Self {
        let (bits, link) = (spec::PORT_PP, spec::LINK_DETECT);
        Self { connector, is_super, bits, link, speed: 0, reset: None, power_management: 0 }
    }

    fn has(&self, bit: u32) -> bool {
        self.bits & bit != 0
    }

    /// PORTSC as it reads.
    pub fn read(&self) -> u32 {
        let reset = if self.reset.is_some() { spec::PORT_PR } else { 0 };
        self.bits | reset | self.link << spec::PORT_PLS_SHIFT | self.speed << spec::PORT_SPEED_SHIFT
    }

    /// Packets pass.
    pub fn is_open(&self) -> bool {
        self.has(spec::PORT_PED) && self.link == spec::LINK_U0
    }

    /// A change wants to be told.
    fn is_changed(&self) -> bool {
        self.has(spec::PORT_CHANGES)
    }

    /// A device with this speed is there.
    fn connect(&mut self, speed: Speed) {
        if !self.has(spec::PORT_PP) {
            return;
        }
        self.bits |= spec::PORT_CCS | spec::PORT_CSC;
        self.speed = number(speed);
        if self.is_super {
            self.bits |= spec::PORT_PED;
            self.link = spec::LINK_U0;
        } else {
            self.link = spec::LINK_POLLING;
        }
    }

    /// The device is gone, or has no power.
    fn disconnect(&mut self) {
        if self.has(spec::PORT_CCS) {
            self.bits |= spec::PORT_CSC;
        }
        self.bits &= !(spec::PORT_CCS | spec::PORT_PED);
        self.link = if self.has(spec::PORT_PP) { spec::LINK_DETECT } else { spec::LINK_DISABLED };
        self.speed = 0;
        self.reset = None;
    }

    /// The reset that was driven is over.
    fn end_reset(&mut self) {
        let Some(Reset { warm }) = self.reset.take() else { return };
        self.bits |= spec::PORT_PRC | if warm { spec::PORT_WRC } else { 0 };
        if self.has(spec::PORT_CCS) {
            self.bits |= spec::PORT_PED;
            self.link = spec::LINK_U0;
        }
    }

    /// Software writes the link state (4.15; only with LWS).
    fn set_link(&mut self, link: u32) {
        if !self.has(spec::PORT_CCS) {
            return;
        }
        let enabled = self.has(spec::PORT_PED);
        match (link, self.link) {
            (spec::LINK_U3, spec::LINK_U0) if enabled => self.link = spec::LINK_U3,
            (spec::LINK_U0, spec::LINK_U3 | spec::LINK_RESUME) if enabled => {
                self.link = spec::LINK_U0;
                self.bits |= spec::PORT_PLC;
            }
            (spec::LINK_RESUME, spec::LINK_U3) if enabled && !self.is_super => self.link = spec::LINK_RESUME,
            (spec::LINK_DISABLED, _) if self.is_super => {
                self.bits &= !spec::PORT_PED;
                self.link = spec::LINK_DISABLED;
            }
            (spec::LINK_DETECT, spec::LINK_DISABLED) if self.is_super => {
                self.bits |= spec::PORT_PED;
                self.link = spec::LINK_U0;
                self.bits |= spec::PORT_PLC;
            }
            _ => {}
        }
    }
}

/// The number of a speed (7.2.2.1.1).
pub fn number(speed: Speed) -> u32 {
    match speed {
        Speed::Full => spec::SPEED_FULL,
        Speed::Low => spec::SPEED_LOW,
        Speed::High => spec::SPEED_HIGH,
        Speed::Super => spec::SPEED_SUPER,
    }
}

impl Xhci {
    /// Ports after reset, and what is plugged into them.
    pub(super) fn fresh_ports(&mut self) {
        let connectors = 1..=self.settings.ports;
        let sides = [false, true];
        let all =
            sides.iter().flat_map(|side| connectors.clone().map(|connector| Port::new(connector, *side)));
        self.ports = all.collect();
        for unit in 0..self.tree.len() {
            self.tree.reset(unit);
        }
        for index in 0..self.ports.len() {
            self.look(index);
        }
    }

    /// A port sees what is plugged into its connector.
    fn look(&mut self, index: usize) {
        let Port { connector, is_super, .. } = self.ports[index];
        let Some(unit) = self.tree.on_connector(connector) else { return };
        let speed = self.tree.function(unit).speed();
        if (speed == Speed::Super) == is_super {
            self.ports[index].connect(speed);
        }
    }

    /// The port of a unit that is plugged into the controller itself.
    fn port_of(&mut self, unit: usize) -> Option<usize> {
        let connector = self.tree.connector(unit)?;
        let is_super = self.tree.function(unit).speed() == Speed::Super;
        self.ports.iter().position(|port| port.connector == connector && port.is_super == is_super)
    }

    /// Changes a port, and tells of it.
    fn change_port(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Port),
        env: &mut dyn Env,
    ) -> Result<(), Fallen> {
        let Some(port) = self.ports.get_mut(index) else { return Ok(()) };
        let before = port.is_changed();
        change(port);
        if !before && port.is_changed() {
            self.status |= spec::STS_PCD;
            self.tell_port(index, env)?;
        }
        Ok(())
    }

    /// A port status change event (4.19.2), if the controller runs.
    pub(super) fn tell_port(&mut self, index: usize, env: &mut dyn Env) -> Result<(), Fallen> {
        let wanted = self.ports.get(index).is_some_and(Port::is_changed);
        if !wanted || !self.is_running() {
            return Ok(());
        }
        let parameter = (index as u64 + 1) << 24;
        self.post(0, Trb::event(spec::PORT_EVENT, parameter, spec::SUCCESS, 0, 0), false, env)
    }

    /// Something has come to its port.
    pub(super) fn attached(&mut self, unit: usize, env: &mut dyn Env) -> Result<(), Fallen> {
        self.tree.attach(unit);
        env.pass(unit, Site::UsbConnect);
        let Some(index) = self.port_of(unit) else { return Ok(()) };
        let speed = self.tree.function(unit).speed();
        self.change_port(index, |port| port.connect(speed), env)
    }

    /// Something has left its port.
    pub(super) fn detached(&mut self, unit: usize, env: &mut dyn Env) -> Result<(), Fallen> {
        let index = self.port_of(unit);
        self.tree.detach(unit);
        match index {
            Some(index) => self.change_port(index, Port::disconnect, env),
            None => Ok(()),
        }
    }

    /// The current of a connector: too much switches the power of both of its ports off (5.4.8, PP).
    pub(super) fn current(&mut self, connector: u8, over: bool, env: &mut dyn Env) -> Result<(), Fallen> {
        for index in 0..self.ports.len() {
            if self.ports[index].connector != connector || self.ports[index].has(spec::PORT_OCA) == over {
                continue;
            }
            let change = |port: &mut Port| {
                port.bits |= spec::PORT_OCC;
                if over {
                    port.bits = port.bits & !spec::PORT_PP | spec::PORT_OCA;
                    port.disconnect();
                } else {
                    port.bits &= !spec::PORT_OCA;
                }
            };
            self.change_port(index, change, env)?;
        }
        if over && let Some(unit) = self.tree.on_connector(connector) {
            self.tree.reset(unit);
        }
        Ok(())
    }

    /// Software writes PORTSC.
    pub(super) fn write_port(&mut self, index: usize, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        let Some(port) = self.ports.get_mut(index) else { return Ok(()) };
        port.bits &= !(value & spec::PORT_CHANGES);
        let kept = spec::PORT_WAKE | spec::PORT_PIC;
        port.bits = port.bits & !kept | value & kept;
        let powered = port.has(spec::PORT_PP);
        if value & spec::PORT_PP == 0 {
            port.bits &= !spec::PORT_PP;
            if powered {
                self.change_port(index, Port::disconnect, env)?;
                self.strike(index);
            }
            return Ok(());
        }
        if !powered {
            return self.power_port(index, env);
        }
        if value & spec::PORT_PED != 0 && port.has(spec::PORT_PED) {
            port.bits &= !spec::PORT_PED;
            port.link = if port.is_super { spec::LINK_DISABLED } else { spec::LINK_POLLING };
        }
        let warm = value & spec::PORT_WPR != 0 && port.is_super;
        if (value & spec::PORT_PR != 0 || warm) && port.has(spec::PORT_CCS) && port.reset.is_none() {
            port.reset = Some(Reset { warm });
            port.bits &= !spec::PORT_PED;
            self.agenda.plan(Job::Port(index as u8), env.now().saturating_add(self.settings.reset_ns));
        } else if value & spec::PORT_LWS != 0 {
            let link = (value & spec::PORT_PLS) >> spec::PORT_PLS_SHIFT;
            self.change_port(index, |port| port.set_link(link), env)?;
            self.kick_all(env.now());
        }
        Ok(())
    }

    /// The port has power again, unless it takes too much.
    fn power_port(&mut self, index: usize, env: &mut dyn Env) -> Result<(), Fallen> {
        if self.ports[index].has(spec::PORT_OCA) {
            return Ok(());
        }
        self.ports[index].bits |= spec::PORT_PP;
        self.ports[index].link = spec::LINK_DETECT;
        let before = self.ports[index].is_changed();
        self.look(index);
        if !before && self.ports[index].is_changed() {
            self.status |= spec::STS_PCD;
            self.tell_port(index, env)?;
        }
        Ok(())
    }

    /// What is on the port is back at power-on.
    fn strike(&mut self, index: usize) -> Option<usize> {
        let Port { connector, is_super, .. } = self.ports[index];
        let unit = self.tree.on_connector(connector)?;
        if (self.tree.function(unit).speed() == Speed::Super) != is_super {
            return None;
        }
        self.tree.reset(unit);
        Some(unit)
    }

    /// The reset of a port is over.
    pub(super) fn end_reset(&mut self, index: usize, env: &mut dyn Env) -> Result<(), Fallen> {
        if self.ports.get(index).is_none_or(|port| port.reset.is_none()) {
            return Ok(());
        }
        if let Some(unit) = self.strike(index) {
            env.pass(unit, Site::UsbReset);
        }
        self.change_port(index, Port::end_reset, env)
    }
}
