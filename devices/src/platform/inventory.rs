//! What software would find on the bus, for those who look from outside: no access is counted, no device notices.

use super::{Platform, core::ranges};
use crate::pci::ConfigSpace;
use crate::spec::pci as spec;

/// A function on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Bus number, as it is programmed now.
    pub bus: u8,
    /// Device number.
    pub device: u8,
    /// The slot that it is the port of, or is in; 0 = the host bridge.
    pub slot: u32,
    /// Vendor and device ID.
    pub id: (u16, u16),
    /// Subsystem vendor and subsystem ID; zero in a bridge.
    pub subsystem: (u16, u16),
    /// Base class and subclass.
    pub class: u16,
    /// Interrupt pin, 0 = none, 1 = INTA#.
    pub pin: u8,
    /// Interrupt line, as firmware or software wrote it.
    pub line: u8,
    /// Memory that it decodes.
    pub bars: Vec<Bar>,
    /// For a bridge.
    pub bridge: Option<Bridge>,
}

/// A base address register that decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// BAR number.
    pub index: u8,
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// 64 bits wide.
    pub wide: bool,
    /// Prefetchable.
    pub prefetchable: bool,
}

/// A bridge's numbers and windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The bus behind it.
    pub secondary: u8,
    /// The highest bus behind it.
    pub subordinate: u8,
    /// First and last address of the memory window, then of the prefetchable one, where open.
    pub windows: [Option<(u64, u64)>; 2],
}

impl Platform {
    /// Every function that answers now: the host bridge, the ports, the cards with a link.
    pub fn functions(&self) -> Vec<Function> {
        let core = &self.core;
        let mut found = vec![function(&core.bridge, (0, 0), 0)];
        for (index, slot) in core.slots.iter().enumerate() {
            let config = slot.port.config();
            let windows = slot.port.windows().map(|window| window.map(|window| (window.base, window.limit)));
            let bridge = Bridge {
                secondary: slot.port.secondary_bus(),
                subordinate: config.u8(spec::SUBORDINATE_BUS),
                windows,
            };
            let port =
                Function { bridge: Some(bridge), ..function(config, (0, slot.number as u8), slot.number) };
            found.push(Function { subsystem: (0, 0), ..port });
            if !slot.live {
                continue;
            }
            let decoded: Vec<_> = ranges(index, slot).collect();
            let bars = slot.function.bars().iter().filter_map(|bar| {
                let range = decoded.iter().find(|range| range.bar == bar.index)?;
                Some(Bar {
                    index: bar.index,
                    address: range.start,
                    size: range.size,
                    wide: bar.wide,
                    prefetchable: bar.prefetchable,
                })
            });
            let place = (slot.port.secondary_bus(), 0);
            found.push(Function {
                bars: bars.collect(),
                ..function(slot.function.config(), place, slot.number)
            });
        }
        found
    }
}

fn function(config: &ConfigSpace, (bus, device): (u8, u8), slot: u32) -> Function {
    Function {
        bus,
        device,
        slot,
        id: (config.u16(spec::VENDOR_ID), config.u16(spec::DEVICE_ID)),
        subsystem: (config.u16(spec::SUBSYSTEM_VENDOR), config.u16(spec::SUBSYSTEM)),
        class: u16::from(config.u8(spec::CLASS + 2)) << 8 | u16::from(config.u8(spec::CLASS + 1)),
        pin: config.u8(spec::INTERRUPT_PIN),
        line: config.u8(spec::INTERRUPT_LINE),
        bars: Vec::new(),
        bridge: None,
    }
}
