//! The specimens, each in a file of its own, with its twin beside it.

mod close_early;
mod double_completion;
mod instance_leak;
mod lost_on_error;
mod lost_wakeup;
mod never_closes;
mod over_release;
mod request_list;
mod sleep_mode;
mod sleep_off_gate;
mod timer_outlives;

use super::habits::Habits;
use alloc::boxed::Box;

/// A bug and its fix.
pub struct Specimen {
    /// What a plan calls it, after `zoo-`.
    pub name: &'static str,
    /// The rule that finds it.
    pub rule: &'static str,
    /// The driver that has it.
    pub(super) broken: fn() -> Box<dyn Habits>,
    /// Its twin.
    pub(super) fixed: fn() -> Box<dyn Habits>,
}

/// A specimen from the module that has its `Broken` and its `Fixed`.
macro_rules! specimen {
    ($name:literal, $rule:literal, $module:ident) => {
        Specimen {
            name: $name,
            rule: $rule,
            broken: || Box::new($module::Broken),
            fixed: || Box::new($module::Fixed),
        }
    };
    ($name:literal, $rule:literal, $module:ident with state) => {
        Specimen {
            name: $name,
            rule: $rule,
            broken: || Box::new($module::Broken),
            fixed: || Box::<$module::Fixed>::default(),
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
    specimen!("timer-outlives", "T7", timer_outlives with state),
    specimen!("sleep-mode", "sleep-mode", sleep_mode),
    specimen!("sleep-off-gate", "CG6", sleep_off_gate),
    specimen!("over-release", "O1", over_release),
    specimen!("never-closes", "never-quiet", never_closes),
    specimen!("instance-leak", "leak", instance_leak),
];
