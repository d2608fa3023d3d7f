//! The models that a plan can plug in, with their options and sites.

mod actions;
mod build;
mod check;
mod firewire;
mod foreign;
mod mirror;
#[cfg(test)]
mod properties;
mod settings;
mod usb;
mod zoo;

pub use actions::{ACTIONS, ActionSpec};
pub use build::{build, build_firewire, build_node, build_usb};
pub use check::check;
pub use foreign::check_foreign;
pub use settings::{Settings, parse_size, parse_time};

use crate::daq;
use crate::device::Device;
use crate::edu;
use crate::fault::plan::{ON, PORT, Plug};
use crate::fault::plane::{Site, guest_word};
use crate::firewire::Cabled;
use crate::firewire::node::Node;
use crate::usb::{Gadget, Plugged};
use crate::virtio::VirtioPci;
use crate::virtio::block::Block;
use crate::virtio::store::{BlockStore, MemoryStore};
use thiserror::Error;
use trace::Kind;

/// Why a model cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelError {
    /// No such model.
    #[error("there is no model `{0}`; `workgate devices` lists them")]
    UnknownModel(String),
    /// No such option of this model.
    #[error("`{model}` has no option `{option}`")]
    UnknownOption {
        /// Model word.
        model: String,
        /// Option word.
        option: String,
    },
    /// The option does not take this value.
    #[error("`{option}={value}`: expected {expected}")]
    BadValue {
        /// Option word.
        option: String,
        /// What the plan says.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// The device does not go where the plan has it.
    #[error("`{0}` is {1}")]
    Place(String, &'static str),
    /// The nodes of a FireWire bus do not go together.
    #[error("its FireWire bus: {0}")]
    Bus(String),
    /// The storage could not be had.
    #[error("{0}")]
    Storage(String),
}

/// An option of a model.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The word.
    pub name: &'static str,
    /// The value that holds if the plan says nothing; empty = none.
    pub default: &'static str,
    /// What it takes.
    pub accepts: Accepts,
    /// What it is for.
    pub description: &'static str,
}

/// The values that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A time: a number with ns, us, ms or s.
    Time,
    /// A size: a number of bytes with K, M or G, a multiple of 512.
    Size,
    /// Any text.
    Text,
}

impl Accepts {
    /// The values in words, to be read after "expected".
    pub fn expected(&self) -> String {
        match self {
            Accepts::Words(words) => words.join(" or "),
            Accepts::Time => "a time such as 20us, at most 1000s".into(),
            Accepts::Size => "a size such as 16M, a multiple of 512, at most 64G".into(),
            Accepts::Text => "a word".into(),
        }
    }

    /// True if `value` is one of them.
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Accepts::Words(words) => words.contains(&value),
            Accepts::Time => parse_time(value).is_some(),
            Accepts::Size => parse_size(value).is_some_and(|bytes| bytes % 512 == 0),
            Accepts::Text => !value.is_empty(),
        }
    }
}

/// The storage that the machine provides.
type Store = Option<Box<dyn BlockStore>>;

/// Makes a FireWire controller with the nodes on its bus.
type MakeBus = fn(&Settings<'_>, Vec<Cabled>) -> Result<Box<dyn Device>, ModelError>;

/// Makes a model from checked settings.
enum Build {
    /// A card, perhaps with storage.
    Card(fn(&Settings<'_>, Store) -> Box<dyn Device>),
    /// A USB controller, with what is plugged in behind it.
    Controller(fn(&Settings<'_>, Vec<Plugged>) -> Box<dyn Device>),
    /// A USB device, perhaps with storage.
    Usb(fn(&Settings<'_>, Store) -> Box<dyn Gadget>),
    /// A FireWire controller, with the nodes on its bus.
    FireWire(MakeBus),
    /// A FireWire node, perhaps with storage.
    Node(fn(&Settings<'_>, Store) -> Box<dyn Node>),
}

/// A model that a plan can plug in.
pub struct Model {
    /// The word in plans.
    pub word: &'static str,
    /// One line about it.
    pub description: &'static str,
    /// Its own options; [`COMMON_OPTIONS`] come on top.
    pub options: &'static [OptionSpec],
    /// The sites at which rules can count its accesses.
    pub sites: &'static [Site],
    build: Build,
}

impl Model {
    /// Every option that the model takes.
    pub fn all_options(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.options.iter().chain(COMMON_OPTIONS)
    }

    /// It goes into a port of a USB controller or hub, not into a slot.
    pub fn is_usb(&self) -> bool {
        matches!(self.build, Build::Usb(_))
    }

    /// It goes into a port of a FireWire controller or of another node, not into a slot.
    pub fn is_firewire(&self) -> bool {
        matches!(self.build, Build::Node(_))
    }

    /// It goes into a port of something else, not into a slot.
    pub fn is_behind(&self) -> bool {
        self.is_usb() || self.is_firewire()
    }

    /// It has ports for FireWire nodes.
    pub fn has_firewire(&self) -> bool {
        matches!(self.build, Build::FireWire(_) | Build::Node(_))
    }

    /// The option that says how many ports it has for devices; `None`: it has none.
    pub fn ports(&self) -> Option<&'static OptionSpec> {
        let has = self.word == usb::HUB || matches!(self.build, Build::Controller(_)) || self.has_firewire();
        has.then(|| self.option(usb::PORTS)).flatten()
    }

    /// The option called `name`.
    pub fn option(&self, name: &str) -> Option<&'static OptionSpec> {
        self.all_options().find(|option| option.name == name)
    }
}

/// Options of every model.
pub const COMMON_OPTIONS: &[OptionSpec] = &[OptionSpec {
    name: "absent",
    default: "no",
    accepts: Accepts::Words(&["yes", "no"]),
    description: "the slot is empty until a `plug` action",
}];

/// The sites of a card that has no doorbells.
const CARD_SITES: &[Site] = &[
    Site::MmioRead,
    Site::MmioWrite,
    Site::ConfigRead,
    Site::ConfigWrite,
    Site::IrqRaise,
    Site::DmaRead,
    Site::DmaWrite,
    Site::TimerFire,
];

const EDU: Model = Model {
    word: "edu",
    description: "QEMU's educational device: factorial and DMA engines (1234:11e8)",
    options: &[
        OptionSpec {
            name: "irq",
            default: "msi",
            accepts: Accepts::Words(&["msi", "intx", "msix"]),
            description: "how it interrupts",
        },
        OptionSpec {
            name: "factorial",
            default: "10us",
            accepts: Accepts::Time,
            description: "time of a factorial",
        },
        OptionSpec {
            name: "dma",
            default: "20us",
            accepts: Accepts::Time,
            description: "time of a DMA transfer",
        },
        OptionSpec {
            name: "dma-mask",
            default: "no",
            accepts: Accepts::Words(&["yes", "no"]),
            description: "the DMA engine drives 28 address bits only, as QEMU's",
        },
        // A word that no driver knows would quietly test the right driver, so only these are taken.
        OptionSpec {
            name: "driver",
            default: "",
            accepts: Accepts::Words(zoo::DRIVERS),
            description: "a variant of the guest's driver that is broken on purpose",
        },
    ],
    sites: CARD_SITES,
    build: Build::Card(|settings, _| Box::new(edu::Edu::new(edu_settings(settings)))),
};

fn edu_settings(settings: &Settings<'_>) -> edu::Settings {
    edu::Settings {
        signalling: match settings.word("irq") {
            "intx" => edu::Signalling::Intx,
            "msix" => edu::Signalling::Msix,
            _ => edu::Signalling::Msi,
        },
        factorial: settings.time("factorial"),
        dma: settings.time("dma"),
        dma_mask: if settings.flag("dma-mask") { crate::spec::edu::DMA_MASK } else { u64::MAX },
    }
}

const VIRTIO_BLK: Model = Model {
    word: "virtio-blk",
    description: "virtio 1.2 block device on the modern PCI transport (1af4:1042)",
    options: &[
        OptionSpec {
            name: "size",
            default: "16M",
            accepts: Accepts::Size,
            description: "size of the disk in memory; that of the file, if there is one",
        },
        OptionSpec {
            name: "file",
            default: "",
            accepts: Accepts::Text,
            description: "file that holds the disk; none = memory, lost at the end",
        },
        OptionSpec {
            name: "irq",
            default: "msix",
            accepts: Accepts::Words(&["msix", "intx"]),
            description: "how it interrupts",
        },
        OptionSpec {
            name: "latency",
            default: "15us",
            accepts: Accepts::Time,
            description: "time of a request, without its data",
        },
        OptionSpec {
            name: "driver",
            default: "",
            accepts: Accepts::Words(&["mirror"]),
            description: "the disk is one of a mirror, whose load is that of the disk in the higher slot",
        },
    ],
    sites: Site::CARD,
    build: Build::Card(|settings, store| {
        let store = store.unwrap_or_else(|| Box::new(MemoryStore::new(settings.size("size"))));
        let block = Block::new(store, settings.time("latency"), settings.name());
        Box::new(VirtioPci::new(block, settings.word("irq") != "intx"))
    }),
};

/// Entries that the ring of a [`DAQ`] can have at the most: one of these.
const RINGS: &[&str] =
    &["8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192", "16384", "32768", "65536"];

const DAQ: Model = Model {
    word: "daq",
    description: "data-acquisition card: samples at a set rate, by DMA into a ring (1af4:10f3)",
    options: &[
        OptionSpec {
            name: "irq",
            default: "msix",
            accepts: Accepts::Words(&["msix", "intx"]),
            description: "how it interrupts",
        },
        OptionSpec {
            name: "period",
            default: "20us",
            accepts: Accepts::Time,
            description: "time from one sample to the next, 1us to 1s",
        },
        OptionSpec {
            name: "ring",
            default: "1024",
            accepts: Accepts::Words(RINGS),
            description: "entries that its ring can have",
        },
    ],
    sites: CARD_SITES,
    build: Build::Card(|settings, _| Box::new(daq::Daq::new(daq_settings(settings)))),
};

fn daq_settings(settings: &Settings<'_>) -> daq::Settings {
    daq::Settings {
        signalling: match settings.word("irq") {
            "intx" => daq::Signalling::Intx,
            _ => daq::Signalling::Msix,
        },
        period: settings.time("period"),
        ring_max: settings.word("ring").parse().unwrap_or(daq::RING_MAX),
    }
}

/// What the guest does with a device, as words of a trigger: the trace's words about a nub and its stack. `timer.fire` is not among
/// them: in plans, that is the device's own timer, and the guest's is `timer.action`.
pub fn guest_sites() -> impl Iterator<Item = &'static str> {
    let about_a_nub = |kind: &&Kind| (Kind::GateClose..=Kind::TouchAfterRemoval).contains(*kind);
    Kind::ALL.iter().filter(about_a_nub).map(|kind| guest_word(*kind))
}

/// Every model.
pub fn catalogue() -> &'static [Model] {
    const MODELS: &[Model] = &[
        EDU,
        VIRTIO_BLK,
        DAQ,
        usb::CONTROLLER,
        usb::STORAGE,
        usb::KEYBOARD,
        usb::MOUSE,
        usb::SERIAL,
        usb::HUB_MODEL,
        firewire::CONTROLLER,
        firewire::DISK,
        firewire::NODE,
        firewire::CAMERA,
    ];
    MODELS
}

/// The model called `word`.
pub fn model(word: &str) -> Option<&'static Model> {
    catalogue().iter().find(|model| model.word == word)
}

/// True for the words of a `plug` statement that say where the device is.
pub(crate) fn is_place(plug: &Plug, option: &str) -> bool {
    plug.on().is_some() && matches!(option, ON | PORT)
}
