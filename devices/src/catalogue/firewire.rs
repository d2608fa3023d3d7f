//! The FireWire controller, and the nodes on its bus.

use super::usb::PORTS;
use super::{Accepts, Build, Model, ModelError, OptionSpec, Settings, zoo};
use crate::fault::plane::Site;
use crate::firewire::Bus;
use crate::firewire::camera::{self, Camera};
use crate::firewire::phy::PhyFacts;
use crate::firewire::plain::{self, Plain};
use crate::firewire::sbp2::{self, Target};
use crate::ohci::{self, Ohci, Signalling};
use crate::virtio::store::MemoryStore;

/// Numbers of ports that a controller can have.
const CONNECTORS: &[&str] =
    &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
/// Numbers of ports that a node can have for others.
const NODE_PORTS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "15"];
/// The words of speeds.
const SPEEDS: &[&str] = &["s100", "s200", "s400"];

const fn option(
    name: &'static str,
    default: &'static str,
    accepts: Accepts,
    description: &'static str,
) -> OptionSpec {
    OptionSpec { name, default, accepts, description }
}

const SPEED: OptionSpec =
    option("speed", "s400", Accepts::Words(SPEEDS), "the fastest signalling of its PHY");
const CHAIN: OptionSpec = option(PORTS, "1", Accepts::Words(NODE_PORTS), "ports for further nodes");
const CONTENDER: OptionSpec =
    option("contender", "no", Accepts::Words(&["yes", "no"]), "it would be isochronous resource manager");

/// The PHY of a node; `up`: ports besides those for further nodes.
fn phy(settings: &Settings<'_>, up: u8) -> PhyFacts {
    let ports: u8 = settings.word(PORTS).parse().unwrap_or(1);
    let speed = SPEEDS.iter().position(|&word| word == settings.word("speed")).unwrap_or(2);
    PhyFacts {
        ports: ports + up,
        speed: speed as u8,
        contender: settings.flag("contender"),
        ..PhyFacts::default()
    }
}

/// An EUI-64 of the project's own, locally administered, that follows from the plan's name: FNV-1a, 40 bits.
fn guid(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    0x0257_4700_0000_0000 | hash >> 24 & 0xff_ffff_ffff
}

pub(super) const CONTROLLER: Model = Model {
    word: "ohci",
    description: "OHCI-1394 1.1 FireWire controller, S400 (1af4:10f4)",
    options: &[
        option(PORTS, "3", Accepts::Words(CONNECTORS), "ports"),
        option("irq", "msi", Accepts::Words(&["msi", "intx"]), "how it interrupts"),
        SPEED,
        option(
            "debounce",
            "1ms",
            Accepts::Time,
            "how long a cable must be in until the bus takes notice (336ms by the standard)",
        ),
    ],
    sites: Site::CARD,
    build: Build::FireWire(|settings, cabled| {
        let phy = PhyFacts { contender: true, ..phy(settings, 0) };
        let settings = ohci::Settings {
            signalling: if settings.word("irq") == "intx" { Signalling::Intx } else { Signalling::Msi },
            guid: guid(settings.name()),
            phy,
            debounce: settings.time("debounce"),
        };
        let bus = Bus::with_nodes(phy, settings.debounce, cabled)
            .map_err(|error| ModelError::Bus(error.to_string()))?;
        Ok(Box::new(Ohci::with_bus(settings, bus)))
    }),
};

pub(super) const DISK: Model = Model {
    word: "firewire-disk",
    description: "FireWire disk: SCSI over SBP-2",
    options: &[
        option("size", "16M", Accepts::Size, "size of the disk in memory; that of the file, if there is one"),
        option("file", "", Accepts::Text, "file that holds the data; none = memory, lost at the end"),
        option("latency", "50us", Accepts::Time, "time of a command, without its data"),
        option(
            "driver",
            "",
            Accepts::Words(zoo::FIREWIRE_DISK_DRIVERS),
            "a variant of the guest's driver that is broken on purpose",
        ),
        SPEED,
        CHAIN,
        CONTENDER,
    ],
    sites: Site::FIREWIRE,
    build: Build::Node(|settings, store| {
        let store = store.unwrap_or_else(|| Box::new(MemoryStore::new(settings.size("size"))));
        let disk = sbp2::Settings {
            phy: phy(settings, 1),
            guid: guid(settings.name()),
            name: settings.name().into(),
            latency: settings.time("latency"),
        };
        Box::new(Target::new(store, disk))
    }),
};

pub(super) const NODE: Model = Model {
    word: "firewire-node",
    description: "FireWire node with a configuration ROM and 4 KiB of memory",
    options: &[
        option("latency", "5us", Accepts::Time, "time from a request to the response"),
        SPEED,
        CHAIN,
        CONTENDER,
    ],
    sites: Site::FIREWIRE,
    build: Build::Node(|settings, _| {
        Box::new(Plain::new(plain::Settings {
            phy: phy(settings, 1),
            guid: guid(settings.name()),
            name: settings.name().into(),
            latency: settings.time("latency"),
        }))
    }),
};

pub(super) const CAMERA: Model = Model {
    word: "firewire-camera",
    description: "FireWire source of an isochronous stream, started by a register",
    options: &[SPEED, CHAIN, CONTENDER],
    sites: Site::FIREWIRE,
    build: Build::Node(|settings, _| {
        Box::new(Camera::new(camera::Settings {
            phy: phy(settings, 1),
            guid: guid(settings.name()),
            name: settings.name().into(),
        }))
    }),
};
