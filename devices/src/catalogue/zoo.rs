//! The words of edu's `driver=`: drivers of the guest that are broken on purpose, and their fixed twins.

/// Every word that the guest's drivers know.
pub const DRIVERS: &[&str] = &[
    "close-early",
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
];
