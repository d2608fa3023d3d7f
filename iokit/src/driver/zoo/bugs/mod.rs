//! The specimens, each in a file of its own, with its twin beside it.

mod close_early;
mod dma_after_free;
mod double_completion;
mod filter_lock;
mod instance_leak;
mod interrupt_twice;
mod late_timer;
mod lock_order;
mod lost_on_error;
mod lost_wakeup;
mod never_closes;
mod over_release;
mod overstay;
mod reentry;
mod registry_in_place;
mod request_list;
mod sleep_mode;
mod sleep_off_gate;
mod timer_outlives;

use super::habits::Habits;
use super::{fire, usb};
use crate::driver::common::{FireHabits, UsbHabits};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// A bug and its fix.
pub struct Specimen {
    /// What a plan calls it, after `zoo-`.
    pub name: &'static str,
    /// The rule that finds it.
    pub rule: &'static str,
    pub(super) breed: Breed,
}

/// How to make the habits of the driver that has the bug, and those of its twin.
#[derive(Clone, Copy)]
pub(super) enum Breed {
    /// Of the edu card.
    Edu(fn() -> Box<dyn Habits>, fn() -> Box<dyn Habits>),
    /// Of a USB interface.
    Usb(fn() -> Arc<dyn UsbHabits>, fn() -> Arc<dyn UsbHabits>),
    /// Of a FireWire unit.
    Fire(fn() -> Arc<dyn FireHabits>, fn() -> Arc<dyn FireHabits>),
}

/// A specimen from the module that has its `Broken` and its `Fixed`.
macro_rules! specimen {
    ($name:literal, $rule:literal, $module:ident) => {
        Specimen {
            name: $name,
            rule: $rule,
            breed: Breed::Edu(|| Box::<$module::Broken>::default(), || Box::<$module::Fixed>::default()),
        }
    };
    (usb $name:literal, $rule:literal, $module:ident) => {
        Specimen {
            name: $name,
            rule: $rule,
            breed: Breed::Usb(
                || Arc::<usb::$module::Broken>::default(),
                || Arc::<usb::$module::Fixed>::default(),
            ),
        }
    };
    (fire $name:literal, $rule:literal, $module:ident) => {
        Specimen {
            name: $name,
            rule: $rule,
            breed: Breed::Fire(
                || Arc::<fire::$module::Broken>::default(),
                || Arc::<fire::$module::Fixed>::default(),
            ),
        }
    };
}

/// All of them.
pub const SPECIMENS: &[Specimen] = &[
    specimen!("close-early", "close-before-return", close_early),
    specimen!("lost-on-error", "io-lost", lost_on_error),
    specimen!("request-list", "io-lost", request_list),
    specimen!("double-completion", "completed-twice", double_completion),
    specimen!("lost-wakeup", "io-lost", lost_wakeup),
    specimen!("late-timer", "io-error", late_timer),
    specimen!("timer-outlives", "T7", timer_outlives),
    specimen!("sleep-mode", "sleep-mode", sleep_mode),
    specimen!("sleep-off-gate", "CG6", sleep_off_gate),
    specimen!("overstay", "overstay", overstay),
    specimen!("filter-lock", "gate-at-interrupt", filter_lock),
    specimen!("registry-in-place", "R4", registry_in_place),
    specimen!("interrupt-twice", "unregistered-twice", interrupt_twice),
    specimen!("over-release", "O1", over_release),
    specimen!("never-closes", "never-quiet", never_closes),
    specimen!("lock-order", "deadlock", lock_order),
    specimen!("instance-leak", "leak", instance_leak),
    specimen!("reentry", "gate-recursion", reentry),
    specimen!("dma-after-free", "dma-outside-buffer", dma_after_free),
    specimen!(usb "usb-asks-again", "endpoint-after-removal", asks_again),
    specimen!(usb "usb-waits-in-gate", "hang", waits_in_gate),
    specimen!(usb "usb-unwired", "MD1", unwired),
    specimen!(usb "usb-late-abort", "completed-twice", late_abort),
    specimen!(usb "usb-hold-lost", "never-quiet", hold_lost),
    specimen!(usb "usb-orphans", "published-elsewhere", orphans),
    specimen!(usb "usb-halt-kept", "endpoint-halted", halt_kept),
    specimen!(usb "usb-unheard", "io-late", unheard),
    specimen!(fire "fire-old-number", "stale-generation", old_number),
];
