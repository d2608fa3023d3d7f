//! How devices hang together: which one answers on which way, and what becomes of those below when something happens above.

use super::function::Function;
use super::gadget::{Gadget, Speed};

/// A device of the plan, and where it is plugged in.
pub struct Plugged {
    /// The hub, by its place in the list; `None` = the controller.
    pub hub: Option<usize>,
    /// The port there, from 1.
    pub port: u8,
    /// It is in its port.
    pub attached: bool,
    /// The device.
    pub gadget: Box<dyn Gadget>,
}

/// One device.
struct Unit {
    hub: Option<usize>,
    port: u8,
    attached: bool,
    function: Function,
}

/// All that is behind one controller. Units have the numbers of the list that the tree was made of.
pub struct Tree {
    units: Vec<Unit>,
}

impl Tree {
    /// The devices as they are plugged in, after power-on.
    pub fn new(plugged: Vec<Plugged>) -> Self {
        let mut present = Vec::with_capacity(plugged.len());
        let mut units = Vec::with_capacity(plugged.len());
        for (index, Plugged { hub, port, attached, gadget }) in plugged.into_iter().enumerate() {
            let function = Function::new(gadget);
            units.push(Unit { hub, port, attached: false, function });
            present.extend(attached.then_some(index));
        }
        let mut tree = Self { units };
        for unit in present {
            tree.attach(unit);
        }
        tree
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// True if nothing can be plugged in.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The device.
    pub fn function(&mut self, unit: usize) -> &mut Function {
        &mut self.units[unit].function
    }

    /// The connector of the controller that the unit is plugged into by itself.
    pub fn connector(&self, unit: usize) -> Option<u8> {
        let unit = self.units.get(unit)?;
        unit.hub.is_none().then_some(unit.port)
    }

    /// What is plugged into the controller's connector `port`.
    pub fn on_connector(&self, port: u8) -> Option<usize> {
        self.units.iter().position(|unit| unit.hub.is_none() && unit.port == port && unit.attached)
    }

    /// A unit comes to its port, with the speed that both can do.
    pub fn attach(&mut self, unit: usize) {
        let Some(it) = self.units.get_mut(unit) else { return };
        it.attached = true;
        it.function.limit(if it.hub.is_some() { Speed::High } else { Speed::Super });
        it.function.reset();
        self.announce(unit);
        self.strike_below(unit);
    }

    /// A unit leaves its port.
    pub fn detach(&mut self, unit: usize) {
        if let Some(it) = self.units.get_mut(unit) {
            it.attached = false;
            self.announce(unit);
        }
    }

    /// The hub above sees whether the unit is there.
    fn announce(&mut self, unit: usize) {
        let Unit { hub, port, attached, .. } = self.units[unit];
        let speed = attached.then(|| self.units[unit].function.speed());
        if let Some(ports) = hub.and_then(|hub| self.units[hub].function.gadget().ports()) {
            ports.plug(port, speed);
        }
    }

    /// The current of a hub's port.
    pub fn current(&mut self, hub: usize, port: u8, over: bool) {
        let Some(unit) = self.units.get_mut(hub) else { return };
        if let Some(ports) = unit.function.gadget().ports() {
            ports.current(port, over);
        }
        self.strike_below(hub);
    }

    /// Resets a unit by its port, and so all below it.
    pub fn reset(&mut self, unit: usize) {
        self.units[unit].function.reset();
        self.strike_below(unit);
    }

    /// After anything that a hub may have done: devices on ports that were reset or lost their power are reset; those are told, nearest to the hub first.
    pub fn strike_below(&mut self, hub: usize) -> Vec<usize> {
        let mut struck = Vec::new();
        let mut hubs = vec![hub];
        while let Some(hub) = hubs.pop() {
            let Some(ports) = self.units[hub].function.gadget().ports() else { continue };
            let ports = ports.take_struck();
            if ports == 0 {
                continue;
            }
            for index in 0..self.units.len() {
                let unit = &mut self.units[index];
                if unit.hub == Some(hub) && unit.attached && ports & 1u32.wrapping_shl(unit.port.into()) != 0
                {
                    unit.function.reset();
                    struck.push(index);
                    hubs.push(index);
                }
            }
        }
        struck
    }

    /// The unit on the way that begins at the controller's connector `port` and goes on by `route` (xHCI 1.2, 4.5.2 and USB 3.2, 8.9: four bits a hub,
    /// the first in the lowest), if every port on it lets packets through.
    pub fn find(&mut self, port: u8, route: u32, now: u64) -> Option<usize> {
        let mut at = self.on_connector(port)?;
        let mut route = route & 0xf_ffff;
        while route != 0 {
            let port = (route & 0xf) as u8;
            let function = &mut self.units[at].function;
            if !function.gadget().ports()?.is_open(port, now) {
                return None;
            }
            let below = |unit: &Unit| unit.hub == Some(at) && unit.port == port && unit.attached;
            at = self.units.iter().position(below)?;
            route >>= 4;
        }
        Some(at)
    }
}
