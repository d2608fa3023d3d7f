//! An object by which tasks get at each other's rights.

use std::sync::{Arc, Mutex, PoisonError};

use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, Request, SendRight},
    task::Task,
};

/// Rights that are kept at the most.
const KEPT: usize = 8;

/// Keeps what it is sent, and answers with a copy of something that it was sent before.
#[derive(Default)]
pub(super) struct Exchange {
    rights: Mutex<Vec<SendRight>>,
}

impl Exchange {
    /// Gives everything back.
    pub fn clear(&self) {
        let rights = std::mem::take(&mut *self.rights.lock().unwrap_or_else(PoisonError::into_inner));
        drop(rights);
    }
}

impl KernelObject for Exchange {
    fn message(&self, _: &KernelRef, _: &Arc<Task>, request: Request) -> Option<Answer> {
        let mut dropped = Vec::new();
        let copy = {
            let mut rights = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
            for item in request.items {
                match item {
                    Item::Port(right) => rights.push(right),
                    other => dropped.push(other),
                }
            }
            let over = rights.len().saturating_sub(KEPT);
            dropped.extend(rights.drain(..over).map(Item::Port));
            let at = (request.id as usize).checked_rem(rights.len());
            at.and_then(|at| rights.get(at)).and_then(SendRight::duplicate)
        };
        // Giving rights back may call others: not with the lock held.
        drop(dropped);
        Some(Answer { items: vec![copy.map_or(Item::Nothing, Item::Port)], body: request.body })
    }
}
