//! Threads as whoever looks at the kernel's memory from outside finds them (`abi::threads`).
//!
//! Each thread carries its entry; the directory leads to all of them. Entries are kept up to date where the scheduler changes its mind anyway, by
//! stores and nothing else. There is a directory only on a machine whose memory somebody could look at.

use crate::kernel::{Kernel, Scheduler};
use crate::lock_order::LockClass;
use crate::push::LockId;
use crate::seam::ThreadId;
use crate::thread::{RunState, Sched, Thread};
use abi::threads::{self, CHUNKS, Directory, PLACES};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// The memory of the directory's places, and which are free.
#[derive(Default)]
pub(crate) struct Places {
    chunks: Vec<Box<[AtomicU64]>>,
    free: Vec<usize>,
    used: usize,
}

impl Places {
    /// A free place; `None` if there are as many threads as a directory holds.
    fn take(&mut self, directory: &Directory) -> Option<usize> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let place = self.used;
        if place / PLACES == self.chunks.len() {
            if self.chunks.len() == CHUNKS {
                return None;
            }
            let chunk: Box<[AtomicU64]> = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
            directory.chunks[self.chunks.len()].store(address_of(&chunk[0]), Ordering::Release);
            self.chunks.push(chunk);
        }
        self.used += 1;
        Some(place)
    }

    fn at(&self, place: usize) -> &AtomicU64 {
        &self.chunks[place / PLACES][place % PLACES]
    }
}

/// What the machine's memory calls the place of a value.
pub(crate) fn address_of<T>(value: &T) -> u64 {
    (&raw const *value) as usize as u64
}

fn word(state: RunState) -> u8 {
    match state {
        RunState::Running => threads::RUNNING,
        RunState::Runnable => threads::RUNNABLE,
        RunState::Waiting => threads::WAITING,
        RunState::Dead => threads::DEAD,
    }
}

impl Kernel {
    /// Address of the directory of threads, as the machine's memory calls it; `None` on a machine that publishes none.
    pub fn directory(&self) -> Option<u64> {
        self.directory.as_deref().map(address_of)
    }

    /// The directory leads to `thread` from now on, which has its context.
    pub(crate) fn publish(&self, sched: &mut Scheduler, thread: &Thread) {
        let Some(directory) = &self.directory else { return };
        let told = &thread.told;
        told.id.store(thread.id(), Ordering::Relaxed);
        let context = thread.context.get().map_or(0, |context| context.0 as u64);
        told.context.store(context, Ordering::Relaxed);
        told.name.set(thread.name());
        if let Some(task) = &thread.task {
            told.task.store(task.id, Ordering::Relaxed);
            told.task_name.set(&task.name);
        }
        let mut t = self.lock_raw(&thread.sched);
        thread.tell(&t);
        thread.tell_policy(&t);
        t.listed = sched.places.take(directory);
        if let Some(place) = t.listed {
            sched.places.at(place).store(address_of(told), Ordering::Release);
        }
    }

    /// The directory leads to `thread` no more.
    pub(crate) fn unpublish(&self, sched: &mut Scheduler, thread: &Thread) {
        if let Some(place) = self.lock_raw(&thread.sched).listed.take() {
            sched.places.at(place).store(0, Ordering::Release);
            sched.places.free.push(place);
        }
    }
}

impl Thread {
    /// Writes down what the scheduler knows.
    pub(crate) fn tell(&self, t: &Sched) {
        self.told.state.store(word(t.state), Ordering::Relaxed);
        self.told.priority.store(t.priority, Ordering::Relaxed);
        self.told.cpu.store(t.last_cpu as u16, Ordering::Relaxed);
        self.told.event.store(t.wait.map_or(0, |event| event.0), Ordering::Relaxed);
    }

    /// Writes down what the scheduler was asked for.
    pub(crate) fn tell_policy(&self, t: &Sched) {
        self.told.base.store(t.base, Ordering::Relaxed);
        self.told.policy.set(t.policy.name());
    }

    /// Writes down the lock that the thread waits for, and who has it (0 = readers).
    pub(crate) fn tell_lock(&self, lock: LockId, class: LockClass, owner: ThreadId) {
        self.told.lock_owner.store(owner, Ordering::Relaxed);
        self.told.lock_class.store(class.number(), Ordering::Relaxed);
        self.told.lock.store(lock.0, Ordering::Relaxed);
    }

    /// Another thread has the lock now that this one waits for.
    pub(crate) fn tell_owner(&self, owner: ThreadId) {
        self.told.lock_owner.store(owner, Ordering::Relaxed);
    }

    /// It waits for no lock any more.
    pub(crate) fn tell_handed(&self) {
        self.told.lock.store(0, Ordering::Relaxed);
        self.told.lock_class.store(0, Ordering::Relaxed);
        self.told.lock_owner.store(0, Ordering::Relaxed);
    }
}
