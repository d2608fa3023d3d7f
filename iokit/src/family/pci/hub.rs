//! The hot-plug thread: one for all ports, so that nothing that takes time happens at interrupt level.
//!
//! ```text
//! port's interrupt ─► events noted ─► wake ─► this thread: look at the slot ─► step ─► find, publish, terminate, power
//! nub stopped ──────► count noted ──► wake ─┘
//! ```

use super::card::Card;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use mach::seam::OutOfMemory;
use mach::{KernelRef, Policy, SpinLock, Thread, WaitEvent, WaitMode, band};

/// The thread and what wakes it.
pub struct HotPlug {
    kernel: KernelRef,
    event: WaitEvent,
    woken: AtomicBool,
    stopping: AtomicBool,
    thread: SpinLock<Option<Arc<Thread>>>,
}

impl HotPlug {
    /// No thread yet.
    pub fn new(kernel: &KernelRef) -> Arc<Self> {
        Arc::new(Self {
            kernel: kernel.clone(),
            event: kernel.new_event(),
            woken: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: SpinLock::new(None),
        })
    }

    /// Lets the thread look at its ports. Legal at interrupt level.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.kernel.wakeup(self.event);
    }

    /// Starts the thread, which begins with a look at every port of `cards`.
    ///
    /// # Errors
    /// No memory for the thread.
    pub fn start(self: &Arc<Self>, cards: Vec<Card>) -> Result<(), OutOfMemory> {
        let me = self.clone();
        let thread =
            self.kernel
                .spawn("IOPCIHotPlug", band::KERNEL, Policy::Fixed, move |_: &KernelRef| me.run(cards))?;
        *self.thread.lock(&self.kernel) = Some(thread);
        Ok(())
    }

    /// Ends the thread and waits for its end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        let thread = self.thread.lock(&self.kernel).take();
        if let Some(thread) = thread {
            thread.join(&self.kernel);
        }
    }

    fn run(&self, mut cards: Vec<Card>) {
        while !self.stopping.load(Ordering::Acquire) {
            self.woken.store(false, Ordering::Release);
            let mut next: Option<u64> = None;
            for card in &mut cards {
                card.look();
                next = [next, card.deadline()].into_iter().flatten().min();
            }
            self.wait(next);
        }
    }

    /// Waits for a wake or machine time `deadline`.
    fn wait(&self, deadline: Option<u64>) {
        self.kernel.assert_wait(self.event, WaitMode::Uninterruptible, deadline);
        if self.woken.load(Ordering::Acquire) {
            self.kernel.clear_own_wait();
        } else {
            self.kernel.block();
        }
    }
}
