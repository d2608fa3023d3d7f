//! Processors that are held: none executes anything until they may go on.

use crate::machine::{Machine, lock};
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a processor gets to come out of the guest before it is called again: a call that comes just before it enters is lost.
const CALL: Duration = Duration::from_millis(2);

/// Whether the processors may run, and which stand still.
#[derive(Default)]
pub struct Hold {
    asked: AtomicBool,
    /// Processors that are to take a non-maskable interrupt, a bit each.
    nmi: AtomicU8,
    /// Processors that stand still.
    standing: Mutex<usize>,
    changed: Condvar,
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

    /// They may go on.
    pub fn release(&self) {
        let standing = lock(&self.standing);
        self.asked.store(false, Ordering::Release);
        drop(standing);
        self.changed.notify_all();
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
    pub fn wait(&self, machine: &Machine, cpu: usize, vcpu: &VcpuFd) {
        self.pause(machine);
        let bit = 1u8.checked_shl(cpu as u32).unwrap_or(0);
        if self.nmi.load(Ordering::Acquire) & bit != 0 {
            self.nmi.fetch_and(!bit, Ordering::AcqRel);
            // One that waits already is one and the same.
            let _ = vcpu.nmi();
        }
    }

    /// On a processor's thread, out of the guest: returns when it may run, or the machine ends.
    pub fn pause(&self, machine: &Machine) {
        if !self.is_asked() {
            return;
        }
        let mut standing = lock(&self.standing);
        *standing += 1;
        self.changed.notify_all();
        while self.is_asked() && !machine.is_stopping() {
            standing = self.changed.wait(standing).unwrap_or_else(PoisonError::into_inner);
        }
        *standing -= 1;
    }

    /// Gets every processor out of the guest and waits until all stand still, or the machine ends.
    pub fn settle(&self, machine: &Machine) {
        self.ask();
        let mut standing = lock(&self.standing);
        while *standing < machine.faults.running() && !machine.is_stopping() {
            machine.faults.call_all_out();
            let waited = self.changed.wait_timeout(standing, CALL);
            standing = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
