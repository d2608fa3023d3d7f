//! The trace-event format that Perfetto and Chrome's tracing page open.
//!
//! Three processes: CPUs with the threads that ran on them and their interrupts, threads with what they did, devices with actions,
//! requests and faults. From each wake-up an arrow leads to the dispatch that it brought. Times are in microseconds, with the
//! nanoseconds behind the point.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use trace::{Event, Kind};
use verdict::Names;

const CPUS: u32 = 1;
const THREADS: u32 = 2;
const DEVICES: u32 = 3;
/// Things that have begun and not ended, at the most.
const MAX_OPEN: usize = 1 << 16;

/// What has begun on a CPU, a thread or a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Open {
    Run(u8),
    Interrupt(u8),
    Action(u32),
    Request(u64),
    Woken(u32),
}

/// Writes the document, event by event.
pub struct Chrome {
    devices: BTreeMap<u32, String>,
    begun: bool,
    open: HashMap<Open, (u64, u32)>,
    named: BTreeMap<u32, String>,
    seen: BTreeSet<u8>,
    flow: u64,
}

impl Chrome {
    /// `devices` are the names by slot.
    pub fn new(devices: BTreeMap<u32, String>) -> Self {
        Self {
            devices,
            begun: false,
            open: HashMap::new(),
            named: BTreeMap::new(),
            seen: BTreeSet::new(),
            flow: 0,
        }
    }

    /// Takes the name of a thread, also where the event itself is not wanted.
    pub fn learn(&mut self, event: &Event) {
        if event.kind == Kind::ThreadStart && self.named.len() < MAX_OPEN {
            self.named.insert(event.object, format!("{}#{}", event.text_str(), event.object));
        }
    }

    /// Writes what the event begins, ends or is.
    pub fn event(&mut self, event: &Event, names: &Names, out: &mut dyn Write) -> io::Result<()> {
        self.seen.insert(event.cpu);
        let (cpu, now) = (event.cpu, event.time);
        match event.kind {
            Kind::Dispatch => self.dispatch(event, names, out),
            Kind::Interrupt => self.begin(Open::Interrupt(cpu), now, 0),
            Kind::InterruptEnd => {
                let name = format!("vector {}", event.arg);
                self.end(Open::Interrupt(cpu), now, CPUS, u32::from(cpu), &name, out)
            }
            Kind::ActionStart => self.begin(Open::Action(event.thread), now, event.slot),
            Kind::ActionEnd => {
                let name = format!("action of {}", names.object(event.object));
                self.end(Open::Action(event.thread), now, DEVICES, event.slot, &name, out)
            }
            Kind::IoIssue => self.begin(Open::Request(event.arg), now, event.slot),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.request(event, out),
            Kind::Wake => self.wake(event, out),
            Kind::Fault => self.instant(event, event.text_str(), DEVICES, event.slot, "g", out),
            _ => self.instant(event, &names.line(event), THREADS, event.thread, "t", out),
        }
    }

    /// Writes the names, and the end of the document.
    pub fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let name = |kind: &str, pid: u32, tid: u32, name: &str| json!({"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}});
        let mut told: Vec<Value> = [(CPUS, "CPUs"), (THREADS, "threads"), (DEVICES, "devices")]
            .into_iter()
            .map(|(pid, text)| name("process_name", pid, 0, text))
            .collect();
        told.extend(
            self.seen.iter().map(|cpu| name("thread_name", CPUS, u32::from(*cpu), &format!("cpu{cpu}"))),
        );
        told.extend(self.named.iter().map(|(id, text)| name("thread_name", THREADS, *id, text)));
        told.extend(self.devices.iter().map(|(slot, text)| name("thread_name", DEVICES, *slot, text)));
        for line in told {
            self.line(&line, out)?;
        }
        if !self.begun {
            write!(out, "{{\"traceEvents\":[")?;
        }
        writeln!(out, "\n],\"displayTimeUnit\":\"ns\"}}")
    }

    fn line(&mut self, line: &Value, out: &mut dyn Write) -> io::Result<()> {
        let before = if self.begun { "," } else { "{\"traceEvents\":[" };
        self.begun = true;
        write!(out, "{before}\n{line}")
    }

    fn begin(&mut self, open: Open, now: u64, about: u32) -> io::Result<()> {
        if self.open.len() < MAX_OPEN || self.open.contains_key(&open) {
            self.open.insert(open, (now, about));
        }
        Ok(())
    }

    fn end(
        &mut self,
        open: Open,
        now: u64,
        pid: u32,
        tid: u32,
        name: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Some((since, _)) = self.open.remove(&open) else { return Ok(()) };
        let line = json!({
            "ph": "X", "name": name, "pid": pid, "tid": tid, "ts": stamp(since), "dur": stamp(now.saturating_sub(since)),
        });
        self.line(&line, out)
    }

    fn dispatch(&mut self, event: &Event, names: &Names, out: &mut dyn Write) -> io::Result<()> {
        let (cpu, now) = (event.cpu, event.time);
        if let Some((since, thread)) = self.open.get(&Open::Run(cpu)).copied() {
            self.end(Open::Run(cpu), now, CPUS, u32::from(cpu), &names.thread(thread), out)?;
            let line = json!({
                "ph": "X", "name": format!("on cpu{cpu}"), "pid": THREADS, "tid": thread, "ts": stamp(since),
                "dur": stamp(now.saturating_sub(since)),
            });
            self.line(&line, out)?;
        }
        self.begin(Open::Run(cpu), now, event.object)?;
        let Some((_, flow)) = self.open.remove(&Open::Woken(event.object)) else { return Ok(()) };
        let line = json!({
            "ph": "f", "bp": "e", "name": "wake", "cat": "wake", "id": flow, "pid": THREADS, "tid": event.object, "ts": stamp(now),
        });
        self.line(&line, out)
    }

    fn wake(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.flow += 1;
        self.begin(Open::Woken(event.object), event.time, self.flow as u32)?;
        let line = json!({
            "ph": "s", "name": "wake", "cat": "wake", "id": self.flow as u32, "pid": THREADS, "tid": event.thread,
            "ts": stamp(event.time),
        });
        self.line(&line, out)
    }

    /// A request lives longer than the call that issued it, and beside others: an asynchronous pair.
    fn request(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        let Some((since, slot)) = self.open.remove(&Open::Request(event.arg)) else { return Ok(()) };
        let id = format!("{:#x}", event.arg);
        for (phase, time) in [("b", since), ("e", event.time)] {
            let line = json!({
                "ph": phase, "cat": "request", "name": event.kind.word(), "id": id, "pid": DEVICES, "tid": slot, "ts": stamp(time),
            });
            self.line(&line, out)?;
        }
        Ok(())
    }

    fn instant(
        &mut self,
        event: &Event,
        name: &str,
        pid: u32,
        tid: u32,
        scope: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let line = json!({
            "ph": "i", "s": scope, "name": name, "cat": event.kind.word(), "pid": pid, "tid": tid, "ts": stamp(event.time),
        });
        self.line(&line, out)
    }
}

/// Nanoseconds as microseconds. A double has room for the nanoseconds of a hundred days.
fn stamp(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}
