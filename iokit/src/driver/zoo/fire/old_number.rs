//! A driver that tries again with the node's old number.
//!
//! - Symptom: when somebody plugs something into the bus while a disk is at work, a block is now and then written to another device, or lost.
//! - Cause: a command that a bus reset has aborted is made again at once, to the number that the disk had when the driver logged in. Numbers are given anew in each bus reset.
//! - Fix: find the disk again first; the number that it has then goes with the generation in which it was found.

use crate::driver::common::FireHabits;
use crate::family::firewire::{Device, Generation};
use crate::ioreturn::IOResult;

/// Tries once more as before, and looks for the disk only if that fails, too.
#[derive(Default)]
pub struct Broken;

impl FireHabits for Broken {
    fn generation(
        &self,
        device: &Device,
        login: Generation,
        aborted: u32,
        deadline: u64,
    ) -> IOResult<Generation> {
        if aborted == 1 { Ok(login) } else { device.join(deadline) }
    }
}

/// Looks for the disk first, as drivers do.
#[derive(Default)]
pub struct Fixed;

impl FireHabits for Fixed {}
