//! Names of registry entries, as the trace announces them.

use std::collections::{HashMap, VecDeque};
use trace::{Event, Kind};

/// Ended threads and freed entries whose names are still known, for events that are told after their end.
const MAX_GONE: usize = 1024;

/// Entries remembered at the most; a hostile guest could announce names for ever.
const MAX_NAMES: usize = 65_536;

/// The registry's names and classes, by entry id.
#[derive(Default)]
pub struct Names {
    names: HashMap<u32, String>,
    threads: HashMap<u32, String>,
    freed: VecDeque<u32>,
    ended: VecDeque<u32>,
    zero: u64,
}

impl Names {
    /// Learns from the events that announce something, and forgets what was freed.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Name if self.names.len() < MAX_NAMES => {
                self.names.insert(event.object, event.text_str().to_owned());
            }
            Kind::ThreadStart if self.threads.len() < MAX_NAMES => {
                self.threads.insert(event.object, event.text_str().to_owned());
            }
            Kind::ThreadEnd => retire(&mut self.threads, &mut self.ended, event.object),
            Kind::Free => retire(&mut self.names, &mut self.freed, event.object),
            Kind::Ready if self.zero == 0 => self.zero = event.time,
            _ => {}
        }
    }

    /// Plan time of a machine time: what came before `boot.ready` is at zero.
    pub fn plan_time(&self, time: u64) -> u64 {
        time.saturating_sub(self.zero)
    }

    /// `name@id`, or `@id` for an entry that never had a name.
    pub fn object(&self, object: u32) -> String {
        match self.names.get(&object) {
            Some(name) => format!("{name}@{object}"),
            None => format!("@{object}"),
        }
    }

    /// The name of a class of locks.
    pub fn class(&self, class: u32) -> &str {
        self.names.get(&class).map_or("a lock", String::as_str)
    }

    /// `name#id`, or `#id` for a thread that was never announced.
    pub fn thread(&self, thread: u32) -> String {
        match self.threads.get(&thread) {
            Some(name) => format!("{name}#{thread}"),
            None => format!("#{thread}"),
        }
    }

    /// Who waited for whom, because of whom, for how long ([`Kind::Inversion`]).
    pub fn inversion(&self, event: &Event) -> String {
        let (waiter, owner) = (self.thread(event.object), self.thread(event.other));
        let (because, took) = (event.text_str(), crate::expect::time(event.arg));
        format!("{waiter} waited {took} for a lock of {owner}, which was ready, while {because} ran")
    }

    /// One line that tells the event: `X.method(Y)` for the life cycle.
    pub fn line(&self, event: &Event) -> String {
        let object = || self.object(event.object);
        let call =
            |method: &str| format!("{}.{method}({})", self.object(event.object), self.object(event.other));
        match event.kind {
            Kind::Attach
            | Kind::Detach
            | Kind::Start
            | Kind::Stop
            | Kind::WillTerminate
            | Kind::DidTerminate => call(event.kind.word()),
            Kind::Open | Kind::Close => {
                format!("{}.{}({})", self.object(event.other), event.kind.word(), object())
            }
            Kind::RequestTerminate | Kind::Probe => format!("{} = {}", call(event.kind.word()), event.arg),
            Kind::Message => {
                format!("{}.message({:#010x}, {})", object(), event.arg, self.object(event.other))
            }
            Kind::Finalize => format!("{}.finalize()", object()),
            Kind::Dispatch | Kind::Wake | Kind::ThreadStart | Kind::ThreadEnd => {
                format!("{} {}", event.kind.word(), self.thread(event.object))
            }
            Kind::Inversion => format!("{}: {}", event.kind.word(), self.inversion(event)),
            Kind::Turn => {
                let (thread, late) = (self.thread(event.object), crate::expect::time(event.arg));
                format!("{} {thread}, done {late} after it was due", event.kind.word())
            }
            Kind::GateWait => {
                format!("{} {}, which {} holds", event.kind.word(), object(), self.thread(event.other))
            }
            Kind::Violation | Kind::Fault | Kind::ClassCount | Kind::Panic => {
                format!("{} {} {}", event.kind.word(), event.text_str(), event.arg)
            }
            kind => format!("{} {} {:#x}", kind.word(), object(), event.arg),
        }
    }

    /// The line with time, CPU and thread before it.
    pub fn full_line(&self, event: &Event) -> String {
        format!(
            "{:>11} ns  cpu{} {:<20} {}",
            self.plan_time(event.time),
            event.cpu,
            self.thread(event.thread),
            self.line(event)
        )
    }
}

/// Keeps a name a little longer than what it names.
fn retire(names: &mut HashMap<u32, String>, gone: &mut VecDeque<u32>, id: u32) {
    if names.contains_key(&id) {
        gone.push_back(id);
    }
    if gone.len() > MAX_GONE
        && let Some(oldest) = gone.pop_front()
    {
        names.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads and registry entries are numbered apart: what is told of a thread must not name the entry of the same number.
    #[test]
    fn events_about_threads_name_threads() {
        let mut names = Names::default();
        for event in [
            Event::new(Kind::Name).object(3).text("EduDriver"),
            Event::new(Kind::ThreadStart).object(3).text("high"),
            Event::new(Kind::ThreadStart).object(4).text("low"),
        ] {
            names.event(&event);
        }
        let inversion = Event::new(Kind::Inversion).object(3).other(4).arg(1_500_000).text("middle");
        let told =
            "thread.inversion: high#3 waited 1.5ms for a lock of low#4, which was ready, while middle ran";
        assert_eq!(names.line(&inversion), told);
        let turn = Event::new(Kind::Turn).object(3).arg(2_000).text("high");
        assert_eq!(names.line(&turn), "thread.turn high#3, done 2us after it was due");
    }
}
