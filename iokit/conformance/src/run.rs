//! A run, and its trace as text.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};

use mach::seam::ThreadId;
use trace::{Event, Kind};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order: the body returned, or the guest powered off.
    Done,
    /// The kernel panicked, with this message.
    Panicked(String),
    /// Not at all: nothing would ever have happened any more, for this reason.
    Hung(String),
    /// In another way, which this says.
    Otherwise(String),
}

/// What the verifier thinks of a plan's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// All expectations held, no rule was broken, and every request is accounted for.
    pub passed: bool,
    /// All of it, for people.
    pub text: String,
}

/// A run: how it ended and what it recorded.
#[derive(Clone, Debug)]
pub struct Run {
    /// The number of its schedule; 0 where nobody chose it.
    pub seed: u64,
    /// How it ended.
    pub ended: Ended,
    /// What it recorded, in order.
    pub events: Vec<Event>,
    /// Lines on the console, the last ones at least.
    pub console: Vec<String>,
    /// How threads began that the kernel had already when the run began.
    pub standing: Vec<Event>,
    /// Of a plan's run: the verdict.
    pub judged: Option<Judged>,
}

impl Run {
    /// It ended in order.
    pub fn assert_done(&self) {
        assert_eq!(self.ended, Ended::Done, "{}: {:#?}\n{:#?}", self.name(), self.console, self.lines(&[]));
    }

    /// How many events of `kind` it recorded.
    pub fn count(&self, kind: Kind) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    /// The rules that were violated.
    pub fn violations(&self) -> Vec<String> {
        self.events.iter().filter(|e| e.kind == Kind::Violation).map(|e| e.text_str().to_owned()).collect()
    }

    fn names(&self) -> BTreeMap<u32, String> {
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

    /// Threads called `name` that the run made, with the priorities that they began with.
    pub fn threads_called(&self, name: &str) -> Vec<(ThreadId, u64)> {
        called(&self.events, name).collect()
    }

    /// The same with those that were there before.
    pub fn all_threads_called(&self, name: &str) -> Vec<(ThreadId, u64)> {
        called(&self.standing, name).chain(called(&self.events, name)).collect()
    }

    /// Position of the first event that reads as `line`.
    pub fn position(&self, line: &str) -> usize {
        let lines = self.lines(&[]);
        lines
            .iter()
            .position(|l| l == line)
            .unwrap_or_else(|| panic!("{}: no {line} in {lines:#?}", self.name()))
    }

    /// Every service that was made was freed.
    pub fn assert_all_freed(&self) {
        let made = self.events.iter().filter(|e| e.kind == Kind::Name).count();
        let freed = self.events.iter().filter(|e| e.kind == Kind::Free).count();
        assert_eq!(made, freed, "{}: {:#?}", self.name(), self.lines(&[Kind::Name, Kind::Free]));
    }
}

fn called<'a>(events: &'a [Event], name: &'a str) -> impl Iterator<Item = (ThreadId, u64)> {
    let started = move |e: &&Event| e.kind == Kind::ThreadStart && e.text_str() == name;
    events.iter().filter(started).map(|e| (e.object, e.arg))
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
