//! What a plan does to the processors and the memory of a machine on KVM.

use crate::machine::{Machine, lock};
use crate::threads;
use devices::fault::plan::Scarcity;
use devices::platform::{Ask, layout};
use kvm_ioctls::VcpuFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use trace::ring::{COMMAND_VECTOR, PREEMPT_VECTOR};
use vmm_sys_util::signal::SIGRTMIN;

/// Most processors of a machine.
const MAX_CPUS: usize = 8;
/// How long a processor that is stalled sleeps at once: it must hear of the machine's end.
const NAP: Duration = Duration::from_millis(2);
/// Machine ns by which the host and the guest may miss the time of a timer.
pub const RACE_MARGIN: u64 = 50_000;
/// Bits 12 and up of a message's address: the local APIC that it is for (Intel SDM 3A, 11.11.1).
const DESTINATION_SHIFT: u32 = 12;

/// One processor.
#[derive(Default)]
struct Cpu {
    /// Machine time until which it executes nothing.
    stalled_until: AtomicU64,
    /// Its thread, from its start until it has left the guest for good.
    thread: Mutex<Option<libc::pthread_t>>,
    /// The host's number of that thread.
    number: AtomicU32,
}

impl Cpu {
    fn call_out(&self) {
        let thread = lock(&self.thread);
        if let Some(thread) = *thread {
            // SAFETY: the thread lives, as it takes its name out, under this lock, before it ends; the signal's handler does nothing.
            unsafe { libc::pthread_kill(thread, SIGRTMIN()) };
        }
    }
}

/// Who is stalled, and for how long.
#[derive(Default)]
pub struct Faults {
    cpus: [Cpu; MAX_CPUS],
    /// Machine time until which nothing happens at all.
    asleep_until: AtomicU64,
}

impl Faults {
    /// The calling thread is that of processor `cpu`, which begins.
    pub fn enter(&self, cpu: usize) {
        if let Some(cpu) = self.cpus.get(cpu) {
            // SAFETY: names the calling thread; there is nothing to it.
            *lock(&cpu.thread) = Some(unsafe { libc::pthread_self() });
            // SAFETY: asks for the calling thread's number; there is nothing to it.
            let number = unsafe { libc::gettid() };
            cpu.number.store(number.unsigned_abs(), Ordering::Relaxed);
        }
    }

    /// The thread of processor `cpu` ends.
    pub fn leave(&self, cpu: usize) {
        if let Some(cpu) = self.cpus.get(cpu) {
            *lock(&cpu.thread) = None;
        }
    }

    /// Machine time until which no device may work; past if they may.
    pub fn asleep_until(&self) -> u64 {
        self.asleep_until.load(Ordering::Acquire)
    }

    fn stall(&self, cpu: usize, until: u64) {
        if let Some(state) = self.cpus.get(cpu) {
            state.stalled_until.fetch_max(until, Ordering::AcqRel);
        }
    }

    /// Gets the processors that should be stalled out of the guest. One that was just about to enter it misses the call; so the event loop
    /// calls again, time after time.
    pub fn call_out(&self, now: u64) {
        for cpu in &self.cpus {
            if cpu.stalled_until.load(Ordering::Acquire) <= now {
                continue;
            }
            cpu.call_out();
        }
    }

    /// Gets every processor out of the guest, as [`Faults::call_out`] does those that are stalled.
    pub fn call_all_out(&self) {
        self.cpus.iter().for_each(Cpu::call_out);
    }

    /// Processors whose threads have begun and not ended.
    pub fn running(&self) -> usize {
        self.cpus.iter().filter(|cpu| lock(&cpu.thread).is_some()).count()
    }

    /// Whether the thread of processor `cpu` has begun and not ended.
    pub fn is_running(&self, cpu: usize) -> bool {
        self.cpus.get(cpu).is_some_and(|cpu| lock(&cpu.thread).is_some())
    }

    /// The host's number of each processor's thread; 0 = it has none.
    pub fn host_threads(&self) -> impl Iterator<Item = u32> + '_ {
        self.cpus.iter().map(|cpu| cpu.number.load(Ordering::Relaxed))
    }
}

impl Machine {
    /// The plan wants something of the machine.
    pub fn ask(&self, ask: Ask) {
        let now = self.clock.now();
        match ask {
            Ask::Stall { cpu, duration } => {
                self.faults.stall(cpu as usize, now.saturating_add(duration));
                self.faults.call_out(now);
            }
            Ask::ClockJump { by } => {
                let until = now.saturating_add(by);
                self.faults.asleep_until.fetch_max(until, Ordering::AcqRel);
                (0..MAX_CPUS).for_each(|cpu| self.faults.stall(cpu, until));
                self.faults.call_out(now);
            }
            Ask::Preempt { cpu } => {
                let cpu = cpu.or(threads::current_cpu()).unwrap_or(0);
                self.interrupt(cpu, PREEMPT_VECTOR);
            }
            Ask::FailAlloc { which, seed } => self.make_scarce(which, seed),
            Ask::Plenty => self.trace.with_ring(|ring| ring.make_scarce(0, 0, 0)),
            Ask::Kill { slot } => {
                self.trace.with_ring(|ring| ring.kill(1u32.checked_shl(slot).unwrap_or(0)));
                self.interrupt(0, COMMAND_VECTOR);
            }
            // The margin has ordered them already, as far as this host can.
            Ask::Race { .. } => {}
        }
    }

    fn interrupt(&self, cpu: u32, vector: u8) {
        let address = layout::LOCAL_APIC | u64::from(cpu & 0xff) << DESTINATION_SHIFT;
        self.interrupts.message(&self.vm, address, vector.into());
    }

    fn make_scarce(&self, which: Scarcity, seed: u64) {
        self.trace.with_ring(|ring| match which {
            Scarcity::Nth(n) => ring.make_scarce(u32::try_from(n).unwrap_or(u32::MAX), 0, seed),
            Scarcity::Chance { chance, .. } => ring.make_scarce(0, chance.of_32_bits(), seed),
        });
    }

    /// Returns when processor `cpu` may execute, or the machine ends.
    pub fn wait_while_stalled(&self, cpu: usize, vcpu: &mut VcpuFd) {
        let Some(state) = self.faults.cpus.get(cpu) else { return };
        while !self.is_stopping() {
            let until = state.stalled_until.load(Ordering::Acquire);
            if until <= self.clock.now() {
                return;
            }
            // While the machine is held, its time does not pass.
            self.hold.pause(self, cpu, vcpu);
            std::thread::sleep(self.clock.until(until).min(NAP));
        }
    }
}
