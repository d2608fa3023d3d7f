//! Time that nobody uses is skipped: the clock of the conformance tests.
//!
//! Their bodies sleep for milliseconds of machine time, and on a host that interprets ring 0 a machine second takes minutes. So when every CPU is idle,
//! machine time leaps to the first deadline that is armed. What runs takes its time as ever, nothing happens in another order, and nothing
//! happens earlier than it was meant to.
//!
//! A CPU's hardware timer is armed in ticks, which a leap does not move; so it is armed again by the first interrupt that the CPU takes after a leap.
//! Only an idle CPU can have missed one, and only an interrupt ends its idleness.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use guest_kernel::acpi::MAX_CPUS;

use super::lock::Masked;
use super::percpu;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// What is known of one CPU.
#[derive(Debug)]
struct Cpu {
    /// Machine time for which its timer is armed.
    deadline: AtomicU64,
    /// How much was skipped when its timer was armed.
    armed_after: AtomicU64,
    idle: AtomicBool,
    /// Interrupts that others sent to it, and how many of these it has seen.
    sent: AtomicU32,
    seen: AtomicU32,
}

/// Time that was skipped, and who lets it be.
#[derive(Debug)]
pub struct Leap {
    skipped: AtomicU64,
    /// Held by whoever looks whether all are idle: of two that go idle together, the second finds what the first one did.
    turn: Masked<()>,
    cpus: [Cpu; MAX_CPUS],
}

/// What an idle CPU finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Somebody works, or something is about to come.
    Wait,
    /// Time has leapt: the timers of these CPUs (a bit each) are due.
    Leapt(u32),
    /// Everybody is idle, and nothing is armed: nothing will ever happen.
    Nothing,
}

impl Leap {
    /// Nothing skipped yet.
    pub const fn new() -> Self {
        let cpus = [const {
            Cpu {
                deadline: AtomicU64::new(NEVER),
                armed_after: AtomicU64::new(0),
                idle: AtomicBool::new(false),
                sent: AtomicU32::new(0),
                seen: AtomicU32::new(0),
            }
        }; MAX_CPUS];
        Self { skipped: AtomicU64::new(0), turn: Masked::new(()), cpus }
    }

    /// Nanoseconds skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(SeqCst)
    }

    /// This CPU arms its timer; the time without leaps for which the hardware is to be armed.
    pub fn arm(&self, deadline: Option<u64>) -> Option<u64> {
        let cpu = &self.cpus[percpu::number()];
        let skipped = self.skipped();
        cpu.deadline.store(deadline.unwrap_or(NEVER), SeqCst);
        cpu.armed_after.store(skipped, SeqCst);
        deadline.map(|at| at.saturating_sub(skipped))
    }

    /// CPU `number` is about to be sent an interrupt.
    pub fn sends(&self, number: usize) {
        self.cpus[number].sent.fetch_add(1, SeqCst);
    }

    /// This CPU takes an interrupt, its `timer`'s or another. What the hardware must be armed for again, if a leap has moved it.
    pub fn interrupted(&self, timer: bool) -> Option<u64> {
        let cpu = &self.cpus[percpu::number()];
        cpu.idle.store(false, SeqCst);
        cpu.seen.store(cpu.sent.load(SeqCst), SeqCst);
        if timer {
            // The kernel arms it again for what is left.
            cpu.deadline.store(NEVER, SeqCst);
        }
        let (deadline, skipped) = (cpu.deadline.load(SeqCst), self.skipped());
        let moved = cpu.armed_after.swap(skipped, SeqCst) != skipped && deadline != NEVER;
        moved.then(|| deadline.saturating_sub(skipped))
    }

    /// This CPU, of `count`, is about to halt. `now` tells the machine time.
    pub fn idles(&self, count: usize, now: impl FnOnce() -> u64) -> Found {
        let _turn = self.turn.lock();
        let cpus = &self.cpus[..count];
        cpus[percpu::number()].idle.store(true, SeqCst);
        let quiet = |cpu: &Cpu| cpu.idle.load(SeqCst) && cpu.seen.load(SeqCst) == cpu.sent.load(SeqCst);
        if !cpus.iter().all(quiet) {
            return Found::Wait;
        }
        let deadline = |cpu: &Cpu| cpu.deadline.load(SeqCst);
        match cpus.iter().map(deadline).min() {
            None | Some(NEVER) => Found::Nothing,
            Some(first) => {
                let now = now();
                self.skipped.fetch_add(first.saturating_sub(now), SeqCst);
                let due = (0..count).filter(|&n| deadline(&cpus[n]) <= first.max(now));
                Found::Leapt(due.fold(0, |mask, n| mask | 1 << n))
            }
        }
    }
}
