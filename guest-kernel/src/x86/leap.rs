//! Time that nobody uses is skipped: the clock of the conformance tests.
//!
//! Their bodies sleep for milliseconds of machine time, and on a host that interprets ring 0 a machine second takes minutes. So when every CPU is idle,
//! machine time leaps to the first deadline that is armed; and when every CPU is idle or only spins, and no interrupt is on its way to one, a turn of a spin takes a fixed time. What else runs
//! takes its time as ever, nothing happens in another order, and nothing happens earlier than it was meant to.
//!
//! A CPU that spins with interrupts masked makes no time pass: it waits for a lock whose owner works, even if the host has taken that one's processor away. If that lasts
//! for longer than any host would, it waits for something that will never happen, and the guest says so.
//!
//! A CPU's hardware timer is armed in ticks, which a leap does not move; so it is armed again when it is due, when a CPU that has spun does something
//! else, and by the first interrupt that an idle one takes.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use guest_kernel::acpi::MAX_CPUS;

use super::lock::Masked;
use super::percpu;

/// Machine time of a turn of a spin, ns, where nobody does anything else: the first one, how much longer each is than the one before, and the longest.
const TURN: u64 = 50_000;
const LONGER: u64 = 5_000;
const LONGEST: u64 = 500_000;
/// Turns after which a CPU is known to spin.
const SPINS: u32 = 16;
/// Machine time without leaps, ns, after which a CPU that does nothing but spin with interrupts masked will do so for ever. The tests' machine takes a thousand times as
/// long by its host's clock.
const FOR_EVER: u64 = 10_000_000;
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
    /// Turns of a spin that it has made without doing anything else.
    spins: AtomicU32,
    /// Machine time without leaps since which it has spun with interrupts masked; 0 = it does not.
    masked_since: AtomicU64,
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

/// What a CPU finds that has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Somebody works, or something is about to come.
    Wait,
    /// Time has leapt: timers have moved, and those of these CPUs (a bit each) are due.
    Leapt(u32),
    /// Everybody is idle, and nothing is armed: nothing will ever happen.
    Nothing,
    /// This CPU spins with interrupts masked, for something that nobody does.
    Stuck,
}

impl Leap {
    /// Nothing skipped yet.
    pub const fn new() -> Self {
        let cpus = [const {
            Cpu {
                deadline: AtomicU64::new(NEVER),
                armed_after: AtomicU64::new(0),
                idle: AtomicBool::new(false),
                spins: AtomicU32::new(0),
                masked_since: AtomicU64::new(0),
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
        cpu.spins.store(0, SeqCst);
        cpu.masked_since.store(0, SeqCst);
        cpu.seen.store(cpu.sent.load(SeqCst), SeqCst);
        if timer {
            // The kernel arms it again for what is left. Behind the rest: whoever finds nothing armed sees that this CPU is awake.
            cpu.deadline.store(NEVER, SeqCst);
        }
        self.moved()
    }

    /// What this CPU's hardware must be armed for again, if a leap has moved it.
    pub fn moved(&self) -> Option<u64> {
        let cpu = &self.cpus[percpu::number()];
        let (deadline, skipped) = (cpu.due(), self.skipped());
        let moved = cpu.armed_after.swap(skipped, SeqCst) != skipped && deadline != NEVER;
        moved.then(|| deadline.saturating_sub(skipped))
    }

    /// This CPU does something. What its hardware must be armed for again, if it has spun time away before.
    pub fn works(&self) -> Option<u64> {
        let cpu = &self.cpus[percpu::number()];
        cpu.masked_since.store(0, SeqCst);
        if cpu.spins.load(SeqCst) == 0 {
            return None;
        }
        cpu.spins.store(0, SeqCst);
        self.moved()
    }

    /// This CPU, of `count`, makes a turn of a spin. `now` tells the machine time.
    pub fn spins(&self, count: usize, now: impl FnOnce() -> u64) -> Found {
        let turns = self.cpus[percpu::number()].spins.fetch_add(1, SeqCst);
        if turns < SPINS {
            return Found::Wait;
        }
        let _turn = self.turn.lock();
        let rests = |cpu: &Cpu| cpu.is_idle() || cpu.only_spins();
        let Some(first) = self.first_deadline(count, rests) else { return Found::Wait };
        let now = now();
        let turn = (TURN + u64::from(turns - SPINS) * LONGER).min(LONGEST);
        self.leap(count, now, first.min(now + turn))
    }

    /// This CPU makes a turn of a spin with interrupts masked, at machine time `now` without leaps.
    pub fn spins_masked(&self, now: u64) -> Found {
        let since = &self.cpus[percpu::number()].masked_since;
        // 0 means that it does not spin, so that the first nanosecond of time counts as the second.
        match since.compare_exchange(0, now.max(1), SeqCst, SeqCst) {
            Err(began) if now.saturating_sub(began) > FOR_EVER => Found::Stuck,
            _ => Found::Wait,
        }
    }

    /// This CPU, of `count`, is about to halt. `now` tells the machine time.
    pub fn idles(&self, count: usize, now: impl FnOnce() -> u64) -> Found {
        let _turn = self.turn.lock();
        self.cpus[percpu::number()].idle.store(true, SeqCst);
        match self.first_deadline(count, Cpu::is_idle) {
            None => Found::Wait,
            Some(NEVER) => Found::Nothing,
            Some(first) => self.leap(count, now(), first),
        }
    }

    /// The first deadline of all, if each of them `rests`.
    ///
    /// A timer that goes off meanwhile is armed no longer, and its CPU has been awake for a moment then: so they are looked at again behind the
    /// deadlines.
    fn first_deadline(&self, count: usize, rests: impl Fn(&Cpu) -> bool) -> Option<u64> {
        let cpus = &self.cpus[..count];
        let rest = || cpus.iter().all(&rests);
        let first = rest().then(|| cpus.iter().map(Cpu::due).fold(NEVER, u64::min))?;
        rest().then_some(first)
    }

    /// From `now` to `to`.
    fn leap(&self, count: usize, now: u64, to: u64) -> Found {
        let (cpus, to) = (&self.cpus[..count], to.max(now));
        self.skipped.fetch_add(to - now, SeqCst);
        let due = (0..count).filter(|&n| cpus[n].due() <= to);
        Found::Leapt(due.fold(0, |mask, n| mask | 1 << n))
    }
}

impl Cpu {
    fn due(&self) -> u64 {
        self.deadline.load(SeqCst)
    }

    /// It halts, and nothing is on its way to it.
    fn is_idle(&self) -> bool {
        self.idle.load(SeqCst) && self.has_seen_all()
    }

    /// It spins, and nothing is on its way to it: the host may have taken its processor away, and time must not pass it by.
    fn only_spins(&self) -> bool {
        self.spins.load(SeqCst) >= SPINS && self.has_seen_all()
    }

    fn has_seen_all(&self) -> bool {
        self.seen.load(SeqCst) == self.sent.load(SeqCst)
    }
}
