//! A function as it was found: identity, capabilities, BARs.

use super::bars::{self, Bar};
use super::config::{Capability, Config, Identity};
use super::regs::{self, Command};
use alloc::vec::Vec;
use mach::seam::Bdf;

/// What the enumeration knows of a function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its address.
    pub at: Bdf,
    /// What it is.
    pub identity: Identity,
    /// Its header has the layout of a bridge.
    pub is_bridge: bool,
    /// There may be functions 1–7 beside function 0.
    pub is_multifunction: bool,
    /// Its capabilities, in order.
    pub capabilities: Vec<Capability>,
    /// Its memory BARs.
    pub bars: Vec<Bar>,
    /// The global system interrupt of its interrupt line, if it has a pin.
    pub line: Option<u32>,
}

impl Function {
    /// Looks at a function; `None` if nothing answers.
    pub fn find(config: &Config<'_>) -> Option<Self> {
        let identity = config.identify()?;
        let header = config.read8(regs::HEADER_TYPE);
        let is_bridge = header & !regs::HEADER_MULTIFUNCTION == regs::HEADER_BRIDGE;
        let capabilities = config.capabilities();
        let count = if is_bridge { bars::BRIDGE_BARS } else { bars::ENDPOINT_BARS };
        let bars = bars::find_bars(config, count);
        let pin = config.read16(regs::INTERRUPT_LINE);
        // 0 in the pin: none; 255 in the line: not connected (PCI 6.2.4).
        let line = (pin >> 8 != 0 && pin & 0xff != 0xff).then_some(u32::from(pin & 0xff));
        Some(Self {
            at: config.function(),
            identity,
            is_bridge,
            is_multifunction: header & regs::HEADER_MULTIFUNCTION != 0,
            capabilities,
            bars,
            line,
        })
    }

    /// Where the first capability with this ID starts.
    pub fn capability(&self, id: u8) -> Option<u16> {
        self.capabilities.iter().find(|c| c.id == id).map(|c| c.offset)
    }

    /// The BAR with this number, if it was given a place.
    pub fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.iter().find(|b| b.index == index && b.base != 0)
    }
}

/// Sets and clears bits of the command register.
pub fn change_command(config: &Config<'_>, set: Command, clear: Command) {
    let old = Command::from_bits_retain(config.read16(regs::COMMAND));
    let new = (old - clear) | set;
    if new != old {
        config.write16(regs::COMMAND, new.bits());
    }
}
