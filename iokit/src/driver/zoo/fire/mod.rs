//! Specimens that drive FireWire units: the bench's own driver of disks, with one habit that is wrong.

pub mod old_number;

use super::Habit;
use crate::driver::common::{FireHabits, Right};
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// The habits of the driver of unit `nub`: those that the plan's `driver=` asks for, or the right ones.
pub fn habits(nub: &ServiceRef) -> Arc<dyn FireHabits> {
    let word = nub.kit().args().slot(nub.slot()).and_then(|slot| slot.driver.as_deref());
    match word.and_then(super::habit) {
        Some(Habit::Fire(habits)) => habits,
        _ => Arc::new(Right),
    }
}
