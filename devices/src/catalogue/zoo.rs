//! The words of `driver=`: drivers of the guest that are broken on purpose, and their fixed twins.

/// Every word that the guest's drivers of edu know.
pub const DRIVERS: &[&str] = &[
    "close-early",
    "mute",
    "zoo-close-early",
    "zoo-close-early-fixed",
    "zoo-lost-on-error",
    "zoo-lost-on-error-fixed",
    "zoo-request-list",
    "zoo-request-list-fixed",
    "zoo-double-completion",
    "zoo-double-completion-fixed",
    "zoo-lost-wakeup",
    "zoo-lost-wakeup-fixed",
    "zoo-late-timer",
    "zoo-late-timer-fixed",
    "zoo-timer-outlives",
    "zoo-timer-outlives-fixed",
    "zoo-sleep-mode",
    "zoo-sleep-mode-fixed",
    "zoo-sleep-off-gate",
    "zoo-sleep-off-gate-fixed",
    "zoo-over-release",
    "zoo-over-release-fixed",
    "zoo-never-closes",
    "zoo-never-closes-fixed",
    "zoo-instance-leak",
    "zoo-instance-leak-fixed",
    "zoo-overstay",
    "zoo-overstay-fixed",
    "zoo-filter-lock",
    "zoo-filter-lock-fixed",
    "zoo-registry-in-place",
    "zoo-registry-in-place-fixed",
    "zoo-interrupt-twice",
    "zoo-interrupt-twice-fixed",
    "zoo-lock-order",
    "zoo-lock-order-fixed",
    "zoo-reentry",
    "zoo-reentry-fixed",
    "zoo-dma-after-free",
    "zoo-dma-after-free-fixed",
];

/// Those of keyboards.
pub const KEYBOARD_DRIVERS: &[&str] = &[
    "zoo-usb-asks-again",
    "zoo-usb-asks-again-fixed",
    "zoo-usb-waits-in-gate",
    "zoo-usb-waits-in-gate-fixed",
];

/// Those of serial ports.
pub const SERIAL_DRIVERS: &[&str] = &["zoo-usb-unwired", "zoo-usb-unwired-fixed"];

/// Those of sticks.
pub const STORAGE_DRIVERS: &[&str] = &[
    "zoo-usb-late-abort",
    "zoo-usb-late-abort-fixed",
    "zoo-usb-halt-kept",
    "zoo-usb-halt-kept-fixed",
    "zoo-usb-unheard",
    "zoo-usb-unheard-fixed",
];

/// Those of FireWire disks.
pub const FIREWIRE_DISK_DRIVERS: &[&str] = &["zoo-fire-old-number", "zoo-fire-old-number-fixed"];

/// Those of hubs.
pub const HUB_DRIVERS: &[&str] =
    &["zoo-usb-hold-lost", "zoo-usb-hold-lost-fixed", "zoo-usb-orphans", "zoo-usb-orphans-fixed"];
