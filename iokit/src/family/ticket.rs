//! A request that a thread waits for in the gate.

use crate::work_loop::{Gated, WorkLoop};
use alloc::sync::Arc;
use mach::{KernelRef, WaitEvent, WaitMode};

/// What comes back, and who waits for it.
pub struct Ticket<T> {
    work_loop: Arc<WorkLoop>,
    event: WaitEvent,
    result: Arc<Gated<Option<T>>>,
}

impl<T: Send + 'static> Ticket<T> {
    /// For a request in the gate of `work_loop`.
    pub fn new(kernel: &KernelRef, work_loop: &Arc<WorkLoop>) -> Self {
        let result = Arc::new(Gated::new(work_loop, None));
        Self { work_loop: work_loop.clone(), event: kernel.new_event(), result }
    }

    /// Who is told when the request has come back, in the gate: the thread.
    pub fn done(&self) -> impl FnOnce(T) + Send + use<T> {
        let (work_loop, event, place) = (self.work_loop.clone(), self.event, self.result.clone());
        move |result| {
            place.with(|place| *place = Some(result));
            work_loop.wakeup_gate(event, false);
        }
    }

    /// Sleeps in the gate, which is open meanwhile, until the request has come back: whoever takes one gives it back in bounded time.
    pub fn wait(&self) -> T {
        loop {
            if let Some(result) = self.result.with(Option::take) {
                return result;
            }
            self.work_loop.sleep_gate(self.event, WaitMode::Uninterruptible, None);
        }
    }
}
