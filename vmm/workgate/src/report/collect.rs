//! What the page shows of a trace, collected while the run goes on. Bounded, whatever the guest writes.

use super::flow::Flows;
use super::labels::Labels;
use super::lane::Lane;
use super::latency::{Latency, Told, level};
use super::picture::{Group, Picture};
use super::tree::{self, Trees};
use devices::fault::plan::Plan;
use std::collections::BTreeMap;
use trace::{Event, Kind};
use verdict::Verdict;

/// CPUs with a lane.
const MAX_CPUS: usize = 64;
/// Threads with a lane; further ones are counted.
const MAX_THREADS: usize = 128;
/// Faults shown.
const MAX_FAULTS: usize = 4_096;
/// Actions of a device that go on at a time.
const MAX_OPEN: usize = 64;

/// A CPU.
#[derive(Default)]
pub(super) struct Cpu {
    pub(super) runs: Lane,
    pub(super) interrupts: Lane,
    /// The thread on it, and since when.
    current: Option<(u32, u64)>,
    /// The interrupt that it serves: vector and since when.
    serving: Option<(u64, u64)>,
}

/// A thread.
pub(super) struct Thread {
    pub(super) name: String,
    pub(super) level: u8,
    pub(super) runs: Lane,
}

/// A device.
#[derive(Default)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) requests: Lane,
    pub(super) actions: Lane,
    pub(super) calls: Lane,
    open: BTreeMap<u32, u64>,
}

/// Collects.
#[derive(Default)]
pub struct Collector {
    zero: Option<u64>,
    first: Option<u64>,
    last: u64,
    labels: Labels,
    cpus: BTreeMap<u8, Cpu>,
    threads: BTreeMap<u32, Thread>,
    without_lane: u64,
    devices: BTreeMap<u32, Device>,
    faults: Vec<(u64, u32, String)>,
    flows: Flows,
    latency: Latency,
    trees: Trees,
}

impl Collector {
    /// For a run of `plan`.
    pub fn new(plan: &Plan) -> Self {
        let device = |name: &str| Device { name: name.to_owned(), ..Device::default() };
        let devices = plan.plugs.iter().map(|plug| (plug.slot, device(&plug.name))).collect();
        let names = plan.plugs.iter().map(|plug| (plug.slot, plug.name.clone())).collect();
        Self { devices, trees: Trees::new(names), ..Self::default() }
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        self.flows.event(event);
        self.latency.event(event);
        self.trees.event(event);
        self.first = Some(self.first.unwrap_or(u64::MAX).min(event.time));
        self.last = event.time;
        match event.kind {
            Kind::Ready => _ = self.zero.get_or_insert(event.time),
            Kind::ThreadStart => self.thread(event),
            Kind::Dispatch => self.dispatch(event),
            Kind::Interrupt | Kind::InterruptEnd => self.interrupt(event),
            Kind::Fault if self.faults.len() < MAX_FAULTS => {
                self.faults.push((event.time, event.slot, event.text_str().to_owned()));
            }
            _ => self.device(event),
        }
    }

    /// What the page shows, and what was measured.
    pub fn finish(mut self, verdict: &Verdict) -> (Picture, Vec<Told>, tree::Told) {
        let end = self.last;
        for cpu in self.cpus.keys().copied().collect::<Vec<_>>() {
            self.leave(cpu, end);
        }
        let zero = self.zero.unwrap_or(0);
        let names: BTreeMap<u32, String> =
            self.devices.iter().map(|(slot, device)| (*slot, device.name.clone())).collect();
        let latencies = self.latency.told(&names);
        let mut picture = Picture::new(
            zero,
            (self.first.unwrap_or(0), end),
            self.labels.words().to_vec(),
            self.without_lane,
        );
        picture.groups.push(Group::faults());
        picture.groups.push(picture.cpus(&self.cpus));
        picture.groups.push(picture.devices(&self.devices));
        picture.groups.extend(picture.bands(&self.threads));
        picture.mark(&self.faults, &names, verdict);
        picture.arrows(self.flows.finish());
        (picture, latencies, self.trees.finish())
    }

    fn thread(&mut self, event: &Event) {
        if self.threads.len() >= MAX_THREADS {
            self.without_lane += 1;
            return;
        }
        let (name, level) = (event.text_str().to_owned(), level(event));
        self.threads.insert(event.object, Thread { name, level, runs: Lane::default() });
    }

    fn cpu(&mut self, number: u8) -> Option<&mut Cpu> {
        if self.cpus.len() >= MAX_CPUS && !self.cpus.contains_key(&number) {
            return None;
        }
        Some(self.cpus.entry(number).or_default())
    }

    fn dispatch(&mut self, event: &Event) {
        self.leave(event.cpu, event.time);
        if let Some(cpu) = self.cpu(event.cpu) {
            cpu.current = Some((event.object, event.time));
        }
    }

    /// The thread on the CPU has run until `now`.
    fn leave(&mut self, number: u8, now: u64) {
        let Some((id, since)) = self.cpu(number).and_then(|cpu| cpu.current.take()) else { return };
        let on = self.labels.number(&format!("on cpu{number}"));
        let label = match self.threads.get_mut(&id) {
            // Nothing to see of idle threads: a gap says as much.
            Some(thread) if thread.level == 0 => return,
            Some(thread) => {
                thread.runs.push(since, now, on);
                self.labels.number(&thread.name)
            }
            None => self.labels.number("another thread"),
        };
        if let Some(cpu) = self.cpu(number) {
            cpu.runs.push(since, now, label);
        }
    }

    fn interrupt(&mut self, event: &Event) {
        let label = self.labels.number(&format!("vector {}", event.arg & 0xff));
        let Some(cpu) = self.cpu(event.cpu) else { return };
        if event.kind == Kind::Interrupt {
            cpu.serving = Some((event.arg, event.time));
        } else if let Some((_, since)) = cpu.serving.take() {
            cpu.interrupts.push(since, event.time, label);
        }
    }

    fn device(&mut self, event: &Event) {
        let Some(device) = self.devices.get_mut(&event.slot) else { return };
        let now = event.time;
        match event.kind {
            Kind::ActionStart if device.open.len() < MAX_OPEN => _ = device.open.insert(event.thread, now),
            Kind::ActionEnd => {
                if let Some(since) = device.open.remove(&event.thread) {
                    device.actions.push(since, now, self.labels.number("action"));
                }
            }
            Kind::IoDone => device.requests.push(now, now, self.labels.number("completed")),
            Kind::IoOffline => device.requests.push(now, now, self.labels.number("Offline")),
            Kind::IoError => device.requests.push(now, now, self.labels.number("error")),
            Kind::IoCorrupt => device.requests.push(now, now, self.labels.number("wrong data")),
            kind if (Kind::Attach..=Kind::Gone).contains(&kind) && kind != Kind::Busy => {
                device.calls.push(now, now, self.labels.number(kind.word()));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::{Ended, Verifier};

    /// Events of the long trace: more would only join more stretches.
    const EVENTS: u64 = 1_000_000;

    /// Every lane that there can be, each with more than it keeps.
    fn long_trace(sink: &mut dyn FnMut(&Event)) {
        let mut now = 0;
        let mut event = |kind, cpu, slot, object, arg| {
            now += 37;
            let mut event = Event::new(kind).object(object).slot(slot).arg(arg).text("<i>thread</i>");
            (event.time, event.cpu, event.thread) = (now, cpu, object);
            sink(&event);
        };
        (1..=1_000).for_each(|id| event(Kind::ThreadStart, 0, 0, id, 81));
        for n in 0..EVENTS / 5 {
            let (cpu, slot, id) = ((n % 200) as u8, 1 + (n % 31) as u32, 1 + (n % 1_000) as u32);
            event(Kind::Dispatch, cpu, 0, id, 0);
            event(Kind::Interrupt, cpu, 0, id, n);
            event(Kind::InterruptEnd, cpu, 0, id, n);
            event([Kind::IoDone, Kind::IoError][(n % 2) as usize], cpu, slot, id, n);
            event(Kind::Fault, cpu, slot, id, n);
        }
    }

    #[test]
    fn the_picture_begins_with_the_first_event() {
        let plan = Plan::parse("p.plan", "run for=1s\n").expect("a good plan");
        let mut collector = Collector::new(&plan);
        for (time, kind) in [(4_000, Kind::ThreadStart), (4_500, Kind::Ready), (5_000, Kind::Done)] {
            collector.event(&Event { time, ..Event::new(kind) });
        }
        let (picture, ..) = collector.finish(&Verifier::new(&plan).finish(Ended::Done));
        let json = serde_json::to_value(&picture).expect("JSON");
        assert_eq!((&json["begin"], &json["end"]), (&(-500).into(), &500.into()));
    }

    #[test]
    fn a_long_trace_makes_a_picture_of_bounded_size() {
        let plugs: String = (1..=31).map(|slot| format!("plug edu{slot} edu slot={slot}\n")).collect();
        let plan =
            Plan::parse("long.plan", &format!("machine cpus=8\n{plugs}run for=1s\n")).expect("a good plan");
        let mut collector = Collector::new(&plan);
        long_trace(&mut |event| collector.event(event));
        assert_eq!((collector.cpus.len(), collector.threads.len()), (MAX_CPUS, MAX_THREADS));
        let (picture, latencies, _) = collector.finish(&Verifier::new(&plan).finish(Ended::Done));
        let json = serde_json::to_string(&picture).expect("JSON");
        assert!((1 << 20..30 << 20).contains(&json.len()), "{} bytes", json.len());
        assert!(latencies.iter().all(|told| told.buckets.len() <= mach::BUCKETS));
    }
}
