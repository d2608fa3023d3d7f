//! Processors that are held: none executes anything until they may go on.
//!
//! A processor that stands still does one thing more: what somebody wants of it, on its own thread, such as its registers ([`Hold::call`]).

use crate::machine::{Machine, lock};
use crate::processor;
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a processor gets to come out of the guest before it is called again: a call that comes just before it enters is lost.
const CALL: Duration = Duration::from_millis(2);

/// Who holds a machine. It goes on when nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Holder {
    /// Whoever steers it.
    Steer = 1,
    /// A debugger.
    Debugger = 2,
    /// Who writes a core.
    Dump = 4,
}

/// What a processor that stands still is to do.
type Job = Box<dyn FnOnce(&mut VcpuFd) + Send>;

/// Whether the processors may run, and which stand still.
#[derive(Default)]
pub struct Hold {
    asked: AtomicBool,
    /// Who holds the machine, a bit each.
    holders: AtomicU8,
    /// Processors that may run all the same, a bit each.
    free: AtomicU8,
    /// Processors that are to take a non-maskable interrupt, a bit each.
    nmi: AtomicU8,
    /// It has gone on, and the watchdog has not heard of it.
    went_on: AtomicBool,
    /// Processors that stand still.
    standing: Mutex<usize>,
    jobs: Mutex<Vec<(usize, Job)>>,
    changed: Condvar,
}

/// A processor's bit.
fn bit(cpu: usize) -> u8 {
    1u8.checked_shl(cpu as u32).unwrap_or(0)
}

impl Hold {
    /// The processors are to stand still as soon as they come out of the guest.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Whether they are.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether somebody holds the machine.
    pub fn is_held(&self) -> bool {
        self.holders.load(Ordering::Acquire) != 0
    }

    /// Whether the machine has gone on after it was held; true once.
    pub fn went_on(&self) -> bool {
        self.went_on.swap(false, Ordering::AcqRel)
    }

    /// They may go on.
    pub fn release(&self) {
        let standing = lock(&self.standing);
        self.asked.store(false, Ordering::Release);
        drop(standing);
        self.changed.notify_all();
    }

    /// Processor `cpu` may go on, while the others stand still.
    pub fn release_one(&self, cpu: usize) {
        let standing = lock(&self.standing);
        self.free.store(bit(cpu), Ordering::Release);
        drop(standing);
        self.changed.notify_all();
    }

    /// No processor may run any more for itself.
    pub fn keep_all(&self) {
        self.free.store(0, Ordering::Release);
    }

    fn must_stand(&self, cpu: usize) -> bool {
        self.is_asked() && self.free.load(Ordering::Acquire) & bit(cpu) == 0
    }

    /// The machine ends, or a processor's thread has ended: who waits looks again.
    pub fn look_again(&self) {
        // Who has looked and does not wait yet holds the lock.
        drop(lock(&self.standing));
        self.changed.notify_all();
    }

    /// Each processor takes a non-maskable interrupt as soon as it may run.
    pub fn interrupt(&self, machine: &Machine) {
        self.nmi.store(u8::MAX, Ordering::Release);
        machine.faults.call_all_out();
    }

    /// On a processor's thread, out of the guest: takes what is for it, and returns when it may run, or the machine ends.
    pub fn wait(&self, machine: &Machine, cpu: usize, vcpu: &mut VcpuFd) {
        self.pause(machine, cpu, vcpu);
        let bit = bit(cpu);
        if self.nmi.load(Ordering::Acquire) & bit != 0 {
            self.nmi.fetch_and(!bit, Ordering::AcqRel);
            // One that waits already is one and the same.
            let _ = vcpu.nmi();
        }
    }

    /// On a processor's thread, out of the guest: returns when it may run, or the machine ends.
    pub fn pause(&self, machine: &Machine, cpu: usize, vcpu: &mut VcpuFd) {
        if !self.must_stand(cpu) {
            return;
        }
        let mut completed = false;
        let mut standing = lock(&self.standing);
        *standing += 1;
        self.changed.notify_all();
        while self.must_stand(cpu) && !machine.is_stopping() {
            let Some(job) = self.take_job(cpu) else {
                standing = self.changed.wait(standing).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(standing);
            if !std::mem::replace(&mut completed, true) {
                processor::complete(machine, vcpu, cpu);
            }
            job(vcpu);
            standing = lock(&self.standing);
        }
        *standing -= 1;
    }

    fn take_job(&self, cpu: usize) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let at = jobs.iter().position(|(wanted, _)| *wanted == cpu)?;
        Some(jobs.swap_remove(at).1)
    }

    /// Lets processor `cpu`, which stands still, do `job` on its own thread, with its last exit served; what it answers. `None` if it has ended.
    pub fn call<R: Send + 'static>(
        &self,
        machine: &Machine,
        cpu: usize,
        job: impl FnOnce(&mut VcpuFd) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, answer) = sync_channel(1);
        // Nobody listens only if this thread has given up.
        let job = move |vcpu: &mut VcpuFd| _ = sender.send(job(vcpu));
        lock(&self.jobs).push((cpu, Box::new(job)));
        self.look_again();
        loop {
            match answer.recv_timeout(CALL) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if machine.is_stopping() || !machine.faults.is_running(cpu) {
                        // One that it has begun still answers, or its end does.
                        drop(self.take_job(cpu));
                    }
                }
            }
        }
    }

    /// Gets every processor out of the guest and waits until all stand still, or the machine ends.
    pub fn settle(&self, machine: &Machine) {
        self.ask();
        self.keep_all();
        let mut standing = lock(&self.standing);
        while *standing < machine.faults.running() && !machine.is_stopping() {
            machine.faults.call_all_out();
            let waited = self.changed.wait_timeout(standing, CALL);
            standing = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Machine {
    /// Holds the machine: when this returns, no processor executes anything and machine time stands still. On the event loop's thread.
    pub fn stand(&self, holder: Holder) {
        let before = self.hold.holders.fetch_or(holder as u8, Ordering::AcqRel);
        if before == 0 {
            self.hold.settle(self);
            self.clock.stop();
        }
    }

    /// As [`Machine::stand`], also if one processor may run for itself.
    pub fn stand_again(&self, holder: Holder) {
        self.stand(holder);
        self.hold.settle(self);
        self.clock.stop();
    }

    /// Lets it go on, unless somebody else holds it. A guest without a bench reads its own counter, for which time has not stood still. On
    /// the event loop's thread.
    pub fn go_on(&self, holder: Holder) {
        let before = self.hold.holders.fetch_and(!(holder as u8), Ordering::AcqRel);
        if before != holder as u8 {
            return;
        }
        self.time_goes_on();
        self.hold.went_on.store(true, Ordering::Release);
        self.hold.release();
        // Its timer was taken away.
        let _ = self.wake.write(1);
    }

    /// Machine time goes on from where it stood.
    pub fn time_goes_on(&self) {
        let gone_on = self.clock.go();
        self.trace.with_ring(|ring| ring.move_zero(gone_on));
    }
}
