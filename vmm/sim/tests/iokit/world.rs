//! A machine with IOKit and nothing else, and its trace as text.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use iokit::{BootArgs, IoKit};
use mach::{KernelRef, Policy, Thread, band, seam::ThreadId};
use sim::{Ended, Limits, Outcome, Sim};
use trace::{Event, Kind};

/// Schedules that each rule is tried under.
pub const SEEDS: u64 = 1_000;

/// Machine time, ns, in which everything that is under way comes to an end.
const SETTLE: u64 = 20_000_000;

/// A run: how it ended and what it recorded.
pub struct Run {
    pub seed: u64,
    pub outcome: Outcome,
    pub events: Vec<Event>,
}

/// Runs `body` on the first thread of a machine with IOKit started; the machine is off when it returns.
pub fn run(seed: u64, args: &str, body: impl FnOnce(&IoKit) + Send + 'static) -> Run {
    run_within(Limits::default(), seed, args, body)
}

/// The same on a machine that is given up sooner: for bodies that hang.
pub fn run_within(limits: Limits, seed: u64, args: &str, body: impl FnOnce(&IoKit) + Send + 'static) -> Run {
    let args = BootArgs::parse(args);
    let sim = Sim::builder().cpus(1 + (seed as usize % 3)).seed(seed).limits(limits);
    let (outcome, events) = sim::harness::traced(sim, move |kernel| {
        let kit = iokit::start(kernel, &args);
        body(&kit);
        // What other threads still have in hand when the body is content: the worker's list of what to free last.
        kernel.delay(SETTLE);
        kit.shutdown();
    });
    Run { seed, outcome, events }
}

/// Tries `body` under every seed; it must end in order and without a violation.
pub fn everywhere(body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
    everywhere_in("", body)
}

/// The same with a kernel command line.
pub fn everywhere_in(args: &str, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
    let body = Arc::new(body);
    let one = |seed| {
        let body = body.clone();
        let run = run(seed, args, move |kit| body(kit));
        run.assert_done();
        let left = (run.outcome.abandoned, run.outcome.kernel_references);
        assert_eq!(left, (0, 0), "seed {seed}: stacks not unwound, references to the kernel left");
        assert_eq!(run.violations(), Vec::<String>::new(), "seed {seed}");
        run
    };
    (0..SEEDS).map(one).collect()
}

impl Run {
    /// The machine powered off.
    pub fn assert_done(&self) {
        assert_eq!(
            self.outcome.ended,
            Ended::Done,
            "seed {}: {:#?}\n{:#?}",
            self.seed,
            self.outcome,
            self.lines(&[])
        );
    }

    /// The rules that were violated.
    pub fn violations(&self) -> Vec<String> {
        self.events.iter().filter(|e| e.kind == Kind::Violation).map(|e| e.text_str().to_owned()).collect()
    }

    fn names(&self) -> HashMap<u32, String> {
        let named = self.events.iter().filter(|e| e.kind == Kind::Name);
        named.map(|e| (e.object, e.text_str().to_owned())).collect()
    }

    /// Events of `kinds` (empty: all about services) as `D.willTerminate(N)`.
    pub fn lines(&self, kinds: &[Kind]) -> Vec<String> {
        let names = self.names();
        let name = |id: u32| names.get(&id).map_or("?", String::as_str).to_owned();
        // Thread events have thread numbers as objects.
        let of_service = |e: &Event| !(16..32).contains(&(e.kind as u16)) && names.contains_key(&e.object);
        let wanted = |e: &&Event| if kinds.is_empty() { of_service(e) } else { kinds.contains(&e.kind) };
        let line = |e: &Event| {
            let word = match e.kind {
                Kind::Message => message(e.arg),
                kind => kind.word(),
            };
            match e.other {
                0 => format!("{}.{word}", name(e.object)),
                other => format!("{}.{word}({})", name(e.object), name(other)),
            }
        };
        self.events.iter().filter(wanted).map(line).collect()
    }

    /// The callbacks of a termination, in order.
    pub fn teardown(&self) -> Vec<String> {
        self.lines(&TEARDOWN)
    }

    /// The threads that recorded `kind` about the object called `name`.
    pub fn threads(&self, kind: Kind, name: &str) -> Vec<ThreadId> {
        let names = self.names();
        let about = |e: &&Event| e.kind == kind && names.get(&e.object).is_some_and(|n| n == name);
        self.events.iter().filter(about).map(|e| e.thread).collect()
    }

    /// Threads called `name`, with the priorities that they began with.
    pub fn threads_called(&self, name: &str) -> Vec<(ThreadId, u64)> {
        let started = |e: &&Event| e.kind == Kind::ThreadStart && e.text_str() == name;
        self.events.iter().filter(started).map(|e| (e.object, e.arg)).collect()
    }

    /// Position of the first event that reads as `line`.
    pub fn position(&self, line: &str) -> usize {
        let lines = self.lines(&[]);
        lines
            .iter()
            .position(|l| l == line)
            .unwrap_or_else(|| panic!("seed {}: no {line} in {lines:#?}", self.seed))
    }

    /// Every service that was made was freed.
    pub fn assert_all_freed(&self) {
        let made = self.events.iter().filter(|e| e.kind == Kind::Name).count();
        let freed = self.events.iter().filter(|e| e.kind == Kind::Free).count();
        assert_eq!(made, freed, "seed {}: {:#?}", self.seed, self.lines(&[Kind::Name, Kind::Free]));
    }
}

/// What the exact orders of the semantics speak about.
pub const TEARDOWN: [Kind; 13] = [
    Kind::Inactive,
    Kind::RequestTerminate,
    Kind::TermNotify,
    Kind::PortDead,
    Kind::WillNotify,
    Kind::WillTerminate,
    Kind::Message,
    Kind::DidTerminate,
    Kind::Finalize,
    Kind::Stop,
    Kind::Close,
    Kind::Detach,
    Kind::Free,
];

fn message(code: u64) -> &'static str {
    match code as u32 {
        0xe000_0010 => "isTerminated",
        0xe000_0100 => "requestingClose",
        0xe000_0101 => "attemptingOpen",
        0xe000_0110 => "wasClosed",
        _ => "message",
    }
}

/// Lets `ns` of machine time pass. The chooser may stall a CPU for half a millisecond at any point.
pub fn pause(kit: &IoKit, ns: u64) {
    kit.kernel().sleep_until(kit.kernel().now() + ns);
}

/// Runs `body` on a thread of user priority.
pub fn thread(kit: &IoKit, body: impl FnOnce(&KernelRef) + Send + 'static) -> Arc<Thread> {
    kit.kernel().spawn("test", band::DEFAULT, Policy::Fixed, body).expect("memory for a thread")
}

/// Delivers `vector` here, as the machine does: masked, then gives way if asked.
pub fn interrupt(kernel: &KernelRef, vector: u8) {
    let masked = kernel.masked();
    if kernel.interrupt(vector) {
        kernel.preempt();
    }
    drop(masked);
}

/// Waits until `flag` is set.
pub fn until(kit: &IoKit, flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        kit.kernel().sleep_until(kit.kernel().now() + 1_000);
    }
}

/// What test bodies share with the test.
pub type Shared<T> = Arc<Mutex<T>>;

/// A shared value.
pub fn shared<T>(value: T) -> Shared<T> {
    Arc::new(Mutex::new(value))
}
