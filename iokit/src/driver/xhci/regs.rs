//! Registers, TRBs and contexts of an extensible host controller (xHCI 1.2, chapters 5 and 6).

/// Class code: serial bus, USB, xHCI (5.2.2).
pub const CLASS: u64 = 0x0c_0330;

/// Capability register: its own length, version (5.3.1).
pub const CAPLENGTH: u64 = 0x00;
/// Structural parameters 1: slots 7:0, ports 31:24 (5.3.3).
pub const HCSPARAMS1: u64 = 0x04;
/// Structural parameters 2: scratchpad buffers (5.3.4).
pub const HCSPARAMS2: u64 = 0x08;
/// Capability parameters 1 (5.3.6).
pub const HCCPARAMS1: u64 = 0x10;
/// Offset of the doorbells (5.3.7).
pub const DBOFF: u64 = 0x14;
/// Offset of the runtime registers (5.3.8).
pub const RTSOFF: u64 = 0x18;
/// HCCPARAMS1: contexts of 64 bytes.
pub const CONTEXT_64: u32 = 1 << 2;

/// Operational register: command (5.4.1).
pub const USBCMD: u64 = 0x00;
/// Run.
pub const CMD_RUN: u32 = 1 << 0;
/// Reset.
pub const CMD_RESET: u32 = 1 << 1;
/// Interrupts.
pub const CMD_INTE: u32 = 1 << 2;
/// Status (5.4.2).
pub const USBSTS: u64 = 0x04;
/// Halted.
pub const STS_HALTED: u32 = 1 << 0;
/// A serious error of the host's side.
pub const STS_HOST_ERROR: u32 = 1 << 2;
/// Event interrupt; write 1 to clear.
pub const STS_EVENT: u32 = 1 << 3;
/// Not ready.
pub const STS_NOT_READY: u32 = 1 << 11;
/// An error inside the controller.
pub const STS_ERROR: u32 = 1 << 12;
/// Page sizes (5.4.3).
pub const PAGESIZE: u64 = 0x08;
/// Command ring control (5.4.5).
pub const CRCR: u64 = 0x18;
/// CRCR: consumer's cycle state.
pub const CRCR_CYCLE: u64 = 1 << 0;
/// CRCR: abort the command.
pub const CRCR_ABORT: u64 = 1 << 2;
/// Device context base address array (5.4.6).
pub const DCBAAP: u64 = 0x30;
/// Configuration: slots enabled (5.4.7).
pub const CONFIG: u64 = 0x38;
/// Status and control of port 1; 16 bytes a port (5.4.8).
pub const PORTSC: u64 = 0x400;

/// PORTSC: connected.
pub const PORT_CONNECTED: u32 = 1 << 0;
/// PORTSC: enabled; write 1 to disable.
pub const PORT_ENABLED: u32 = 1 << 1;
/// PORTSC: reset.
pub const PORT_RESET: u32 = 1 << 4;
/// PORTSC: power.
pub const PORT_POWER: u32 = 1 << 9;
/// PORTSC: connection changed.
pub const PORT_CONNECT_CHANGE: u32 = 1 << 17;
/// PORTSC: all changes, each written 1 to clear.
pub const PORT_CHANGES: u32 = 0x7f << 17;
/// PORTSC: what is written back as it was read: power, indicator, wake enables.
pub const PORT_KEEP: u32 = 1 << 9 | 3 << 14 | 7 << 25;

/// Interrupter 0 in the runtime registers: management (5.5.2.1).
pub const IMAN: u64 = 0x20;
/// IMAN: pending, write 1 to clear.
pub const IMAN_PENDING: u32 = 1 << 0;
/// IMAN: enabled.
pub const IMAN_ENABLE: u32 = 1 << 1;
/// Moderation.
pub const IMOD: u64 = 0x24;
/// Segments of the event ring.
pub const ERSTSZ: u64 = 0x28;
/// Their table.
pub const ERSTBA: u64 = 0x30;
/// Where the driver is in the event ring.
pub const ERDP: u64 = 0x38;
/// ERDP: the handler is busy; write 1 to clear.
pub const ERDP_BUSY: u64 = 1 << 3;

/// Types of TRBs (table 6-91).
pub mod kind {
    /// Data of bulk and interrupt transfers.
    pub const NORMAL: u32 = 1;
    /// Setup stage.
    pub const SETUP: u32 = 2;
    /// Data stage.
    pub const DATA: u32 = 3;
    /// Status stage.
    pub const STATUS: u32 = 4;
    /// To the next segment.
    pub const LINK: u32 = 6;
    /// Command: a device slot.
    pub const ENABLE_SLOT: u32 = 9;
    /// Command: give it back.
    pub const DISABLE_SLOT: u32 = 10;
    /// Command: SET_ADDRESS.
    pub const ADDRESS_DEVICE: u32 = 11;
    /// Command: endpoints.
    pub const CONFIGURE_ENDPOINT: u32 = 12;
    /// Command: endpoint 0.
    pub const EVALUATE_CONTEXT: u32 = 13;
    /// Command: out of halted.
    pub const RESET_ENDPOINT: u32 = 14;
    /// Command: stop.
    pub const STOP_ENDPOINT: u32 = 15;
    /// Command: go on from elsewhere.
    pub const SET_DEQUEUE: u32 = 16;
    /// Event: a transfer.
    pub const TRANSFER: u32 = 32;
    /// Event: a command.
    pub const COMMAND: u32 = 33;
    /// Event: a port.
    pub const PORT: u32 = 34;
}

/// Completion codes (table 6-90).
pub mod code {
    /// Success.
    pub const SUCCESS: u8 = 1;
    /// More data than there was room for.
    pub const BABBLE: u8 = 3;
    /// STALL.
    pub const STALL: u8 = 6;
    /// No device slot is free.
    pub const NO_SLOTS: u8 = 9;
    /// Less data than there was room for.
    pub const SHORT_PACKET: u8 = 13;
    /// The ring ran out of TRBs.
    pub const RING_UNDERRUN: u8 = 14;
    /// The same for input.
    pub const RING_OVERRUN: u8 = 15;
    /// The command ring stopped.
    pub const RING_STOPPED: u8 = 24;
    /// The command was aborted.
    pub const COMMAND_ABORTED: u8 = 25;
    /// The endpoint was stopped; 26–28.
    pub const STOPPED: core::ops::RangeInclusive<u8> = 26..=28;
}

/// States of an endpoint in its context (table 6-8, bits 2:0).
pub mod state {
    /// Running.
    pub const RUNNING: u32 = 1;
    /// Halted.
    pub const HALTED: u32 = 2;
}
