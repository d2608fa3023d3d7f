//! Close before the call in flight returns.
//!
//! - Symptom: a register is touched after the driver has closed its provider; on real hardware a machine check, now and then.
//! - Cause: the provider is closed in `willTerminate`, while calls are in flight that look at the card once more when they wake.
//! - Fix: count the calls, and let the last one close behind itself.

use crate::driver::common::Parts;
use crate::driver::edu::regs;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::service::{Options, ServiceRef};

/// What both do: a call that was woken looks at the card, if it has one.
fn look_at_the_card(zoo: &Zoo) {
    let registers = zoo.card().registers();
    if !registers.is_gone() {
        registers.read32(regs::STATUS);
    }
}

/// Closes before the sleepers have returned.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn woken(&self, zoo: &Zoo) {
        look_at_the_card(zoo);
    }

    fn will_terminate(&self, zoo: &Zoo, me: &ServiceRef, provider: &ServiceRef) {
        zoo.go_offline();
        provider.close(me, Options::empty());
    }

    fn closes(&self) -> bool {
        false
    }
}

/// Closes in `didTerminate`, or behind the last call.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn woken(&self, zoo: &Zoo) {
        look_at_the_card(zoo);
    }
}
