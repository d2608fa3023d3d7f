//! Names of registry entries, as the trace announces them.

use std::collections::HashMap;
use trace::{Event, Kind};

/// Entries remembered at the most; a hostile guest could announce names for ever.
const MAX_NAMES: usize = 65_536;

/// The registry's names and classes, by entry id.
#[derive(Default)]
pub struct Names {
    names: HashMap<u32, String>,
    threads: HashMap<u32, String>,
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
            Kind::ThreadEnd => {
                self.threads.remove(&event.object);
            }
            _ => {}
        }
    }

    /// Forgets an entry that was freed (after the event itself has been looked at).
    pub fn forget(&mut self, object: u32) {
        self.names.remove(&object);
    }

    /// `name@id`, or `@id` for an entry that never had a name.
    pub fn object(&self, object: u32) -> String {
        match self.names.get(&object) {
            Some(name) => format!("{name}@{object}"),
            None => format!("@{object}"),
        }
    }

    fn thread(&self, thread: u32) -> String {
        match self.threads.get(&thread) {
            Some(name) => format!("{name}#{thread}"),
            None => format!("#{thread}"),
        }
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
            Kind::Violation | Kind::Fault | Kind::ClassCount | Kind::Panic => {
                format!("{} {} {}", event.kind.word(), event.text_str(), event.arg)
            }
            kind => format!("{} {} {:#x}", kind.word(), object(), event.arg),
        }
    }

    /// The line with time, CPU and thread before it.
    pub fn full_line(&self, event: &Event) -> String {
        format!(
            "{:>12} ns  cpu{} {:<20} {}",
            event.time,
            event.cpu,
            self.thread(event.thread),
            self.line(event)
        )
    }
}
