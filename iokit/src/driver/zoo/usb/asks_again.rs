//! A reader that asks the endpoint once more when the removal wakes it.
//!
//! - Symptom: a keyboard is pulled out, and the system goes down: the transfer went to a slot that was somebody else's by then.
//! - Cause: whoever is woken and finds no report asks for one, and does not look whether it was the removal that woke it.
//! - Fix: look first why there is nothing: after `willTerminate` nothing is begun.

use crate::driver::common::UsbHabits;

/// Asks whenever it is woken.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn woken(&self, ask: &dyn Fn()) {
        ask();
    }
}

/// Leaves asking to those who know that the device is there.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn woken(&self, _ask: &dyn Fn()) {}
}
