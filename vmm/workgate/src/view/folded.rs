//! Processor time as folded stacks, the input of flame graphs: `thread;what it entered;… nanoseconds`.
//!
//! Exact rather than sampled: the trace has every dispatch and every interrupt, and what each thread entered and left. The time between two events of a
//! CPU belongs to whom it ran. Instances of a class and threads of a name are one; a CPU that idles costs nobody anything.

use std::collections::BTreeMap;
use std::io::{self, Write};
use trace::{Event, Kind};
use verdict::{Names, Threads};

/// Different stacks at the most; the time of further ones is told as `other`.
const MAX_STACKS: usize = 1 << 16;
/// CPUs that are followed.
const MAX_CPUS: usize = 64;
const OTHER: &str = "other";
/// How a sleep in a gate begins; what follows is the event, most often another one each time.
const SLEEP: &str = "sleeps";

/// What a CPU does since when.
#[derive(Clone, Default)]
struct Cpu {
    since: u64,
    /// `None`: nobody knows yet, or it idles.
    stack: Option<String>,
}

/// Adds up the time of a trace, event by event.
#[derive(Default)]
pub struct Folded {
    threads: Threads,
    cpus: Vec<Cpu>,
    times: BTreeMap<String, u64>,
}

impl Folded {
    /// Follows the event. `counts`: the time up to it is asked for.
    pub fn event(&mut self, event: &Event, names: &Names, counts: bool) {
        let number = usize::from(event.cpu);
        // What the host records happens on no processor of the guest.
        let foreign = matches!(event.kind, Kind::Fault | Kind::HostLate | Kind::HostDefect);
        if foreign || number >= MAX_CPUS {
            return;
        }
        if self.cpus.len() <= number {
            self.cpus.resize(number + 1, Cpu::default());
        }
        self.threads.event(event);
        let stack = self.threads.on(event.cpu, names).and_then(|state| line(&state.name, &state.stack));
        let before = std::mem::replace(&mut self.cpus[number], Cpu { since: event.time, stack });
        if let (true, Some(stack)) = (counts, before.stack) {
            self.add(stack, event.time.saturating_sub(before.since));
        }
    }

    fn add(&mut self, stack: String, time: u64) {
        let full = self.times.len() >= MAX_STACKS && !self.times.contains_key(&stack);
        *self.times.entry(if full { OTHER.to_owned() } else { stack }).or_default() += time;
    }

    /// Writes a line for each stack that took time, in alphabetical order.
    pub fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        self.times
            .iter()
            .filter(|(_, time)| **time > 0)
            .try_for_each(|(stack, time)| writeln!(out, "{stack} {time}"))
    }
}

/// The stack of a thread as a line; `None`: it is an idle thread with nothing on top.
fn line(name: &str, stack: &[String]) -> Option<String> {
    let name = general(name);
    let is_idle =
        name.strip_prefix("idle").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    (!is_idle || !stack.is_empty()).then(|| {
        let frames = stack.iter().map(|frame| general(frame));
        std::iter::once(name).chain(frames).collect::<Vec<_>>().join(";")
    })
}

/// `text` without the numbers of instances (`EduDriver@12`, `client#17`) and events, and without what would end a frame.
fn general(text: &str) -> String {
    if text.starts_with(SLEEP) {
        return SLEEP.to_owned();
    }
    let mut general = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '@' | '#' if rest.peek().is_some_and(char::is_ascii_digit) => {
                while rest.next_if(char::is_ascii_digit).is_some() {}
            }
            ';' => general.push(','),
            letter => general.push(letter),
        }
    }
    general
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(events: &[Event], counts: impl Fn(&Event) -> bool) -> String {
        let (mut folded, mut names, mut out) = (Folded::default(), Names::default(), Vec::new());
        for event in events {
            names.event(event);
            folded.event(event, &names, counts(event));
        }
        folded.finish(&mut out).expect("memory takes all");
        String::from_utf8(out).expect("text")
    }

    fn run() -> Vec<Event> {
        let at = |time, cpu, thread, kind| Event { time, cpu, thread, ..Event::new(kind) };
        vec![
            Event::new(Kind::Name).object(7).text("edu0"),
            Event::new(Kind::ThreadStart).object(1).text("idle0"),
            Event::new(Kind::ThreadStart).object(2).text("client"),
            Event::new(Kind::ThreadStart).object(3).text("client"),
            at(100, 0, 1, Kind::Dispatch).object(2).other(1).arg(1),
            at(110, 0, 2, Kind::CallEnter).object(7).arg(1),
            at(130, 0, 2, Kind::GateClose).object(7),
            at(170, 0, 2, Kind::GateOpen).object(7),
            at(180, 0, 2, Kind::CallExit).object(7),
            at(190, 0, 2, Kind::Dispatch).object(1).other(2),
            at(290, 0, 1, Kind::Interrupt).arg(0x31),
            at(293, 0, 1, Kind::InterruptEnd).arg(0x31),
            at(300, 0, 1, Kind::Dispatch).object(3).other(1).arg(1),
            at(305, 1, 0, Kind::Fault).text("storm"),
            at(310, 0, 3, Kind::Dispatch).object(1).other(3),
        ]
    }

    #[test]
    fn time_belongs_to_what_was_entered_last() {
        let expected = "client 30\nclient;call 0x1 of edu0 30\nclient;call 0x1 of edu0;holds the gate of edu0 40\nidle0;interrupt 0x31 3\n";
        assert_eq!(folded(&run(), |_| true), expected);
    }

    #[test]
    fn what_is_not_asked_for_is_followed_and_not_counted() {
        assert_eq!(folded(&run(), |event| event.time > 190), "client 10\nidle0;interrupt 0x31 3\n");
    }

    #[test]
    fn frames_have_no_numbers_and_no_ends_in_them() {
        assert_eq!(
            general("waits for the gate of edu0@7, which client#2 holds; #x"),
            "waits for the gate of edu0, which client holds, #x"
        );
        assert_eq!(general("sleeps for event 0x40"), "sleeps");
        assert_eq!(line("idle3#9", &[]), None);
        assert_eq!(line("idler#9", &[]).as_deref(), Some("idler"));
    }

    #[test]
    fn stacks_without_end_are_summed_up() {
        let mut folded = Folded::default();
        (0..2 * MAX_STACKS).for_each(|n| folded.add(n.to_string(), 1));
        assert_eq!((folded.times.len(), folded.times[OTHER]), (MAX_STACKS + 1, MAX_STACKS as u64));
    }
}
