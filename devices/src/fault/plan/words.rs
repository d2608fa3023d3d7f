//! The vocabulary: words of this version, and words that are reserved for later ones.

/// Words that begin a statement.
pub const STATEMENTS: &[&str] = &["machine", "plug", "load", "thread", "at", "every", "on", "expect", "run"];
/// Words of actions.
pub const ACTIONS: &[&str] = &[
    "unplug",
    "eject",
    "replug",
    "plug",
    "storm",
    "spurious",
    "drop",
    "delay",
    "duplicate",
    "stick",
    "mute",
    "freeze",
    "corrupt",
    "short-dma",
    "late-dma",
    "link-down",
    "usb-stall",
    "usb-error",
    "babble",
    "nak",
    "disconnect-port",
    "overcurrent",
    "bus-reset",
    "cable-pull",
    "lost-ack",
    "new-root",
    "race",
    "kill",
    "stall",
    "clock-jump",
    "preempt",
    "fail-alloc",
];
/// Those of [`ACTIONS`] that USB devices and their ports alone can have.
pub const USB_ACTIONS: &[&str] =
    &["usb-stall", "usb-error", "babble", "nak", "disconnect-port", "overcurrent"];
/// Those of [`ACTIONS`] that FireWire devices, their cables and their bus alone can have.
pub const FIREWIRE_ACTIONS: &[&str] = &["bus-reset", "cable-pull", "lost-ack", "new-root"];
/// Words behind `expect`.
pub const EXPECTATIONS: &[&str] = &["offline", "quiet", "turn", "no-leaks"];
/// What the clients of a load can be (`as=`); the first is the default.
pub const CLIENTS: &[&str] = &["threads", "tasks"];
/// Words of `era=`.
pub const ERAS: &[&str] = &["10.3", "10.4", "10.5", "modern"];
/// Words of `preemption=`.
pub const PREEMPTIONS: &[&str] = &["tasks", "strict", "full"];

/// Actions that the language has, but this version does not carry out.
pub const LATER_ACTIONS: &[&str] = &[];
