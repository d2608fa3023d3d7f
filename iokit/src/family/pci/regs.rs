//! Configuration space registers and bits, with the sections of the standards that define them.
//!
//! "PCI" is the PCI Local Bus Specification 3.0, "bridge" the PCI-to-PCI Bridge Architecture Specification 1.2, "PCIe" the
//! PCI Express Base Specification 4.0.

use bitflags::bitflags;

/// Vendor ID (PCI 6.2.1). All ones: nothing answers.
pub const VENDOR: u16 = 0x00;
/// Command (PCI 6.2.2).
pub const COMMAND: u16 = 0x04;
/// Status (PCI 6.2.3).
pub const STATUS: u16 = 0x06;
/// Revision ID and class code in one doubleword (PCI 6.2.1).
pub const REVISION_CLASS: u16 = 0x08;
/// Header type (PCI 6.2.1).
pub const HEADER_TYPE: u16 = 0x0e;
/// First base address register (PCI 6.2.5).
pub const BAR0: u16 = 0x10;
/// Capabilities pointer (PCI 6.7).
pub const CAPABILITIES: u16 = 0x34;
/// Interrupt line: here the global system interrupt, written by firmware (PCI 6.2.4).
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Interrupt pin: 0 none, 1 INTA# … 4 INTD# (PCI 6.2.4).
pub const INTERRUPT_PIN: u16 = 0x3d;

/// Status bit 4: the capabilities pointer is valid.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Header type without the multi-function bit: PCI-to-PCI bridge.
pub const HEADER_BRIDGE: u8 = 1;
/// Header type bit 7: the device has several functions.
pub const HEADER_MULTIFUNCTION: u8 = 0x80;

/// Primary, secondary, subordinate bus number and latency timer in one doubleword (bridge 3.2.5.3).
pub const BUS_NUMBERS: u16 = 0x18;
/// Memory base and limit (bridge 3.2.5.8).
pub const MEMORY_WINDOW: u16 = 0x20;
/// Prefetchable memory base and limit (bridge 3.2.5.9).
pub const PREFETCH_WINDOW: u16 = 0x24;
/// Prefetchable base, upper 32 bits (bridge 3.2.5.10).
pub const PREFETCH_BASE_HIGH: u16 = 0x28;
/// Prefetchable limit, upper 32 bits (bridge 3.2.5.10).
pub const PREFETCH_LIMIT_HIGH: u16 = 0x2c;

/// Capability ID: MSI (PCI 6.8.1).
pub const CAP_MSI: u8 = 0x05;
/// Capability ID: vendor-specific (virtio 4.1.4).
pub const CAP_VENDOR: u8 = 0x09;
/// Capability ID: PCI Express (PCIe 7.5.3).
pub const CAP_EXPRESS: u8 = 0x10;
/// Capability ID: MSI-X (PCI 6.8.2).
pub const CAP_MSIX: u8 = 0x11;

bitflags! {
    /// Command register (PCI 6.2.2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Answers in I/O space.
        const IO = 1 << 0;
        /// Answers in memory space.
        const MEMORY = 1 << 1;
        /// May be a bus master (DMA, and the writes that are MSIs).
        const MASTER = 1 << 2;
        /// INTx is disabled.
        const NO_INTX = 1 << 10;
    }
}

/// Slot registers and bits of the PCI Express capability, offsets from its start.
pub mod express {
    use bitflags::bitflags;

    /// PCI Express capabilities register (PCIe 7.5.3.2).
    pub const FLAGS: u16 = 0x02;
    /// Link capabilities (PCIe 7.5.3.6).
    pub const LINK_CAPABILITIES: u16 = 0x0c;
    /// Link status (PCIe 7.5.3.8).
    pub const LINK_STATUS: u16 = 0x12;
    /// Slot capabilities (PCIe 7.5.3.9).
    pub const SLOT_CAPABILITIES: u16 = 0x14;
    /// Slot control (PCIe 7.5.3.10).
    pub const SLOT_CONTROL: u16 = 0x18;
    /// Slot status (PCIe 7.5.3.11).
    pub const SLOT_STATUS: u16 = 0x1a;

    /// FLAGS bit 8: a slot is implemented.
    pub const FLAGS_SLOT: u16 = 1 << 8;
    /// Link status bit 13: data link layer link active.
    pub const LINK_ACTIVE: u16 = 1 << 13;
    /// Link capabilities bit 20: the active bit above is reported.
    pub const LINK_ACTIVE_REPORTED: u32 = 1 << 20;

    /// Device/port type in FLAGS bits 7:4 of a root port.
    pub const TYPE_ROOT_PORT: u16 = 4;
    /// Device/port type in FLAGS bits 7:4 of a switch's downstream port.
    pub const TYPE_DOWNSTREAM: u16 = 6;

    bitflags! {
        /// Slot capabilities (PCIe 7.5.3.9) without the physical slot number in bits 31:19.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SlotCapabilities: u32 {
            /// Attention button present.
            const BUTTON = 1 << 0;
            /// Power controller present.
            const POWER_CONTROLLER = 1 << 1;
            /// Power indicator present.
            const POWER_INDICATOR = 1 << 4;
            /// A device may be removed without notice.
            const SURPRISE = 1 << 5;
            /// Hot-plug capable.
            const HOT_PLUG = 1 << 6;
            /// No command completed events.
            const NO_COMMAND_COMPLETED = 1 << 18;
        }
    }

    bitflags! {
        /// Slot control (PCIe 7.5.3.10).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SlotControl: u16 {
            /// Interrupt on attention button.
            const BUTTON_ENABLE = 1 << 0;
            /// Interrupt on presence detect changed.
            const PRESENCE_ENABLE = 1 << 3;
            /// Interrupt on command completed.
            const COMMAND_ENABLE = 1 << 4;
            /// Hot-plug interrupts as a whole.
            const INTERRUPT_ENABLE = 1 << 5;
            /// Power indicator, bits 9:8: 01 on.
            const INDICATOR_ON = 1 << 8;
            /// Power indicator, bits 9:8: 10 blinking.
            const INDICATOR_BLINK = 2 << 8;
            /// Power indicator, bits 9:8: 11 off; the mask of the field too.
            const INDICATOR_OFF = 3 << 8;
            /// Power controller: 1 = power off.
            const POWER_OFF = 1 << 10;
            /// Interrupt on data link layer state changed.
            const LINK_ENABLE = 1 << 12;
        }
    }

    bitflags! {
        /// Slot status (PCIe 7.5.3.11). The event bits are cleared by writing ones.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct SlotStatus: u16 {
            /// Attention button was pressed.
            const BUTTON = 1 << 0;
            /// Power fault.
            const POWER_FAULT = 1 << 1;
            /// Retention latch (MRL) sensor changed.
            const LATCH = 1 << 2;
            /// Presence detect changed.
            const PRESENCE_CHANGED = 1 << 3;
            /// A command is complete.
            const COMMAND_COMPLETED = 1 << 4;
            /// A card is in the slot (state, not event).
            const PRESENT = 1 << 6;
            /// Data link layer state changed.
            const LINK_CHANGED = 1 << 8;
        }
    }

    impl SlotStatus {
        /// The events that make the hot-plug interrupt, without command completed.
        pub const EVENTS: Self = Self::BUTTON.union(Self::PRESENCE_CHANGED).union(Self::LINK_CHANGED);
    }
}
