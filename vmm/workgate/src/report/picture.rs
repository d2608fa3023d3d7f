//! The picture as data: what the page's script draws.

use super::collect::{Cpu, Device, Thread};
use super::flow::{Place, Point};
use super::lane::Lane;
use super::pack::pack;
use mach::band::{BANDS, of};
use serde::Serialize;
use std::collections::BTreeMap;
use verdict::Verdict;

/// Lanes that belong together.
#[derive(Debug, Serialize)]
pub struct Group {
    name: String,
    /// A class of colours.
    kind: &'static str,
    lanes: Vec<Drawn>,
}

impl Group {
    /// The lane of what the plan did.
    pub fn faults() -> Self {
        let lane = Drawn { key: key(Place::Plan), name: "faults".to_owned(), spans: String::new() };
        Self { name: "The plan".to_owned(), kind: "fault", lanes: vec![lane] }
    }
}

/// One lane.
#[derive(Debug, Serialize)]
struct Drawn {
    /// By which arrows know it.
    key: String,
    name: String,
    /// See [`super::pack`].
    spans: String,
}

/// All that is drawn. Times are plan times in ns; what came before plan time zero is negative.
#[derive(Debug, Serialize)]
pub struct Picture {
    #[serde(skip)]
    zero: u64,
    #[serde(skip)]
    last: u64,
    begin: i64,
    end: i64,
    labels: Vec<String>,
    /// Threads that have no lane because there were too many.
    without_lane: u64,
    pub(super) groups: Vec<Group>,
    /// Time, device, action.
    faults: Vec<(i64, String, String)>,
    /// Time, length, device.
    teardowns: Vec<(i64, Option<u64>, String)>,
    /// Time, rule.
    findings: Vec<(i64, String)>,
    /// Chains of (time, key of a lane, whether what stands before it is known to be the cause).
    flows: Vec<Vec<(i64, String, bool)>>,
}

impl Picture {
    /// A picture from the `first` to the `last` event, machine time in ns; plan time zero is `zero`. (Where the guest boots before it tells anything,
    /// machine time has no events for long.)
    pub(super) fn new(zero: u64, (first, last): (u64, u64), labels: Vec<String>, without_lane: u64) -> Self {
        let mut picture = Self {
            zero,
            last,
            begin: 0,
            end: 0,
            labels,
            without_lane,
            groups: Vec::new(),
            faults: Vec::new(),
            teardowns: Vec::new(),
            findings: Vec::new(),
            flows: Vec::new(),
        };
        (picture.begin, picture.end) = (picture.at(first), picture.at(last));
        picture
    }

    /// Plan time. What a guest claims to come later than its end is at its end.
    fn at(&self, time: u64) -> i64 {
        let signed = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        signed(time.min(self.last)).saturating_sub(signed(self.zero))
    }

    fn lane(&self, key: String, name: &str, lane: &Lane) -> Drawn {
        Drawn { key, name: name.to_owned(), spans: pack(lane.spans(), |time| self.at(time)) }
    }

    pub(super) fn cpus(&self, cpus: &BTreeMap<u8, Cpu>) -> Group {
        let lanes = cpus.iter().flat_map(|(number, cpu)| {
            [
                self.lane(format!("cpu:{number}"), &format!("cpu{number}"), &cpu.runs),
                self.lane(
                    key(Place::Interrupts(*number)),
                    &format!("cpu{number} interrupts"),
                    &cpu.interrupts,
                ),
            ]
        });
        Group { name: "CPUs".to_owned(), kind: "cpu", lanes: lanes.collect() }
    }

    /// Threads that ran, by band, highest first.
    pub(super) fn bands(&self, threads: &BTreeMap<u32, Thread>) -> Vec<Group> {
        let group = |band: &mach::band::Band| {
            let mine = threads.iter().filter(|(_, thread)| {
                thread.level > 0 && of(thread.level) == band && !thread.runs.spans().is_empty()
            });
            let lanes = mine.map(|(id, thread)| {
                self.lane(key(Place::Thread(*id)), &format!("{}#{id}", thread.name), &thread.runs)
            });
            Group { name: format!("Threads, {} band", band.name), kind: "thread", lanes: lanes.collect() }
        };
        BANDS.iter().map(group).filter(|group| !group.lanes.is_empty()).collect()
    }

    pub(super) fn devices(&self, devices: &BTreeMap<u32, Device>) -> Group {
        let lanes = devices.iter().flat_map(|(slot, device)| {
            let lane = |what: &str, lane| {
                self.lane(format!("{what}:{slot}"), &format!("{} {what}", device.name), lane)
            };
            [
                lane("requests", &device.requests),
                lane("actions", &device.actions),
                lane("life cycle", &device.calls),
            ]
        });
        Group { name: "Devices".to_owned(), kind: "device", lanes: lanes.collect() }
    }

    pub(super) fn mark(
        &mut self,
        faults: &[(u64, u32, String)],
        names: &BTreeMap<u32, String>,
        verdict: &Verdict,
    ) {
        let name = |slot: &u32| names.get(slot).cloned().unwrap_or_default();
        self.faults =
            faults.iter().map(|(time, slot, word)| (self.at(*time), name(slot), word.clone())).collect();
        let plan = |time: u64| i64::try_from(time).unwrap_or(i64::MAX).min(self.end);
        let teardown =
            |removal: &verdict::Removal| (plan(removal.time), removal.quiet_after, removal.device.clone());
        self.teardowns = verdict.removals.iter().map(teardown).collect();
        self.findings =
            verdict.findings.iter().map(|finding| (plan(finding.time), finding.rule.clone())).collect();
    }

    pub(super) fn arrows(&mut self, flows: Vec<Vec<Point>>) {
        let drawn = |point: Point| (self.at(point.step.time), key(point.step.place), point.caused);
        self.flows = flows.into_iter().map(|points| points.into_iter().map(drawn).collect()).collect();
    }
}

/// The key of the lane on which something is drawn.
fn key(place: Place) -> String {
    match place {
        Place::Plan => "faults".to_owned(),
        Place::Interrupts(cpu) => format!("irq:{cpu}"),
        Place::Thread(id) => format!("thread:{id}"),
    }
}
