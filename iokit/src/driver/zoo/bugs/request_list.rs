//! A request list that is not emptied at removal.
//!
//! - Symptom: after a removal all clients but one hang for ever.
//! - Cause: the removal fails what the card works on, and forgets what waits behind it.
//! - Fix: fail all of it, in the same gate.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::ioreturn::IOReturn;

/// Fails what the card works on.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn fail(&self, zoo: &Zoo) {
        zoo.finish(Err(IOReturn::Offline));
    }
}

/// Fails that and everything behind it.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn fail(&self, zoo: &Zoo) {
        zoo.finish(Err(IOReturn::Offline));
        zoo.fail_all();
    }
}
