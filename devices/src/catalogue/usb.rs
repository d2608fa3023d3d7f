//! The USB controller, and what can be plugged into it.

use super::{Accepts, Build, Model, OptionSpec, Settings, zoo};
use crate::fault::plane::Site;
use crate::usb::{Hid, HidKind, Hub, Serial, Speed, Storage};
use crate::virtio::store::MemoryStore;
use crate::xhci::{self, Signalling, Xhci};

/// The option with the number of ports.
pub(super) const PORTS: &str = "ports";
/// The word of the hub.
pub(super) const HUB: &str = "usb-hub";

/// Numbers of connectors that a controller can have.
const CONNECTORS: &[&str] =
    &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
/// Numbers of ports that a hub can have.
const HUB_PORTS: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "8"];
/// Numbers of interrupters.
const INTERRUPTERS: &[&str] = &["1", "2", "4", "8", "16"];

const fn option(
    name: &'static str,
    default: &'static str,
    accepts: Accepts,
    description: &'static str,
) -> OptionSpec {
    OptionSpec { name, default, accepts, description }
}

pub(super) const CONTROLLER: Model = Model {
    word: "xhci",
    description: "xHCI 1.2 host controller: USB 2 and SuperSpeed (1b36:000d)",
    options: &[
        option(PORTS, "4", Accepts::Words(CONNECTORS), "connectors; each is a USB 2 and a SuperSpeed port"),
        option("irq", "msix", Accepts::Words(&["msix", "msi", "intx"]), "how it interrupts"),
        option("interrupters", "4", Accepts::Words(INTERRUPTERS), "interrupters, each with a vector"),
        option("contexts", "32", Accepts::Words(&["32", "64"]), "bytes of a context"),
        option("scratchpads", "2", Accepts::Words(&["0", "2", "31"]), "pages that the driver must give away"),
        option("reset", "10ms", Accepts::Time, "time of a port's reset"),
        option("latency", "10us", Accepts::Time, "time from a doorbell to the first packet"),
    ],
    sites: Site::CARD,
    build: Build::Controller(|settings, plugged| Box::new(Xhci::new(controller_settings(settings), plugged))),
};

fn controller_settings(settings: &Settings<'_>) -> xhci::Settings {
    let standard = xhci::Settings::default();
    xhci::Settings {
        signalling: match settings.word("irq") {
            "intx" => Signalling::Intx,
            "msi" => Signalling::Msi,
            _ => Signalling::Msix,
        },
        ports: settings.word(PORTS).parse().unwrap_or(standard.ports),
        interrupters: settings.word("interrupters").parse().unwrap_or(standard.interrupters),
        wide_contexts: settings.word("contexts") == "64",
        scratchpads: settings.word("scratchpads").parse().unwrap_or(standard.scratchpads),
        reset_ns: settings.time("reset"),
        latency_ns: settings.time("latency"),
    }
}

pub(super) const STORAGE: Model = Model {
    word: "usb-storage",
    description: "USB stick: SCSI over bulk-only transport (1d6b:0104)",
    options: &[
        option(
            "size",
            "16M",
            Accepts::Size,
            "size of the stick in memory; that of the file, if there is one",
        ),
        option("file", "", Accepts::Text, "file that holds the data; none = memory, lost at the end"),
        option(
            "speed",
            "high",
            Accepts::Words(&["full", "high", "super"]),
            "the fastest signalling that it can do",
        ),
        option("latency", "100us", Accepts::Time, "time of a command, without its data"),
        driver(zoo::STORAGE_DRIVERS),
    ],
    sites: Site::USB,
    build: Build::Usb(|settings, store| {
        let store = store.unwrap_or_else(|| Box::new(MemoryStore::new(settings.size("size"))));
        let speed = match settings.word("speed") {
            "full" => Speed::Full,
            "super" => Speed::Super,
            _ => Speed::High,
        };
        Box::new(Storage::new(store, settings.time("latency"), speed, settings.name()))
    }),
};

/// The option with the guest's driver, of these words.
const fn driver(words: &'static [&'static str]) -> OptionSpec {
    option("driver", "", Accepts::Words(words), "a variant of the guest's driver that is broken on purpose")
}

/// The option of a device that is worked by somebody.
const PERIOD: OptionSpec = option("period", "10ms", Accepts::Time, "time from one event to the next");

pub(super) const KEYBOARD: Model = Model {
    word: "usb-keyboard",
    description: "USB keyboard, boot protocol, on which somebody types the alphabet (1d6b:0105)",
    options: &[PERIOD, driver(zoo::KEYBOARD_DRIVERS)],
    sites: Site::USB,
    build: Build::Usb(|settings, _| Box::new(Hid::new(HidKind::Keyboard, settings.time("period")))),
};

pub(super) const MOUSE: Model = Model {
    word: "usb-mouse",
    description: "USB mouse, boot protocol, which somebody moves in a square (1d6b:0106)",
    options: &[PERIOD],
    sites: Site::USB,
    build: Build::Usb(|settings, _| Box::new(Hid::new(HidKind::Mouse, settings.time("period")))),
};

pub(super) const SERIAL: Model = Model {
    word: "usb-serial",
    description: "USB serial port, CDC ACM, that sends back what it gets (1d6b:0107)",
    options: &[
        option(
            "data",
            "loopback",
            Accepts::Words(&["loopback", "pattern"]),
            "what it sends: what it gets, or 0, 1, 2 … at the rate of the line",
        ),
        driver(zoo::SERIAL_DRIVERS),
    ],
    sites: Site::USB,
    build: Build::Usb(|settings, _| Box::new(Serial::new(settings.word("data") == "pattern"))),
};

pub(super) const HUB_MODEL: Model = Model {
    word: HUB,
    description: "USB 2.0 hub (1d6b:0002)",
    options: &[
        option(PORTS, "4", Accepts::Words(HUB_PORTS), "ports"),
        driver(zoo::HUB_DRIVERS),
        option("reset", "10ms", Accepts::Time, "time of a port's reset"),
    ],
    sites: Site::USB,
    build: Build::Usb(|settings, _| {
        let ports = settings.word(PORTS).parse().unwrap_or(4);
        Box::new(Hub::new(ports, settings.time("reset")))
    }),
};
