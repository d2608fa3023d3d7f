//! The loop's thread: pass, wait, end (WL4, WL5, WL6, WL12).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use mach::{Policy, WaitMode, band};

use super::Core;
use crate::ioreturn::IOResult;

impl Core {
    /// Makes the thread, if there is none (WL2: lazily). Gate held.
    pub(super) fn start_thread(self: &Arc<Self>) -> IOResult {
        if self.thread.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let core = self.clone();
        let thread = self.kernel().spawn("IOWorkLoop", band::KERNEL, Policy::Fixed, move |_| core.run())?;
        self.thread.store(thread.id(), Ordering::Release);
        Ok(())
    }

    fn run(self: &Arc<Self>) {
        loop {
            self.pass();
            if !self.wait_for_work() {
                break;
            }
        }
        self.release_sources();
    }

    /// WL4. The gate is held across the whole pass, repeats included.
    fn pass(&self) {
        let _gate = self.enter();
        if self.terminating() {
            return;
        }
        loop {
            self.restart.store(false, Ordering::Release);
            self.work.lock(self.kernel()).to_do = false;
            match self.walk() {
                Walk::More => {}
                Walk::Idle | Walk::Terminating => return,
            }
        }
    }

    fn walk(&self) -> Walk {
        let mut more = false;
        for index in 0.. {
            let source = self.chains.lock(self.kernel()).active.get(index).cloned();
            let Some(source) = source else { break };
            more |= source.check_for_work();
            if self.terminating() {
                return Walk::Terminating;
            }
            if self.restart.load(Ordering::Acquire) {
                return Walk::More;
            }
        }
        if more { Walk::More } else { Walk::Idle }
    }

    fn terminating(&self) -> bool {
        self.work.lock(self.kernel()).terminate
    }

    /// WL5: waits unless there is work; false if the loop ends.
    fn wait_for_work(&self) -> bool {
        let kernel = self.kernel();
        {
            let work = self.work.lock(kernel);
            if work.terminate {
                return false;
            }
            if work.to_do {
                return true;
            }
            kernel.assert_wait(self.event, WaitMode::Uninterruptible, None);
        }
        kernel.block();
        !self.terminating()
    }

    /// WL6: legal at primary interrupt level.
    pub(crate) fn signal_work_available(&self) {
        self.work.lock(self.kernel()).to_do = true;
        self.kernel().wakeup(self.event);
    }

    /// WL12, first leg: the last handle is gone.
    pub(super) fn terminate(self: &Arc<Self>) {
        let has_thread = {
            let _gate = self.enter();
            self.sources().iter().for_each(|s| s.disable());
            self.work.lock(self.kernel()).terminate = true;
            self.kernel().wakeup(self.event);
            self.thread.load(Ordering::Acquire) != 0
        };
        if !has_thread {
            self.release_sources();
        }
    }

    /// WL12, second leg.
    fn release_sources(&self) {
        let _gate = self.enter();
        let sources = self.sources();
        for source in &sources {
            self.detach_source(source);
        }
        let chains = core::mem::take(&mut *self.chains.lock(self.kernel()));
        drop(chains);
        drop(sources);
    }
}

enum Walk {
    More,
    Idle,
    Terminating,
}
