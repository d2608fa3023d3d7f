//! What each thread did with its time, read from the trace: the kernel's own books (`mach::Statistics`), for threads that have ended too and on every machine.

use mach::band;
use serde::Serialize;
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Threads with an account; later ones are counted.
const MAX_THREADS: usize = 1_024;
/// Threads that the summary names.
const NAMED: usize = 4;

/// A thread's account. Times are machine time, ns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its number.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// The priority that it began with.
    pub priority: u8,
    /// That priority's band.
    pub band: &'static str,
    /// Times that a CPU switched to it.
    pub dispatches: u64,
    /// Waits that were over, locks and sleeps included.
    pub wakeups: u64,
    /// Wake-ups after which it ran on another CPU than before: ping-pong.
    pub moves: u64,
    /// Time on a CPU.
    pub running: u64,
    /// Time in a run queue, waiting for one.
    pub ready: u64,
    /// Time blocked.
    pub blocked: u64,
    #[serde(skip)]
    now: Now,
}

/// A thread's account, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Living {
    #[serde(flatten)]
    account: Account,
    /// `running`, `ready` or `blocked`.
    state: String,
    /// The CPU that it ran on last.
    cpu: Option<u8>,
}

/// What a thread does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Now {
    state: State,
    since: u64,
    /// Its wait was over, and it has not run since.
    woken: bool,
    last_cpu: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Ready,
    Blocked,
    Ended,
}

/// The accounts of a run.
#[derive(Clone, Debug, Default)]
pub struct Books {
    threads: BTreeMap<u32, Account>,
    left_out: u64,
}

/// The accounts, as they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scheduling {
    /// Waits of all these threads that were over.
    pub wakeups: u64,
    /// Those after which a thread ran on another CPU than before.
    pub moves: u64,
    /// In order of their numbers.
    pub threads: Vec<Account>,
    /// Threads that have no account, because there were too many.
    pub left_out: u64,
}

impl Books {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::ThreadStart => self.start(event),
            Kind::ThreadEnd => self.with(event.object, |account| account.enter(State::Ended, event.time)),
            Kind::Wake => self.with(event.object, |account| account.wake(event.time)),
            Kind::Dispatch => {
                let becomes = match event.arg {
                    0 => State::Blocked,
                    1 => State::Ready,
                    _ => State::Ended,
                };
                self.with(event.other, |account| account.leave(becomes, event.time));
                self.with(event.object, |account| account.run(event.cpu, event.time));
            }
            _ => {}
        }
    }

    /// The accounts at machine time `now`.
    pub fn told(mut self, now: u64) -> Scheduling {
        self.threads.values_mut().for_each(|account| account.enter(account.now.state, now));
        let sum = |of: fn(&Account) -> u64| self.threads.values().map(of).sum();
        Scheduling {
            wakeups: sum(|account| account.wakeups),
            moves: sum(|account| account.moves),
            left_out: self.left_out,
            threads: self.threads.into_values().collect(),
        }
    }

    /// Thread `thread` has ended: it has no account any more.
    pub fn forget(&mut self, thread: u32) {
        self.threads.remove(&thread);
    }

    /// The accounts at machine time `now`, with what each thread does.
    pub fn living(&self, now: u64) -> Vec<Living> {
        let living = |account: &Account| {
            let mut account = account.clone();
            account.enter(account.now.state, now);
            let state = match account.now.state {
                State::Running => "running",
                State::Ready => "ready",
                State::Blocked => "blocked",
                State::Ended => "ended",
            };
            Living { state: state.to_owned(), cpu: account.now.last_cpu, account }
        };
        self.threads.values().map(living).collect()
    }

    fn start(&mut self, event: &Event) {
        if self.threads.len() >= MAX_THREADS {
            self.left_out += 1;
            return;
        }
        let priority = u8::try_from(event.arg).unwrap_or(u8::MAX).min(127);
        let account = Account {
            thread: event.object,
            name: event.text_str().to_owned(),
            priority,
            band: band::of(priority).name,
            dispatches: 0,
            wakeups: 0,
            moves: 0,
            running: 0,
            ready: 0,
            blocked: 0,
            now: Now { state: State::Ready, since: event.time, woken: false, last_cpu: None },
        };
        self.threads.insert(event.object, account);
    }

    fn with(&mut self, thread: u32, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.threads.get_mut(&thread) {
            change(account);
        }
    }
}

impl Account {
    /// It has been in its state until `now`.
    fn enter(&mut self, state: State, now: u64) {
        let passed = now.saturating_sub(self.now.since);
        match self.now.state {
            State::Running => self.running += passed,
            State::Ready => self.ready += passed,
            State::Blocked => self.blocked += passed,
            State::Ended => {}
        }
        (self.now.state, self.now.since) = (state, now);
    }

    fn wake(&mut self, now: u64) {
        if self.dispatches == 0 {
            return;
        }
        self.wakeups += 1;
        self.now.woken = true;
        // One that is about to block is woken before it has: the switch away from it comes later in the trace.
        if self.now.state == State::Blocked {
            self.enter(State::Ready, now);
        }
    }

    fn leave(&mut self, becomes: State, now: u64) {
        let is_awake = self.now.woken && becomes == State::Blocked;
        self.enter(if is_awake { State::Ready } else { becomes }, now);
    }

    fn run(&mut self, cpu: u8, now: u64) {
        self.enter(State::Running, now);
        self.dispatches += 1;
        let woken = std::mem::take(&mut self.now.woken);
        let moved = self.now.last_cpu.replace(cpu).is_some_and(|last| last != cpu);
        self.moves += u64::from(woken && moved);
    }
}

impl Scheduling {
    /// A line for people.
    pub fn line(&self) -> String {
        let Self { wakeups, moves, threads, left_out } = self;
        let more =
            if *left_out == 0 { String::new() } else { format!(" (and {left_out} that were not followed)") };
        let mut most: Vec<_> = threads.iter().filter(|thread| thread.moves > 0).collect();
        most.sort_by_key(|thread| std::cmp::Reverse(thread.moves));
        let named = |t: &&Account| format!("{}#{} {} of {}", t.name, t.thread, t.moves, t.wakeups);
        let named: Vec<_> = most.iter().take(NAMED).map(named).collect();
        let named = if named.is_empty() { String::new() } else { format!("; most: {}", named.join(", ")) };
        format!(
            "threads: {}{more}, {wakeups} wake-ups, {moves} of them to another CPU than before{named}\n",
            threads.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices::fault::plan::Plan;
    use mach::{KernelRef, Statistics};
    use std::sync::{Arc, Mutex};

    fn books(events: &[(u64, Kind, u32, u32, u8, u64)]) -> Books {
        let mut books = Books::default();
        for &(time, kind, object, other, cpu, arg) in events {
            let mut event = Event::new(kind).object(object).other(other).arg(arg).text("loop");
            (event.time, event.cpu) = (time, cpu);
            books.event(&event);
        }
        books
    }

    #[test]
    fn times_add_up_and_only_a_wake_up_is_ping_pong() {
        let scheduling = books(&[
            (100, Kind::ThreadStart, 4, 0, 0, 81),
            (110, Kind::Dispatch, 4, 1, 0, 1),
            (130, Kind::Dispatch, 1, 4, 0, 1),
            // Preempted, and taken by another CPU: no wake-up.
            (135, Kind::Dispatch, 4, 2, 1, 1),
            (140, Kind::Dispatch, 2, 4, 1, 0),
            (170, Kind::Wake, 4, 0, 0, 0),
            (175, Kind::Dispatch, 4, 1, 0, 1),
            // Woken before the switch away from it is in the trace.
            (180, Kind::Wake, 4, 0, 1, 0),
            (181, Kind::Dispatch, 1, 4, 0, 0),
            (190, Kind::Dispatch, 4, 2, 1, 1),
            (200, Kind::Dispatch, 2, 4, 1, 2),
        ])
        .told(1_000);
        let account = &scheduling.threads[0];
        assert_eq!((account.dispatches, account.wakeups, account.moves), (4, 2, 2));
        assert_eq!((account.running, account.ready, account.blocked), (20 + 5 + 6 + 10, 10 + 5 + 5 + 9, 30));
        assert_eq!(account.band, "kernel");
        assert_eq!(
            scheduling.line(),
            "threads: 1, 2 wake-ups, 2 of them to another CPU than before; most: loop#4 2 of 2\n"
        );
    }

    #[test]
    fn there_is_an_end_of_accounts() {
        let start = |n| (0, Kind::ThreadStart, n, 0, 0, 31);
        let scheduling = books(&(1..=1_100).map(start).collect::<Vec<_>>()).told(0);
        assert_eq!((scheduling.threads.len(), scheduling.left_out), (MAX_THREADS, 76));
        assert!(
            scheduling.line().starts_with("threads: 1024 (and 76 that were not followed), 0 wake-ups, 0 of")
        );
    }

    /// What the kernel counted itself at some moment, and what the trace told until just before and just after it.
    fn beside_the_kernel(seed: u64) -> (Books, Statistics, Books) {
        let text = "machine cpus=3\nplug edu0 edu slot=1\nload edu0 clients=3 depth=2\nrun for=4ms\n";
        let plan = Plan::parse("books.plan", text).expect("a plan");
        let counted: Arc<Mutex<Option<Statistics>>> = Arc::default();
        let place = counted.clone();
        let look = move |kernel: &KernelRef| {
            kernel.delay(3_000_000);
            kernel.trace(Event::new(Kind::TestRun).arg(1));
            let statistics = kernel.statistics();
            kernel.trace(Event::new(Kind::TestRun).arg(0));
            *place.lock().expect("nobody failed") = Some(statistics);
        };
        let extra = move |kit: &iokit::IoKit| {
            kit.kernel().spawn("look", 90, mach::Policy::Fixed, look).expect("memory for a thread");
        };
        let (mut books, mut seen) = (Books::default(), Vec::new());
        let mut sink = |event: &Event| {
            books.event(event);
            if event.kind == Kind::TestRun {
                seen.push(books.clone());
            }
        };
        sim::run_with(&plan, seed, extra, &mut sink).expect("a machine");
        let statistics = counted.lock().expect("nobody failed").take().expect("it looked");
        let after = seen.pop().expect("a second look");
        (seen.pop().expect("a first look"), statistics, after)
    }

    /// Each of the two other CPUs may be between counting something and telling it.
    const UNDER_WAY: u64 = 2;

    /// The trace and the kernel's books say the same.
    #[test]
    fn the_trace_tells_what_the_kernel_counts() {
        let mut moves = 0;
        for seed in 1..=20 {
            let (before, statistics, after) = beside_the_kernel(seed);
            for thread in statistics.threads.iter().filter(|thread| thread.base > 0) {
                let (before, after) = (&before.threads[&thread.id], &after.threads[&thread.id]);
                for (what, low, counted, high) in [
                    ("dispatches", before.dispatches, thread.dispatches, after.dispatches),
                    ("wake-ups", before.wakeups, thread.wakeups, after.wakeups),
                    ("moves", before.moves, thread.moves, after.moves),
                ] {
                    let name = &thread.name;
                    let bounds = low.saturating_sub(UNDER_WAY)..=high + UNDER_WAY;
                    assert!(bounds.contains(&counted), "seed {seed}, {name}: {what} {low} {counted} {high}");
                }
                moves += thread.moves;
            }
        }
        assert!(moves > 0, "nobody was moved");
    }
}
