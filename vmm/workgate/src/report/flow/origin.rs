//! Because of which interrupt a thread runs, as far as the trace proves it.
//!
//! A wake-up names who was woken, and who did it: an interrupt (it was made between `irq.enter` and `irq.exit` of its CPU) or a thread. A thread that was
//! woken passes the reason on to those that it wakes itself, while it does what it was woken for:
//!
//! - the thread of a work loop, woken by the interrupt that a filter called its own: in the action of the same source;
//! - any other: from its first event about a device, until it waits again.
//!
//! A gate that is handed over (`gate.wait` before the wake-up) is no reason for anything, nor is a deadline.

use mach::seam::{PREEMPT_VECTOR, RESCHEDULE_VECTOR, TIMER_VECTOR};
use trace::{Event, Kind};

/// Threads with a greater number are not followed. (The kernel counts them as it makes them.)
const MAX_THREADS: usize = 1 << 16;
/// Threads between an interrupt and the one that runs because of it.
const MAX_STEPS: usize = 8;
/// `arg` of [`Kind::Dispatch`]: the thread that was left waits.
const LEFT_WAITING: u64 = 0;
/// `arg` of [`Kind::Wake`]: what was waited for has come.
const AWAKENED: u64 = 0;

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the plan.
    Plan,
    /// In an interrupt on this CPU.
    Interrupts(u8),
    /// On this thread.
    Thread(u32),
}

/// Where and when (machine time, ns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub time: u64,
    pub place: Place,
}

/// An interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Number of its event in the trace.
    pub number: u64,
    pub step: Step,
    pub vector: u64,
    /// Owner and slot of the source whose filter said that it is its own, and that has woken nobody yet.
    source: Option<(u32, u32)>,
}

/// How it came that a thread was woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub interrupt: Interrupt,
    /// The threads since then, each when it began to deal with the matter.
    pub steps: Vec<Step>,
    /// Number of the last wake-up's event in the trace.
    woken: u64,
}

impl Way {
    /// The source of which the woken thread runs the action, if it is the thread of a work loop.
    fn source(&self) -> Option<(u32, u32)> {
        self.interrupt.source.filter(|_| self.steps.is_empty())
    }
}

#[derive(Default)]
struct Thread {
    /// It waits for a gate: its next wake-up hands that over.
    at_gate: bool,
    way: Option<Way>,
    /// Since when it does what it was woken for.
    works: Option<u64>,
    /// The request that it issued last, and the number of that event.
    request: Option<(u64, u64)>,
}

impl Thread {
    /// Why a thread is woken that this one, `id`, wakes now.
    fn passes_on(&self, id: u32, woken: u64) -> Option<Way> {
        let (way, time) = (self.way.as_ref()?, self.works?);
        let step = Step { time, place: Place::Thread(id) };
        let steps = way.steps.iter().copied().chain([step]).collect();
        (way.steps.len() < MAX_STEPS).then_some(Way { interrupt: way.interrupt, steps, woken })
    }

    /// It did this itself.
    fn does(&mut self, event: &Event, number: u64) {
        self.at_gate = event.kind == Kind::GateWait;
        let source = self.way.as_ref().map(Way::source);
        match (event.kind, source) {
            (Kind::CommandSleep, _) => self.woken(None),
            (Kind::IoIssue, _) => self.request = Some((event.arg, number)),
            (Kind::ActionStart, Some(Some(source))) if source == (event.object, event.slot) => {
                self.works = Some(event.time);
            }
            (Kind::ActionEnd, Some(Some(_))) if self.works.is_some() => self.woken(None),
            (_, Some(None)) if event.slot != 0 => self.works = self.works.or(Some(event.time)),
            _ => {}
        }
    }

    fn woken(&mut self, way: Option<Way>) {
        (self.way, self.works) = (way, None);
    }
}

/// Follows all threads. Bounded, whatever the guest writes.
#[derive(Default)]
pub struct Origins {
    /// By number; the first is none.
    threads: Vec<Thread>,
    /// By CPU.
    serving: Vec<Option<Interrupt>>,
}

impl Origins {
    /// Looks at the next event, `number` of the trace.
    pub fn event(&mut self, event: &Event, number: u64) {
        match event.kind {
            Kind::Interrupt => {
                let step = Step { time: event.time, place: Place::Interrupts(event.cpu) };
                self.serve(event.cpu, Some(Interrupt { number, step, vector: event.arg, source: None }));
            }
            Kind::InterruptEnd => self.serve(event.cpu, None),
            Kind::Filter if event.arg == 1 => {
                if let Some(interrupt) = self.serving_mut(event.cpu) {
                    interrupt.source = Some((event.object, event.slot));
                }
            }
            Kind::Dispatch => self.dispatch(event),
            Kind::Wake => self.wake(event, number),
            Kind::ThreadEnd => {
                if let Some(thread) = self.thread(event.object) {
                    *thread = Thread::default();
                }
            }
            _ if self.serving(event.cpu).is_some() => {}
            _ => {
                if let Some(thread) = self.thread(event.thread) {
                    thread.does(event, number);
                }
            }
        }
    }

    /// The interrupt that `cpu` serves.
    pub fn serving(&self, cpu: u8) -> Option<&Interrupt> {
        self.serving.get(usize::from(cpu))?.as_ref()
    }

    fn serving_mut(&mut self, cpu: u8) -> Option<&mut Interrupt> {
        self.serving.get_mut(usize::from(cpu))?.as_mut()
    }

    fn serve(&mut self, cpu: u8, interrupt: Option<Interrupt>) {
        let cpu = usize::from(cpu);
        if self.serving.len() <= cpu {
            self.serving.resize(cpu + 1, None);
        }
        self.serving[cpu] = interrupt;
    }

    /// Why the thread of `event` runs, if that is known, and it does what it was woken for.
    pub fn way(&self, event: &Event) -> Option<&Way> {
        let thread = self.threads.get(event.thread as usize).filter(|_| self.serving(event.cpu).is_none())?;
        thread.way.as_ref().filter(|_| thread.works.is_some())
    }

    /// Why the request of `event` came back to its client: what woke the client after it had issued the request.
    pub fn answer(&self, event: &Event) -> Option<&Way> {
        let (id, issued) = self.threads.get(event.thread as usize)?.request?;
        self.way(event).filter(|way| id == event.arg && issued < way.woken)
    }

    /// Threads that are followed.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    fn thread(&mut self, id: u32) -> Option<&mut Thread> {
        let at = id as usize;
        if !(1..MAX_THREADS).contains(&at) {
            return None;
        }
        if self.threads.len() <= at {
            self.threads.resize_with(at + 1, Thread::default);
        }
        self.threads.get_mut(at)
    }

    /// A thread that waits has done what it was woken for, unless it only waits for a gate.
    fn dispatch(&mut self, event: &Event) {
        self.serve(event.cpu, None);
        if event.arg == LEFT_WAITING
            && let Some(thread) = self.thread(event.other)
            && !thread.at_gate
        {
            thread.woken(None);
        }
    }

    fn wake(&mut self, event: &Event, number: u64) {
        let way = match self.serving_mut(event.cpu) {
            Some(interrupt) => woken_by(interrupt, number),
            None => self.thread(event.thread).and_then(|waker| {
                waker.at_gate = false;
                waker.passes_on(event.thread, number)
            }),
        };
        let Some(woken) = self.thread(event.object) else { return };
        if !std::mem::take(&mut woken.at_gate) {
            woken.woken(way.filter(|_| event.arg == AWAKENED));
        }
    }
}

/// A source wakes its work loop once, and whoever is woken after that was woken by something else in the same interrupt. What the kernel's own vectors
/// wake has waited for a time.
fn woken_by(interrupt: &mut Interrupt, woken: u64) -> Option<Way> {
    let own = [TIMER_VECTOR, RESCHEDULE_VECTOR, PREEMPT_VECTOR].map(u64::from);
    let way = Way { interrupt: *interrupt, steps: Vec::new(), woken };
    interrupt.source = None;
    (!own.contains(&interrupt.vector)).then_some(way)
}
