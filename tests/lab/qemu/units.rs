//! The devices of the qemu leg, and what is done to them.

use serde_json::{Value, json};

/// A device on QEMU's machine.
pub struct Unit {
    /// The plan's name, and QEMU's id.
    pub name: &'static str,
    /// The number by which the guest's command line knows it; of a card, its root port.
    pub slot: u32,
    /// What QEMU calls the model.
    pub driver: &'static str,
    place: Place,
    /// Block node of its medium.
    pub node: Option<&'static str>,
    /// Clients of its workload, and requests in flight of each; `None` = there is none.
    pub load: Option<(u32, u32)>,
}

enum Place {
    /// Behind the root port of its slot.
    Card,
    /// Behind the USB controller, at this port.
    Usb(&'static str),
}

/// The USB controller's slot and id.
const CONTROLLER: (u32, &str) = (3, "usb0");

/// All of them, each after what it is plugged into.
pub const UNITS: [Unit; 7] = [
    card("edu0", 1, "edu", None, Some((2, 4))),
    card("disk0", 2, "virtio-blk-pci", Some("medium"), Some((2, 4))),
    card(CONTROLLER.1, CONTROLLER.0, "qemu-xhci", None, None),
    usb("stick0", 20, "usb-storage", "1", Some("stick"), Some((2, 2))),
    usb("kb0", 21, "usb-kbd", "2", None, Some((2, 1))),
    usb("hub0", 22, "usb-hub", "3", None, None),
    usb("mouse0", 23, "usb-mouse", "3.1", None, Some((1, 1))),
];

/// What is taken away in a round, one after the other: this device, and all that is behind it.
pub const REMOVALS: [&str; 7] = ["edu0", "disk0", "stick0", "kb0", "mouse0", "hub0", CONTROLLER.1];

const fn card(
    name: &'static str,
    slot: u32,
    driver: &'static str,
    node: Option<&'static str>,
    load: Option<(u32, u32)>,
) -> Unit {
    Unit { name, slot, driver, place: Place::Card, node, load }
}

const fn usb(
    name: &'static str,
    slot: u32,
    driver: &'static str,
    port: &'static str,
    node: Option<&'static str>,
    load: Option<(u32, u32)>,
) -> Unit {
    Unit { name, slot, driver, place: Place::Usb(port), node, load }
}

impl Unit {
    /// The root port that it needs, as `-device` takes it.
    pub fn root_port(&self) -> Option<String> {
        let slot = self.slot;
        matches!(self.place, Place::Card)
            .then(|| format!("pcie-root-port,id=port{slot},chassis={slot},slot={slot},addr={slot:#x}"))
    }

    /// The device as QEMU's `-device` and `device_add` take it.
    pub fn properties(&self) -> Value {
        let mut properties = json!({"driver": self.driver, "id": self.name});
        match self.place {
            Place::Card => properties["bus"] = format!("port{}", self.slot).into(),
            Place::Usb(port) => {
                properties["bus"] = format!("{}.0", CONTROLLER.1).into();
                properties["port"] = port.into();
            }
        }
        if let Some(node) = self.node {
            properties["drive"] = node.into();
        }
        properties
    }

    /// What the guest is told of it.
    pub fn words(&self) -> Vec<String> {
        let at = match self.place {
            Place::Card => String::new(),
            Place::Usb(port) => format!(",at:{}.{port}", CONTROLLER.0),
        };
        let mut words = vec![format!("slot.{}=name:{}{at}", self.slot, self.name)];
        if let Some((clients, depth)) = self.load {
            words.push(format!("load.{}=clients:{clients},depth:{depth}", self.slot));
        }
        words
    }

    /// Whether it goes when `other` does.
    pub fn goes_with(&self, other: &str) -> bool {
        let behind = |port: &str| match UNITS.iter().find(|unit| unit.name == other).map(|unit| &unit.place) {
            Some(Place::Usb(hub)) => port.strip_prefix(hub).is_some_and(|rest| rest.starts_with('.')),
            _ => other == CONTROLLER.1,
        };
        self.name == other || matches!(self.place, Place::Usb(port) if behind(port))
    }

    /// Whether QEMU tells that it has gone, when `removed` has been taken away and this with it. Of its controller it never does, although the controller
    /// goes (seen with 7.2: `query-pci` has it no more, and its id is free again): but it does of what is plugged into it.
    pub fn told_of_when(&self, removed: &str) -> bool {
        self.name != CONTROLLER.1 && self.goes_with(removed)
    }

    /// How often it goes in a round.
    pub fn removals(&self) -> usize {
        REMOVALS.iter().filter(|gone| self.goes_with(gone)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_device_goes_with_it() {
        let gone = |removed| {
            UNITS.iter().filter(|unit| unit.goes_with(removed)).map(|unit| unit.name).collect::<Vec<_>>()
        };
        assert_eq!(gone("usb0"), ["usb0", "stick0", "kb0", "hub0", "mouse0"]);
        assert_eq!(gone("hub0"), ["hub0", "mouse0"]);
        assert_eq!(gone("disk0"), ["disk0"]);
        let counts = UNITS.each_ref().map(Unit::removals);
        assert_eq!(counts, [1, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn a_device_is_told_of_twice_in_the_same_way() {
        let mouse = UNITS.iter().find(|unit| unit.name == "mouse0").expect("a mouse");
        assert_eq!(mouse.properties()["port"], "3.1");
        assert_eq!(mouse.words(), ["slot.23=name:mouse0,at:3.3.1", "load.23=clients:1,depth:1"]);
        assert!(mouse.root_port().is_none() && mouse.goes_with("usb0") && !mouse.goes_with("kb0"));
    }
}
