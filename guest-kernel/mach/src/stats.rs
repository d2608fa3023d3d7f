//! Statistics: what each thread and each CPU did with its time, and how long the woken wait.
//!
//! Taken where a thread changes its state, under the scheduler's lock, which is held there anyway: a subtraction and an addition, no
//! allocation but for the first of each band. Reading them allocates, and holds that lock for as long as it takes to copy a line for each thread.

use crate::band::BANDS;
use crate::kernel::{Kernel, Scheduler};
use crate::policy::Policy;
use crate::seam::ThreadId;
use crate::thread::{RunState, Sched, Thread};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Buckets of a histogram. The last one holds what took 2³⁸ ns (five minutes) or longer.
pub const BUCKETS: usize = 40;

/// Latencies by powers of two: bucket 0 counts those of 0 ns, bucket `n` those of 2ⁿ⁻¹ to 2ⁿ − 1 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Histogram {
    /// Counts a latency in ns.
    pub fn add(&mut self, nanos: u64) {
        let bucket = (u64::BITS - nanos.leading_zeros()) as usize;
        self.0[bucket.min(BUCKETS - 1)] += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A bound, in ns, that `percent` in a hundred of them stay under; the power of two above. `None` if there are none.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let wanted = (self.count() * percent.min(100)).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Some(1 << bucket);
            }
        }
        None
    }
}

/// Wake-up latencies by band, in the order of [`BANDS`].
///
/// Each made when it is needed first: a machine that lives for some microseconds has threads in one band or two.
#[derive(Default)]
pub(crate) struct Latencies([Option<Box<Histogram>>; BANDS.len()]);

impl Latencies {
    pub(crate) fn add(&mut self, level: u8, nanos: u64) {
        let band = BANDS.iter().position(|band| level >= band.low).unwrap_or(BANDS.len() - 1);
        self.0[band].get_or_insert_default().add(nanos);
    }

    fn all(&self) -> [Histogram; BANDS.len()] {
        self.0.each_ref().map(|histogram| histogram.as_deref().copied().unwrap_or_default())
    }
}

/// What somebody did with its time, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// On a CPU.
    pub running: u64,
    /// In a run queue, waiting for one.
    pub ready: u64,
    /// Blocked.
    pub blocked: u64,
}

/// A thread's book-keeping, under the scheduler's lock.
#[derive(Clone, Copy, Default)]
pub(crate) struct Record {
    times: Times,
    /// Machine time at which its state last changed.
    since: u64,
    /// Its wait was over, and it has not run yet.
    woken: bool,
    dispatches: u64,
    wakeups: u64,
    moves: u64,
}

impl Record {
    /// A thread that is made at machine time `now`.
    pub(crate) fn since(now: u64) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Machine time since when its thread is in its state.
    pub(crate) const fn since_when(&self) -> u64 {
        self.since
    }

    fn passed(&mut self, now: u64) -> u64 {
        now.saturating_sub(core::mem::replace(&mut self.since, now))
    }

    /// It has been running until `now`; for how long.
    pub(crate) fn ran(&mut self, now: u64) -> u64 {
        let ran = self.passed(now);
        self.times.running += ran;
        ran
    }

    /// It was blocked until `now`.
    pub(crate) fn rested(&mut self, now: u64) {
        self.times.blocked += self.passed(now);
    }

    /// It was blocked, or being made, until `now`, and somebody made it runnable.
    fn unblocked(&mut self, now: u64) {
        self.rested(now);
        self.woken = self.dispatches > 0;
        self.wakeups += u64::from(self.woken);
    }

    /// It was in a run queue until `now`, and runs, maybe on another CPU than before. How long it waited for that if it was woken.
    pub(crate) fn dispatched(&mut self, now: u64, moved: bool) -> Option<u64> {
        let waited = self.passed(now);
        self.times.ready += waited;
        self.dispatches += 1;
        let woken = core::mem::take(&mut self.woken);
        self.moves += u64::from(woken && moved);
        woken.then_some(waited)
    }
}

impl Sched {
    /// The thread's wait is over, or it is new.
    pub(crate) fn woken(&mut self, now: u64) {
        self.record.unblocked(now);
        self.computed = 0;
    }
}

/// A thread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStatistics {
    /// Its number.
    pub id: ThreadId,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: RunState,
    /// The policy that was asked for.
    pub policy: Policy,
    /// Machine time until which the fail-safe keeps it in timeshare (S6).
    pub demoted_until: Option<u64>,
    /// How often that has happened.
    pub demotions: u32,
    /// Priority that was asked for.
    pub base: u8,
    /// Priority that holds.
    pub priority: u8,
    /// Processor time that counts against its priority (S4), aged to this moment, in ns.
    pub usage: u64,
    /// Its time. All of it: the sum is its age.
    pub times: Times,
    /// Times that a CPU switched to it.
    pub dispatches: u64,
    /// Waits that were over, locks and sleeps included.
    pub wakeups: u64,
    /// Wake-ups after which it ran on another CPU than before: ping-pong.
    pub moves: u64,
    /// CPU that it runs on, or ran on last: where it is put first if that is no worse than elsewhere.
    pub last_cpu: usize,
}

/// A CPU at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuStatistics {
    /// The thread that runs; 0 = the CPU has not started.
    pub thread: ThreadId,
    /// Time that its idle thread ran, in ns.
    pub idle: u64,
}

/// The kernel's books at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Machine time.
    pub time: u64,
    /// All CPUs.
    pub cpus: Vec<CpuStatistics>,
    /// All threads that have not ended, in order of their numbers, idle threads included.
    pub threads: Vec<ThreadStatistics>,
    /// From the end of a wait to running, by the band that the thread was in then, in the order of [`BANDS`].
    pub latencies: [Histogram; BANDS.len()],
}

impl Kernel {
    /// For how long the running thread has been in run queues in its life, waiting for a CPU, ns. Takes no lock and masks nothing: for who
    /// measures what a thread itself took.
    #[inline]
    pub fn own_ready_time(&self) -> u64 {
        let me = self.thread_id();
        self.ready_time_here(me).unwrap_or_else(|| self.ready_time_of_the_moved(me))
    }

    /// The ready time of `me`, the running thread, as its CPU has it; `None`: it was moved between the lines.
    #[inline]
    fn ready_time_here(&self, me: ThreadId) -> Option<u64> {
        let local = &self.cpus[self.machine().cpu()];
        // While a CPU says that this thread was dispatched there last, the thread runs there: the number is its own.
        let is_mine = || local.dispatched.load(Ordering::Acquire) == me;
        if !is_mine() {
            return None;
        }
        let time = local.ready_time.load(Ordering::Acquire);
        is_mine().then_some(time)
    }

    #[cold]
    fn ready_time_of_the_moved(&self, me: ThreadId) -> u64 {
        const TRIES: usize = 8;
        let found = (0..TRIES).find_map(|_| self.ready_time_here(me));
        // It was moved about all the time.
        found.unwrap_or_else(|| self.current().statistics(self).times.ready)
    }

    /// `cpu` is about to run `thread`, which was kept waiting for `ready` ns in its life.
    pub(crate) fn note_ready_time(&self, cpu: usize, thread: ThreadId, record: &Record) {
        let local = &self.cpus[cpu];
        local.dispatched.store(0, Ordering::Release);
        local.ready_time.store(record.times.ready, Ordering::Release);
        local.dispatched.store(thread, Ordering::Release);
    }

    /// The books of all threads and CPUs.
    pub fn statistics(&self) -> Statistics {
        let sched = self.sched_lock();
        let time = self.now();
        Statistics {
            time,
            cpus: (0..sched.cpus.len()).map(|cpu| self.cpu_statistics(&sched, cpu, time)).collect(),
            threads: sched.threads.values().map(|thread| thread.statistics_at(self, time)).collect(),
            latencies: sched.latencies.all(),
        }
    }

    fn cpu_statistics(&self, sched: &Scheduler, cpu: usize, now: u64) -> CpuStatistics {
        let state = &sched.cpus[cpu];
        let idle = state.idle.as_ref().map_or(0, |idle| idle.statistics_at(self, now).times.running);
        CpuStatistics { thread: state.current.as_ref().map_or(0, |thread| thread.id()), idle }
    }
}

impl Thread {
    /// The thread's books.
    pub fn statistics(&self, kernel: &Kernel) -> ThreadStatistics {
        let _sched = kernel.sched_lock();
        self.statistics_at(kernel, kernel.now())
    }

    /// How long it has been on a CPU, ns: what [`Thread::statistics`] says, for who asks often.
    pub fn running_time(&self, kernel: &Kernel) -> u64 {
        let _sched = kernel.sched_lock();
        let t = kernel.lock_raw(&self.sched);
        let passed =
            if t.state == RunState::Running { kernel.now().saturating_sub(t.record.since) } else { 0 };
        t.record.times.running + passed
    }

    fn statistics_at(&self, kernel: &Kernel, now: u64) -> ThreadStatistics {
        let t = kernel.lock_raw(&self.sched);
        let mut times = t.record.times;
        let passed = now.saturating_sub(t.record.since);
        match t.state {
            RunState::Running => times.running += passed,
            RunState::Runnable => times.ready += passed,
            RunState::Waiting => times.blocked += passed,
            RunState::Dead => {}
        }
        ThreadStatistics {
            id: self.id(),
            name: self.name().into(),
            state: t.state,
            policy: t.policy,
            demoted_until: t.demoted_until,
            demotions: t.demotions,
            base: t.base,
            priority: t.priority,
            usage: t.usage.aged(now).nanos(),
            times,
            dispatches: t.record.dispatches,
            wakeups: t.record.wakeups,
            moves: t.record.moves,
            last_cpu: t.last_cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_by_powers_of_two() {
        let mut histogram = Histogram::default();
        for nanos in [0, 1, 2, 3, 4, 1_023, 1_024, u64::MAX] {
            histogram.add(nanos);
        }
        let counted: Vec<_> =
            histogram.0.iter().enumerate().filter(|&(_, &n)| n > 0).map(|(b, &n)| (b, n)).collect();
        assert_eq!(counted, [(0, 1), (1, 1), (2, 2), (3, 1), (10, 1), (11, 1), (39, 1)]);
        assert_eq!(histogram.count(), 8);
        assert_eq!(histogram.percentile(50), Some(4));
        assert_eq!(histogram.percentile(100), Some(1 << 39));
        assert_eq!(Histogram::default().percentile(99), None);
    }

    #[test]
    fn every_level_has_its_band() {
        let mut latencies = Latencies::default();
        (0..=127).for_each(|level| latencies.add(level, 0));
        assert_eq!(latencies.all().map(|histogram| histogram.count()), [32, 16, 16, 63, 1]);
    }
}
