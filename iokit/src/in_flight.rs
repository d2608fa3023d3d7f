//! Handlers that may be taken back while they run on other threads.

use alloc::vec::Vec;

use mach::{Kernel, KernelRef, SpinLock, WaitEvent, WaitMode, seam::ThreadId};

/// Who is in a handler, and whether it may still be entered.
pub(crate) struct InFlight {
    state: SpinLock<State>,
    idle: WaitEvent,
}

#[derive(Default)]
struct State {
    running: Vec<ThreadId>,
    removed: bool,
}

impl InFlight {
    pub(crate) fn new(kernel: &Kernel) -> Self {
        Self { state: SpinLock::new(State::default()), idle: kernel.new_event() }
    }

    /// Calls `handler`, without any lock, unless it was taken back.
    pub(crate) fn call(&self, kernel: &KernelRef, handler: impl FnOnce()) {
        let me = kernel.thread_id();
        {
            let mut state = self.state.lock(kernel);
            if state.removed {
                return;
            }
            state.running.push(me);
        }
        handler();
        let removed = {
            let mut state = self.state.lock(kernel);
            if let Some(at) = state.running.iter().position(|&thread| thread == me) {
                state.running.swap_remove(at);
            }
            state.removed
        };
        if removed {
            kernel.wakeup(self.idle);
        }
    }

    /// Takes the handler back: nobody enters it any more. Waits for other threads that are in it, not for the caller.
    pub(crate) fn remove(&self, kernel: &KernelRef) {
        let me = kernel.thread_id();
        loop {
            {
                let mut state = self.state.lock(kernel);
                state.removed = true;
                if state.running.iter().all(|&thread| thread == me) {
                    return;
                }
                kernel.assert_wait(self.idle, WaitMode::Uninterruptible, None);
            }
            kernel.block();
        }
    }
}
