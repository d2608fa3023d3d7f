//! What every thread is doing, as the trace tells it: where it is, since when, which gates it holds, which one it waits for.
//!
//! A kernel could be asked for the stacks of its threads, but not without stopping it, and not in the same words on both machines. The
//! trace has what matters of them: who entered what, and has not come back.

mod frame;
mod gates;

pub use gates::GateState;

use frame::Frame;

use crate::expect::time;
use crate::names::Names;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Threads followed at the most, against a guest that starts them for ever.
const MAX_THREADS: usize = 4_096;
/// Frames of a thread at the most.
const MAX_FRAMES: usize = 64;
/// Gates whose owner is known, at the most.
const MAX_GATES: usize = 4_096;
/// CPUs at the most.
const MAX_CPUS: usize = 64;

/// A thread at the moment of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// Its number.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// Where it is: `runs on cpu0`, `ready`, `waits`.
    pub state: String,
    /// Plan time since when, ns.
    pub since: u64,
    /// What it has entered, outermost first.
    pub stack: Vec<String>,
}

impl ThreadState {
    /// One line for people.
    pub fn line(&self) -> String {
        let stack = if self.stack.is_empty() { "nothing entered".to_owned() } else { self.stack.join(" > ") };
        format!("{:<24} {} since {}: {stack}", self.name, self.state, time(self.since))
    }
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    On(u8),
    Ready,
    Waits,
}

/// One thread.
#[derive(Clone, Debug)]
struct Thread {
    id: u32,
    place: Place,
    since: u64,
    frames: Vec<Frame>,
}

/// Follows all threads. Bounded, whatever the guest writes.
#[derive(Default)]
pub struct Threads {
    /// In order of their numbers.
    threads: Vec<Thread>,
    /// Where the thread of the last event is among them: most often that of the next one, too.
    last: usize,
    /// The thread that came to each CPU last.
    running: Vec<u32>,
    owners: BTreeMap<u32, u32>,
    /// The vector that each CPU serves.
    interrupts: BTreeMap<u8, u64>,
}

impl Threads {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Dispatch => self.dispatch(event),
            Kind::Wake => self.place(event.object, Place::Ready, event.time),
            Kind::ThreadStart => self.place(event.object, Place::Ready, event.time),
            Kind::ThreadEnd => self.ended(event.object),
            Kind::Interrupt if usize::from(event.cpu) < MAX_CPUS => {
                self.interrupts.insert(event.cpu, event.arg);
            }
            Kind::InterruptEnd => _ = self.interrupts.remove(&event.cpu),
            kind if Frame::concerns(kind) => self.frame(event),
            _ => {}
        }
    }

    fn dispatch(&mut self, event: &Event) {
        // Whatever follows a dispatch is a thread's.
        self.interrupts.remove(&event.cpu);
        match event.arg {
            LEFT_READY => self.place(event.other, Place::Ready, event.time),
            LEFT_ENDED => self.ended(event.other),
            _ => self.place(event.other, Place::Waits, event.time),
        }
        self.place(event.object, Place::On(event.cpu), event.time);
    }

    /// The gates change hands, and so do the frames of the thread.
    fn frame(&mut self, event: &Event) {
        match event.kind {
            Kind::GateClose | Kind::CommandResume if self.owners.len() < MAX_GATES => {
                self.owners.insert(event.object, event.thread);
            }
            Kind::GateOpen | Kind::CommandSleep => _ = self.owners.remove(&event.object),
            _ => {}
        }
        if let Some(thread) = self.thread(event.thread, Place::On(event.cpu), event.time) {
            Frame::event(&mut thread.frames, event);
            thread.frames.truncate(MAX_FRAMES);
        }
    }

    fn place(&mut self, id: u32, place: Place, now: u64) {
        if let Some(thread) = self.thread(id, place, now)
            && thread.place != place
        {
            (thread.place, thread.since) = (place, now);
            self.runs(id, place);
        }
    }

    fn runs(&mut self, id: u32, place: Place) {
        if let Place::On(cpu) = place {
            let cpu = usize::from(cpu);
            if self.running.len() <= cpu {
                self.running.resize(cpu + 1, 0);
            }
            self.running[cpu] = id;
        }
    }

    /// The thread `id`; a new one is at `place`. `None`: no thread, or too many.
    fn thread(&mut self, id: u32, place: Place, now: u64) -> Option<&mut Thread> {
        if id == 0 {
            return None;
        }
        if self.threads.get(self.last).is_none_or(|thread| thread.id != id) {
            self.last = match self.threads.binary_search_by_key(&id, |thread| thread.id) {
                Ok(at) => at,
                Err(_) if self.threads.len() >= MAX_THREADS => return None,
                Err(at) => {
                    self.threads.insert(at, Thread { id, place, since: now, frames: Vec::new() });
                    self.runs(id, place);
                    at
                }
            };
        }
        self.threads.get_mut(self.last)
    }

    fn ended(&mut self, id: u32) {
        if let Ok(at) = self.threads.binary_search_by_key(&id, |thread| thread.id) {
            self.threads.remove(at);
        }
    }

    /// Those that do something or are kept from it: all but the ones that wait with nothing entered. At most `most`.
    pub fn describe(&self, names: &Names, most: usize) -> Vec<ThreadState> {
        let busy = |thread: &&Thread| !thread.frames.is_empty() || thread.place != Place::Waits;
        self.threads.iter().filter(busy).take(most).map(|thread| self.one(thread, names)).collect()
    }

    /// Every thread, at most `most`.
    pub fn all(&self, names: &Names, most: usize) -> Vec<ThreadState> {
        self.threads.iter().take(most).map(|thread| self.one(thread, names)).collect()
    }

    /// The thread that runs on `cpu`.
    pub fn on(&self, cpu: u8, names: &Names) -> Option<ThreadState> {
        let id = self.running.get(usize::from(cpu))?;
        let at = self.threads.binary_search_by_key(id, |thread| thread.id).ok()?;
        let thread = self.threads.get(at).filter(|thread| thread.place == Place::On(cpu))?;
        Some(self.one(thread, names))
    }

    fn one(&self, thread: &Thread, names: &Names) -> ThreadState {
        let state = match thread.place {
            Place::On(cpu) => format!("runs on cpu{cpu}"),
            Place::Ready => "ready".to_owned(),
            Place::Waits => "waits".to_owned(),
        };
        let owner = |gate: u32| self.owners.get(&gate).map(|owner| names.thread(*owner));
        let mut stack: Vec<String> = thread.frames.iter().map(|frame| frame.line(names, &owner)).collect();
        if let Place::On(cpu) = thread.place
            && let Some(vector) = self.interrupts.get(&cpu)
        {
            stack.push(format!("interrupt {vector:#x}"));
        }
        ThreadState {
            thread: thread.id,
            name: names.thread(thread.id),
            state,
            since: names.plan_time(thread.since),
            stack,
        }
    }
}

/// `arg` of [`Kind::Dispatch`]: the thread that was left can go on.
const LEFT_READY: u64 = 1;
/// It has ended.
const LEFT_ENDED: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn on(thread: u32, kind: Kind) -> Event {
        Event { thread, ..Event::new(kind) }
    }

    fn told(events: &[Event]) -> Vec<(u32, String, Vec<String>)> {
        let (mut threads, mut names) = (Threads::default(), Names::default());
        for (time, event) in (1..).zip(events) {
            let event = Event { time, ..*event };
            names.event(&event);
            threads.event(&event);
        }
        let states = threads.describe(&names, 64);
        states.into_iter().map(|state| (state.thread, state.state, state.stack)).collect()
    }

    #[test]
    fn who_holds_a_gate_and_who_waits_for_it() {
        let name = |id, text| Event::new(Kind::Name).object(id).text(text);
        let events = [
            name(7, "edu0"),
            Event::new(Kind::ThreadStart).object(2).text("client"),
            Event::new(Kind::ThreadStart).object(3).text("workloop"),
            Event::new(Kind::Dispatch).object(2),
            on(2, Kind::CallEnter).object(7).arg(1),
            on(2, Kind::GateClose).object(7),
            Event { cpu: 1, ..Event::new(Kind::Dispatch).object(3) },
            Event { cpu: 1, ..on(3, Kind::GateWait).object(7).other(2) },
            Event { cpu: 1, ..Event::new(Kind::Dispatch).object(4).other(3) },
        ];
        let expected = [
            (2, "runs on cpu0", vec!["call 0x1 of edu0@7", "holds the gate of edu0@7"]),
            (3, "waits", vec!["waits for the gate of edu0@7, which client#2 holds"]),
            (4, "runs on cpu1", vec![]),
        ];
        let expected = expected.map(|(id, state, stack)| {
            (id, state.to_owned(), stack.into_iter().map(str::to_owned).collect::<Vec<_>>())
        });
        assert_eq!(told(&events), expected);
    }

    #[test]
    fn who_runs_on_a_cpu_came_to_it_last_and_has_not_left() {
        let (mut threads, names) = (Threads::default(), Names::default());
        let dispatch = |cpu, object, other, arg| Event {
            cpu,
            ..Event::new(Kind::Dispatch).object(object).other(other).arg(arg)
        };
        let mut on = |event: Event| {
            threads.event(&event);
            [0, 1, 200].map(|cpu| threads.on(cpu, &names).map(|state| state.thread))
        };
        assert_eq!(on(Event { cpu: 1, ..self::on(9, Kind::GateClose).object(7) }), [None, Some(9), None]);
        assert_eq!(on(dispatch(0, 4, 0, 0)), [Some(4), Some(9), None]);
        assert_eq!(on(dispatch(1, 3, 9, LEFT_READY)), [Some(4), Some(3), None]);
        assert_eq!(on(dispatch(0, 9, 4, LEFT_ENDED)), [Some(9), Some(3), None]);
        assert_eq!(on(Event::new(Kind::ThreadEnd).object(9)), [None, Some(3), None]);
        assert_eq!(on(dispatch(200, 3, 0, 0)), [None, None, Some(3)]);
    }

    #[test]
    fn a_gate_has_an_owner_and_those_who_want_it() {
        let (mut threads, names) = (Threads::default(), Names::default());
        for event in [
            on(2, Kind::GateClose).object(7),
            on(2, Kind::CommandSleep).object(7).arg(0x10),
            on(3, Kind::GateClose).object(7),
            on(4, Kind::GateWait).object(7),
            on(4, Kind::Interrupt).arg(0x31),
            on(5, Kind::GateClose).object(8),
        ] {
            threads.event(&event);
        }
        let told = |threads: &Threads| -> Vec<_> {
            let gates = threads.gates(&names).into_iter();
            gates.map(|g| (g.gate, g.owner, g.waiters, g.sleepers)).collect()
        };
        let (of, some) = (|id: &str| vec![id.to_owned()], |id: &str| Some(id.to_owned()));
        let free = ("@8".to_owned(), some("#5"), vec![], vec![]);
        assert_eq!(told(&threads), [("@7".to_owned(), some("#3"), of("#4"), of("#2")), free.clone()]);
        threads.event(&on(3, Kind::GateOpen).object(7));
        assert_eq!(told(&threads), [("@7".to_owned(), None, of("#4"), of("#2")), free]);
    }

    #[test]
    fn a_sleep_opens_the_gate_and_what_ended_is_gone() {
        let mut events = vec![
            on(2, Kind::GateClose).object(7),
            on(2, Kind::CommandSleep).object(7).arg(0x10),
            Event::new(Kind::Dispatch).object(3).other(2),
            on(3, Kind::GateClose).object(7),
            on(3, Kind::ActionStart).object(7),
        ];
        let stacks = told(&events);
        assert_eq!(stacks[0].2, ["in the gate of @7, open", "sleeps for event 0x10"]);
        assert_eq!(stacks[1].2, ["holds the gate of @7", "action of @7"]);
        events.extend([on(3, Kind::GateOpen).object(7), Event::new(Kind::Wake).object(2)]);
        events.extend([
            Event::new(Kind::Dispatch).object(2).other(3).arg(LEFT_ENDED),
            on(2, Kind::CommandResume).object(7),
        ]);
        assert_eq!(told(&events), [(2, "runs on cpu0".to_owned(), vec!["holds the gate of @7".to_owned()])]);
    }

    #[test]
    fn an_interrupt_lies_on_top_of_whom_it_hit() {
        let mut events = vec![
            Event::new(Kind::Dispatch).object(2),
            on(2, Kind::Start).object(5).other(4),
            on(2, Kind::Interrupt).arg(0x31),
        ];
        assert_eq!(told(&events)[0].2, ["@5.start(@4)", "interrupt 0x31"]);
        events.extend([on(2, Kind::InterruptEnd).arg(0x31), on(2, Kind::Started).object(5)]);
        events.push(Event::new(Kind::Dispatch).object(3).other(2).arg(LEFT_READY));
        assert_eq!(told(&events)[0], (2, "ready".to_owned(), vec![]));
    }

    #[test]
    fn a_hostile_guest_costs_no_more_than_the_bounds() {
        let mut threads = Threads::default();
        for id in 1..10_000 {
            threads.event(&on(id, Kind::GateClose).object(id));
            threads.event(&on(9, Kind::CallEnter).object(id));
        }
        assert_eq!((threads.threads.len(), threads.owners.len()), (MAX_THREADS, MAX_GATES));
        assert!(threads.threads.iter().all(|thread| thread.frames.len() <= MAX_FRAMES));
        assert_eq!(threads.describe(&Names::default(), 10).len(), 10);
    }
}
