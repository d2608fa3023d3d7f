//! A thread that looks at what has news, so that nothing that takes time happens at interrupt level or in a gate.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use mach::seam::OutOfMemory;
use mach::{KernelRef, Policy, SpinLock, Thread, WaitEvent, WaitMode, band};

/// The thread and what wakes it.
pub struct Worker {
    kernel: KernelRef,
    event: WaitEvent,
    woken: AtomicBool,
    stopping: AtomicBool,
    thread: SpinLock<Option<Arc<Thread>>>,
}

impl Worker {
    /// No thread yet.
    pub fn new(kernel: &KernelRef) -> Self {
        Self {
            kernel: kernel.clone(),
            event: kernel.new_event(),
            woken: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: SpinLock::new(None),
        }
    }

    /// The kernel.
    pub fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// Starts the thread, which is called `name`; `body` calls [`Worker::run`].
    ///
    /// # Errors
    /// No memory for the thread.
    pub fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), OutOfMemory> {
        let thread = self.kernel.spawn(name, band::KERNEL, Policy::Fixed, move |_: &KernelRef| body())?;
        *self.thread.lock(&self.kernel) = Some(thread);
        Ok(())
    }

    /// Until [`Worker::stop`], on the thread: calls `look` now, after each wake, and at the machine time that `look` gave, if it did.
    pub fn run(&self, mut look: impl FnMut() -> Option<u64>) {
        while !self.is_stopping() {
            self.woken.store(false, Ordering::Release);
            let next = look();
            self.wait(next);
        }
    }

    /// Lets the thread look. Legal at interrupt level.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.kernel.wakeup(self.event);
    }

    /// The thread shall come to its end: it begins nothing more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends the thread and waits for its end. Not with a gate held that it comes through.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        let thread = self.thread.lock(&self.kernel).take();
        if let Some(thread) = thread {
            thread.join(&self.kernel);
        }
    }

    /// Waits for a wake or machine time `deadline`. A wake that came since the look, and one to stop that the look forgot, is not lost.
    fn wait(&self, deadline: Option<u64>) {
        self.kernel.assert_wait(self.event, WaitMode::Uninterruptible, deadline);
        if self.woken.load(Ordering::Acquire) || self.is_stopping() {
            self.kernel.clear_own_wait();
        } else {
            self.kernel.block();
        }
    }
}
