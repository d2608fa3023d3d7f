//! Specimens that drive USB interfaces: the bench's own drivers of keyboards, serial ports, sticks and hubs, with one habit that is wrong.

pub mod asks_again;
pub mod halt_kept;
pub mod hold_lost;
pub mod late_abort;
pub mod orphans;
pub mod unheard;
pub mod unwired;
pub mod waits_in_gate;

use super::Habit;
use crate::driver::common::{Frame, Right, UsbHabits};
use crate::family::usb::{Data, Outcome, Pipe, Stage};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;
use alloc::vec;

/// The habits of the driver of interface `nub`: those that the plan's `driver=` asks for, or the right ones.
pub fn habits(nub: &ServiceRef) -> Arc<dyn UsbHabits> {
    let word = nub.kit().args().slot(nub.slot()).and_then(|slot| slot.driver.as_deref());
    match word.and_then(super::habit) {
        Some(Habit::Usb(habits)) => habits,
        _ => Arc::new(Right),
    }
}

/// An exchange of a driver that waits for each stage before it begins the next. While it waits the device may go, and everybody may have been told so before it
/// runs again.
fn one_by_one(frame: &Frame, stages: &[Stage], transfer: impl Fn(&Pipe, Data) -> IOResult<u32>) -> Outcome {
    let mut outcome = Outcome { moved: vec![0; stages.len()], failed: None };
    for (n, stage) in stages.iter().enumerate() {
        match frame.alive().and_then(|()| transfer(&stage.pipe, stage.data.clone())) {
            Ok(bytes) => outcome.moved[n] = bytes,
            Err(why) => {
                outcome.failed = Some((n, why));
                break;
            }
        }
    }
    outcome
}
