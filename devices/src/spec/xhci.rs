//! Extensible Host Controller Interface for USB (xHCI), revision 1.2.

/// PCI class: serial bus, USB, xHCI (5.2.1).
pub const CLASS: [u8; 3] = [0x0c, 0x03, 0x30];
/// Vendor ID: Red Hat, whose numbers virtual controllers have.
pub const VENDOR: u16 = 0x1b36;
/// Device ID: an xHCI controller that is virtual.
pub const DEVICE: u16 = 0x000d;

/// Bytes of BAR 0.
pub const BAR_BYTES: u64 = 0x4000;
/// Offset of the operational registers, CAPLENGTH (5.3.1).
pub const OPERATIONAL: u64 = 0x40;
/// Offset of the port registers (5.4), from the operational ones.
pub const PORTS: u64 = 0x400;
/// Bytes of the registers of a port.
pub const PORT_BYTES: u64 = 0x10;
/// Offset of the extended capabilities (7).
pub const EXTENDED: u64 = 0x800;
/// Offset of the runtime registers, RTSOFF (5.3.8).
pub const RUNTIME: u64 = 0x1000;
/// Offset of the interrupters (5.5.2), from the runtime registers.
pub const INTERRUPTERS: u64 = 0x20;
/// Bytes of the registers of an interrupter.
pub const INTERRUPTER_BYTES: u64 = 0x20;
/// Offset of the doorbells, DBOFF (5.3.7).
pub const DOORBELLS: u64 = 0x2000;

/// HCIVERSION (5.3.2).
pub const VERSION: u32 = 0x0120;
/// Device slots (5.3.3).
pub const SLOTS: u8 = 32;
/// ERST Max: entries of an event ring segment table, as a power of two (5.3.4).
pub const SEGMENTS_LOG: u32 = 3;
/// HCCPARAMS1 (5.3.6): 64-bit addresses.
pub const HCC_AC64: u32 = 1 << 0;
/// HCCPARAMS1: contexts of 64 bytes.
pub const HCC_CSZ: u32 = 1 << 2;
/// HCCPARAMS1: ports have power switches.
pub const HCC_PPC: u32 = 1 << 3;

/// USBCMD (5.4.1), from the operational registers.
pub const USBCMD: u64 = 0x00;
/// USBCMD: run.
pub const CMD_RUN: u32 = 1 << 0;
/// USBCMD: reset.
pub const CMD_RESET: u32 = 1 << 1;
/// USBCMD: interrupts enabled.
pub const CMD_INTE: u32 = 1 << 2;
/// USBCMD: host system errors are signalled (on SERR#, which is not modelled).
pub const CMD_HSEE: u32 = 1 << 3;
/// USBSTS (5.4.2).
pub const USBSTS: u64 = 0x04;
/// USBSTS: halted.
pub const STS_HALTED: u32 = 1 << 0;
/// USBSTS: host system error.
pub const STS_HSE: u32 = 1 << 2;
/// USBSTS: event interrupt.
pub const STS_EINT: u32 = 1 << 3;
/// USBSTS: port change detected.
pub const STS_PCD: u32 = 1 << 4;
/// PAGESIZE (5.4.3).
pub const PAGESIZE: u64 = 0x08;
/// DNCTRL (5.4.4).
pub const DNCTRL: u64 = 0x14;
/// CRCR (5.4.5), 64 bits.
pub const CRCR: u64 = 0x18;
/// CRCR: ring cycle state.
pub const CRCR_CYCLE: u32 = 1 << 0;
/// CRCR: stop.
pub const CRCR_STOP: u32 = 1 << 1;
/// CRCR: abort.
pub const CRCR_ABORT: u32 = 1 << 2;
/// CRCR: running.
pub const CRCR_RUNNING: u32 = 1 << 3;
/// DCBAAP (5.4.6), 64 bits.
pub const DCBAAP: u64 = 0x30;
/// CONFIG (5.4.7).
pub const CONFIG: u64 = 0x38;

/// PORTSC (5.4.8), from the registers of a port: current connect status.
pub const PORT_CCS: u32 = 1 << 0;
/// PORTSC: enabled.
pub const PORT_PED: u32 = 1 << 1;
/// PORTSC: over-current.
pub const PORT_OCA: u32 = 1 << 3;
/// PORTSC: reset.
pub const PORT_PR: u32 = 1 << 4;
/// PORTSC: where the link state is.
pub const PORT_PLS_SHIFT: u32 = 5;
/// PORTSC: the link state.
pub const PORT_PLS: u32 = 0xf << PORT_PLS_SHIFT;
/// PORTSC: power.
pub const PORT_PP: u32 = 1 << 9;
/// PORTSC: where the speed is.
pub const PORT_SPEED_SHIFT: u32 = 10;
/// PORTSC: the speed.
pub const PORT_SPEED: u32 = 0xf << PORT_SPEED_SHIFT;
/// PORTSC: indicator control.
pub const PORT_PIC: u32 = 3 << 14;
/// PORTSC: the link state is written.
pub const PORT_LWS: u32 = 1 << 16;
/// PORTSC: connect status changed.
pub const PORT_CSC: u32 = 1 << 17;
/// PORTSC: enable changed.
pub const PORT_PEC: u32 = 1 << 18;
/// PORTSC: a warm reset is over.
pub const PORT_WRC: u32 = 1 << 19;
/// PORTSC: over-current changed.
pub const PORT_OCC: u32 = 1 << 20;
/// PORTSC: a reset is over.
pub const PORT_PRC: u32 = 1 << 21;
/// PORTSC: the link state changed.
pub const PORT_PLC: u32 = 1 << 22;
/// PORTSC: a configuration of the link failed.
pub const PORT_CEC: u32 = 1 << 23;
/// PORTSC: all change bits.
pub const PORT_CHANGES: u32 = PORT_CSC | PORT_PEC | PORT_WRC | PORT_OCC | PORT_PRC | PORT_PLC | PORT_CEC;
/// PORTSC: what wakes the system.
pub const PORT_WAKE: u32 = 7 << 25;
/// PORTSC: warm reset.
pub const PORT_WPR: u32 = 1 << 31;
/// Link state U0.
pub const LINK_U0: u32 = 0;
/// Link state U3.
pub const LINK_U3: u32 = 3;
/// Link state disabled.
pub const LINK_DISABLED: u32 = 4;
/// Link state waiting for a device.
pub const LINK_DETECT: u32 = 5;
/// Link state polling.
pub const LINK_POLLING: u32 = 7;
/// Link state resume.
pub const LINK_RESUME: u32 = 15;

/// Speed numbers (7.2.2.1.1, defaults): full.
pub const SPEED_FULL: u32 = 1;
/// Low speed.
pub const SPEED_LOW: u32 = 2;
/// High speed.
pub const SPEED_HIGH: u32 = 3;
/// SuperSpeed.
pub const SPEED_SUPER: u32 = 4;

/// MFINDEX (5.5.1), from the runtime registers.
pub const MFINDEX: u64 = 0;
/// ns of a microframe.
pub const MICROFRAME_NS: u64 = 125_000;
/// IMAN (5.5.2.1), from the registers of an interrupter.
pub const IMAN: u64 = 0x00;
/// IMAN: pending.
pub const IMAN_IP: u32 = 1 << 0;
/// IMAN: enabled.
pub const IMAN_IE: u32 = 1 << 1;
/// IMOD (5.5.2.2).
pub const IMOD: u64 = 0x04;
/// ns of a unit of the moderation interval.
pub const IMOD_NS: u64 = 250;
/// Moderation interval after reset: 1 ms.
pub const IMOD_DEFAULT: u32 = 4000;
/// ERSTSZ (5.5.2.3.1).
pub const ERSTSZ: u64 = 0x08;
/// ERSTBA (5.5.2.3.2), 64 bits.
pub const ERSTBA: u64 = 0x10;
/// ERDP (5.5.2.3.3), 64 bits.
pub const ERDP: u64 = 0x18;
/// ERDP: event handler busy.
pub const ERDP_EHB: u64 = 1 << 3;

/// Bytes of a TRB (4.11).
pub const TRB_BYTES: usize = 16;
/// TRB control: cycle.
pub const TRB_CYCLE: u32 = 1 << 0;
/// Link TRB: toggle cycle (6.4.4.1).
pub const TRB_TOGGLE: u32 = 1 << 1;
/// TRB control: interrupt on short packet (6.4.1.1).
pub const TRB_ISP: u32 = 1 << 2;
/// Event TRB: the parameter is that of an event data TRB (6.4.2.1).
pub const TRB_ED: u32 = 1 << 2;
/// TRB control: chain.
pub const TRB_CHAIN: u32 = 1 << 4;
/// TRB control: interrupt on completion.
pub const TRB_IOC: u32 = 1 << 5;
/// TRB control: immediate data.
pub const TRB_IDT: u32 = 1 << 6;
/// TRB control: block event interrupt.
pub const TRB_BEI: u32 = 1 << 9;
/// Address device: block the request; configure endpoint: deconfigure; reset endpoint: keep the state of transfers.
pub const TRB_OPTION: u32 = 1 << 9;
/// TRB control: where the type is.
pub const TRB_TYPE_SHIFT: u32 = 10;
/// Data and status stage: to the host (6.4.1.2.2).
pub const TRB_DIRECTION: u32 = 1 << 16;
/// Transfer length of a TRB.
pub const TRB_LENGTH: u32 = 0x1_ffff;
/// Bytes that a TRB moves at the most (6.4.1).
pub const TRB_MOST: u32 = 0x1_0000;

/// TRB types (6.4.6): normal.
pub const NORMAL: u32 = 1;
/// Setup stage.
pub const SETUP: u32 = 2;
/// Data stage.
pub const DATA: u32 = 3;
/// Status stage.
pub const STATUS: u32 = 4;
/// Isochronous.
pub const ISOCH: u32 = 5;
/// Link.
pub const LINK: u32 = 6;
/// Event data.
pub const EVENT_DATA: u32 = 7;
/// No-op, of a transfer ring.
pub const NO_OP: u32 = 8;
/// Enable slot.
pub const ENABLE_SLOT: u32 = 9;
/// Disable slot.
pub const DISABLE_SLOT: u32 = 10;
/// Address device.
pub const ADDRESS_DEVICE: u32 = 11;
/// Configure endpoint.
pub const CONFIGURE_ENDPOINT: u32 = 12;
/// Evaluate context.
pub const EVALUATE_CONTEXT: u32 = 13;
/// Reset endpoint.
pub const RESET_ENDPOINT: u32 = 14;
/// Stop endpoint.
pub const STOP_ENDPOINT: u32 = 15;
/// Set TR dequeue pointer.
pub const SET_DEQUEUE: u32 = 16;
/// Reset device.
pub const RESET_DEVICE: u32 = 17;
/// Get port bandwidth.
pub const PORT_BANDWIDTH: u32 = 21;
/// No-op, of the command ring.
pub const NO_OP_COMMAND: u32 = 23;
/// Transfer event.
pub const TRANSFER_EVENT: u32 = 32;
/// Command completion event.
pub const COMMAND_EVENT: u32 = 33;
/// Port status change event.
pub const PORT_EVENT: u32 = 34;
/// Host controller event.
pub const CONTROLLER_EVENT: u32 = 37;

/// Completion codes (6.4.5): success.
pub const SUCCESS: u8 = 1;
/// The device sent more than it was asked for.
pub const BABBLE: u8 = 3;
/// No valid answer of the device.
pub const TRANSACTION_ERROR: u8 = 4;
/// The TRB is wrong.
pub const TRB_ERROR: u8 = 5;
/// The endpoint is halted.
pub const STALL: u8 = 6;
/// All slots are taken.
pub const NO_SLOTS: u8 = 9;
/// The slot is not enabled.
pub const SLOT_NOT_ENABLED: u8 = 11;
/// The endpoint is not enabled.
pub const ENDPOINT_NOT_ENABLED: u8 = 12;
/// The device sent less than the TD has room for.
pub const SHORT_PACKET: u8 = 13;
/// A context has a wrong value.
pub const PARAMETER_ERROR: u8 = 17;
/// The slot or endpoint is in a state for which the command is not.
pub const CONTEXT_STATE_ERROR: u8 = 19;
/// The event ring is full.
pub const RING_FULL: u8 = 21;
/// The command ring was stopped.
pub const RING_STOPPED: u8 = 24;
/// The endpoint was stopped in the middle of a TD.
pub const STOPPED: u8 = 26;
/// The same, and the length says nothing.
pub const STOPPED_INVALID: u8 = 27;

/// Slot states (6.2.2): enabled or disabled.
pub const SLOT_ENABLED: u32 = 0;
/// Default.
pub const SLOT_DEFAULT: u32 = 1;
/// Addressed.
pub const SLOT_ADDRESSED: u32 = 2;
/// Configured.
pub const SLOT_CONFIGURED: u32 = 3;
/// Endpoint states (6.2.3): disabled.
pub const EP_DISABLED: u32 = 0;
/// Running.
pub const EP_RUNNING: u32 = 1;
/// Halted.
pub const EP_HALTED: u32 = 2;
/// Stopped.
pub const EP_STOPPED: u32 = 3;
/// Error.
pub const EP_ERROR: u32 = 4;
/// Endpoint types (6.2.3): isochronous OUT; its IN is 4 more.
pub const TYPE_ISOCH_OUT: u32 = 1;
/// Bulk OUT.
pub const TYPE_BULK_OUT: u32 = 2;
/// Interrupt OUT.
pub const TYPE_INTERRUPT_OUT: u32 = 3;
/// Control.
pub const TYPE_CONTROL: u32 = 4;
/// Isochronous IN.
pub const TYPE_ISOCH_IN: u32 = 5;
/// Interrupt IN.
pub const TYPE_INTERRUPT_IN: u32 = 7;
