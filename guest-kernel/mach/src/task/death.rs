//! How tasks and their threads end.

use super::table::{Task, Threads};
use crate::kernel::{Kernel, KernelRef};
use crate::seam::ThreadId;
use crate::thread::Thread;
use abi::KernReturn;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use trace::{Event, Kind};

impl Task {
    /// Terminates it: see the [module](super). Returns when nothing of it works any more; threads may still be on their way out. True if
    /// this was what terminated it. May block: not with a lock held, nor at interrupt level.
    pub fn terminate(self: &Arc<Self>, kernel: &KernelRef) -> bool {
        let me = kernel.thread_id();
        let others: Vec<Arc<Thread>> = {
            let mut threads = self.threads.lock(kernel);
            if core::mem::replace(&mut threads.terminating, true) {
                return false;
            }
            self.terminating.store(true, Ordering::Release);
            threads.members.values().map(|member| member.thread.clone()).collect()
        };
        kernel.trace(Event::new(Kind::TaskEnd).object(self.id()).text(self.name()));
        // This thread may have to wait below: its own turn comes last.
        for thread in others.iter().filter(|thread| thread.id() != me) {
            thread.abort(kernel);
            kernel.machine().user_recall(thread.id());
        }
        let port = self.own_port.lock(kernel).take();
        drop(port);
        let exceptions = self.exception_port.lock(kernel).take();
        drop(exceptions);
        kernel.destroy_space(self.id());
        self.map.clear(kernel);
        if let Some(thread) = others.iter().find(|thread| thread.id() == me) {
            thread.abort(kernel);
        }
        let is_last = {
            let mut threads = self.threads.lock(kernel);
            threads.torn = true;
            ends(&mut threads)
        };
        if is_last {
            self.finish(kernel);
        }
        true
    }

    /// Thread `id` shall end.
    ///
    /// # Errors
    /// InvalidArgument: the task has no such thread.
    pub(super) fn terminate_thread(&self, kernel: &Kernel, id: ThreadId) -> Result<(), KernReturn> {
        let thread = {
            let threads = self.threads.lock(kernel);
            let member = threads.members.get(&id).ok_or(KernReturn::InvalidArgument)?;
            member.doomed.store(true, Ordering::Release);
            member.thread.clone()
        };
        thread.abort(kernel);
        kernel.machine().user_recall(id);
        Ok(())
    }

    /// Thread `id`, the running one, has left user code for ever.
    pub(super) fn thread_ended(self: &Arc<Self>, kernel: &KernelRef, id: ThreadId, code: u64) {
        self.exit_code.store(code, Ordering::Release);
        {
            let mut threads = self.threads.lock(kernel);
            if threads.members.remove(&id).is_none() {
                threads.early.push(id);
            }
        }
        self.thread_left(kernel);
    }

    /// There is a thread less, or one that could not be made.
    pub(super) fn thread_left(self: &Arc<Self>, kernel: &KernelRef) {
        let (is_last, is_end) = {
            let mut threads = self.threads.lock(kernel);
            threads.count -= 1;
            (threads.count == 0 && !threads.terminating, ends(&mut threads))
        };
        if is_last {
            // What this thread was killed for is done; what follows may have to wait.
            kernel.current().clear_abort(kernel);
            self.terminate(kernel);
        }
        if is_end {
            self.finish(kernel);
        }
    }

    fn finish(&self, kernel: &Kernel) {
        self.map.destroy(kernel);
        let own = kernel.tasks.lock(kernel).tasks.remove(&self.id());
        self.threads.lock(kernel).finished = true;
        kernel.wakeup(self.gone);
        drop(own);
    }
}

/// Whether this is the moment when the last of a task goes; once.
fn ends(threads: &mut Threads) -> bool {
    threads.torn && threads.count == 0 && !core::mem::replace(&mut threads.finishing, true)
}
