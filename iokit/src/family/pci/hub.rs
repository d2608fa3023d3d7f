//! The hot-plug thread: one for all ports.
//!
//! ```text
//! port's interrupt ─► events noted ─► wake ─► this thread: look at the slot ─► step ─► find, publish, terminate, power
//! nub stopped ──────► count noted ──► wake ─┘
//! ```

use super::card::Card;
use crate::family::worker::Worker;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::KernelRef;
use mach::seam::OutOfMemory;

/// The thread and what wakes it.
pub struct HotPlug(Worker);

impl HotPlug {
    /// No thread yet.
    pub fn new(kernel: &KernelRef) -> Arc<Self> {
        Arc::new(Self(Worker::new(kernel)))
    }

    /// Lets the thread look at its ports. Legal at interrupt level.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Starts the thread, which begins with a look at every port of `cards`.
    ///
    /// # Errors
    /// No memory for the thread.
    pub fn start(self: &Arc<Self>, mut cards: Vec<Card>) -> Result<(), OutOfMemory> {
        let me = self.clone();
        let look = move || {
            let deadlines = cards.iter_mut().filter_map(|card| {
                card.look();
                card.deadline()
            });
            deadlines.min()
        };
        self.0.start("IOPCIHotPlug", move || me.0.run(look))
    }

    /// Ends the thread and waits for its end.
    pub fn stop(&self) {
        self.0.stop();
    }
}
