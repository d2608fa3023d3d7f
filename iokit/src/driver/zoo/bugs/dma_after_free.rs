//! DMA memory that is freed while the card still writes.
//!
//! - Symptom: memory of somebody else changes, a few bytes at a time, after a card was taken out.
//! - Cause: the removal fails what is in flight and frees the buffer; the card does not know, and finishes its transfer.
//! - Fix: free it in `stop`, after the card's bus mastering is off.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;

/// Frees the buffer with the requests.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn fail(&self, zoo: &Zoo) {
        zoo.fail_all();
        drop(zoo.take_buffer());
    }
}

/// Keeps it until nothing can write to it any more: it goes with the parts, behind `set_bus_master(false)`.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn fail(&self, zoo: &Zoo) {
        zoo.fail_all();
    }
}
