//! The sites of a device at which the plane counts and acts, and the words for what the guest does.

use trace::Kind;

/// What plans call the guest's event `timer.fire`, a word that is the device's own timer there.
const GUEST_TIMER: &str = "timer.action";

/// A place through which a device and the world touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The guest reads a register.
    MmioRead,
    /// The guest writes a register.
    MmioWrite,
    /// The guest reads the function's configuration space.
    ConfigRead,
    /// The guest writes the function's configuration space.
    ConfigWrite,
    /// The device raises an interrupt.
    IrqRaise,
    /// The device reads memory.
    DmaRead,
    /// The device writes memory.
    DmaWrite,
    /// A time that the device asked for has come.
    TimerFire,
    /// The guest writes a register that only notifies.
    Doorbell,
    /// A USB device comes to its port.
    UsbConnect,
    /// A USB device is reset by its port.
    UsbReset,
    /// A USB device gets a setup packet.
    UsbSetup,
    /// A USB device is asked for a packet.
    UsbIn,
    /// A USB device is sent a packet.
    UsbOut,
}

/// Number of sites.
pub const SITES: usize = 14;

impl Site {
    /// Every site.
    pub const ALL: [Site; SITES] = [
        Site::MmioRead,
        Site::MmioWrite,
        Site::ConfigRead,
        Site::ConfigWrite,
        Site::IrqRaise,
        Site::DmaRead,
        Site::DmaWrite,
        Site::TimerFire,
        Site::Doorbell,
        Site::UsbConnect,
        Site::UsbReset,
        Site::UsbSetup,
        Site::UsbIn,
        Site::UsbOut,
    ];

    /// Those of a card.
    pub const CARD: &[Site] = &[
        Site::MmioRead,
        Site::MmioWrite,
        Site::ConfigRead,
        Site::ConfigWrite,
        Site::IrqRaise,
        Site::DmaRead,
        Site::DmaWrite,
        Site::TimerFire,
        Site::Doorbell,
    ];

    /// Those of a USB device.
    pub const USB: &[Site] = &[Site::UsbConnect, Site::UsbReset, Site::UsbSetup, Site::UsbIn, Site::UsbOut];

    /// The word in plans.
    pub const fn word(self) -> &'static str {
        match self {
            Site::MmioRead => "mmio.read",
            Site::MmioWrite => "mmio.write",
            Site::ConfigRead => "config.read",
            Site::ConfigWrite => "config.write",
            Site::IrqRaise => "irq.raise",
            Site::DmaRead => "dma.read",
            Site::DmaWrite => "dma.write",
            Site::TimerFire => "timer.fire",
            Site::Doorbell => "doorbell",
            Site::UsbConnect => "usb.connect",
            Site::UsbReset => "usb.reset",
            Site::UsbSetup => "usb.setup",
            Site::UsbIn => "usb.in",
            Site::UsbOut => "usb.out",
        }
    }

    /// The site that plans call `word`. `timer.fire` is the device's timer; the guest's is `timer.action`.
    pub fn from_word(word: &str) -> Option<Site> {
        Self::ALL.into_iter().find(|site| site.word() == word)
    }
}

/// The word by which plans call what the guest does.
pub fn guest_word(kind: Kind) -> &'static str {
    if kind == Kind::TimerFire { GUEST_TIMER } else { kind.word() }
}

/// What the guest does, by the word that plans have for it.
pub fn guest_kind(word: &str) -> Option<Kind> {
    match word {
        GUEST_TIMER => Some(Kind::TimerFire),
        word => Kind::from_word(word).filter(|kind| *kind != Kind::TimerFire),
    }
}
