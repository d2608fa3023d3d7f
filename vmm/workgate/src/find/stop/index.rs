//! What happens behind which event of a run, and where oracles raise their alarms.

use crate::cli::{EXPECTED, StopAt};
use crate::exit::{Failure, hint};
use devices::fault::plan::Plan;
use devices::fault::plane::Site;
use explore::{Cause, Schedule, execute};
use serde_json::{Value, json};
use sim::debug::Board;
use sim::{Held, Pass, Passes, Steer};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use trace::{EVENT_BYTES, Event, Kind};
use verdict::Verifier;
use xxhash_rust::xxh3::Xxh3Default;

/// Events between two hashes that are kept.
pub const STRIDE: u64 = 1_024;
/// Places in all lists together, at the most: 128 MiB.
const MAX_PLACES: usize = 1 << 25;
/// Alarms at the most.
const MAX_ALARMS: usize = 256;
/// Words that a message names at the most.
const MAX_TOLD: usize = 24;
/// The word for an oracle's alarm.
const ALARM: &str = "alarm";
/// The word for whatever takes a device away.
const REMOVAL: &str = "removal";
/// What takes a device away.
const REMOVALS: &[&str] = &["unplug", "eject", "link-down", "disconnect-port", "cable-pull"];

/// An oracle's alarm.
struct Alarm {
    number: u64,
    rule: String,
    message: String,
}

/// The index of a run.
pub struct Index {
    /// Events of the run.
    pub total: u64,
    /// Hash of all of them.
    pub hash: u64,
    /// Hashes after each [`STRIDE`] events.
    pub hashes: Vec<u64>,
    /// Numbers of events, in order, by what happens there.
    places: BTreeMap<String, Vec<u32>>,
    alarms: Vec<Alarm>,
    /// Some places were not kept.
    cut: bool,
}

impl Index {
    /// Runs `plan` under `schedule` from beginning to end.
    ///
    /// # Errors
    /// The machine cannot be started.
    pub fn of(plan: &Plan, schedule: &Schedule) -> Result<Self, Failure> {
        let mut collector = Collector::new(plan);
        let mut watcher = Watcher { board: Rc::default(), passes: collector.passes.clone() };
        let machine = execute::machine(schedule).steer(&mut watcher);
        let outcome =
            sim::run_on(machine, plan, &mut |event| collector.event(event)).map_err(Failure::request)?;
        collector.pass();
        let Collector { verifier, mut alarms, number, hash, hashes, places, left, .. } = collector;
        let before = verifier.findings().0.len();
        let verdict = verifier.finish(execute::ended(&outcome));
        alarms.extend(verdict.findings.iter().skip(before).map(|finding| alarm(number, finding)));
        if alarms.is_empty()
            && let Some(cause) = Cause::of(&verdict, &outcome)
        {
            alarms.push(Alarm { number, rule: cause.rule, message: "at the end of the run".to_owned() });
        }
        alarms.truncate(MAX_ALARMS);
        let mut places = places.named(plan);
        if !alarms.is_empty() {
            let mut numbers: Vec<u32> = alarms.iter().map(|alarm| alarm.number as u32).collect();
            numbers.dedup();
            places.insert(ALARM.to_owned(), numbers);
        }
        Ok(Self { total: number, hash: hash.digest(), hashes, places, alarms, cut: left == 0 })
    }

    /// The number of an event of the run.
    ///
    /// # Errors
    /// There is no such event; what there is.
    pub fn find(&self, stop: &StopAt) -> Result<u64, Failure> {
        let Some(site) = &stop.site else {
            if stop.number <= self.total {
                return Ok(stop.number);
            }
            let message = format!("the run has no such event: it ends after {} events", self.total);
            return Err(Failure::request(message));
        };
        let Some(numbers) = self.places.get(site) else {
            return Err(Failure::request(self.unknown(site)));
        };
        let found = usize::try_from(stop.number - 1).ok().and_then(|nth| numbers.get(nth));
        found.map(|number| u64::from(*number)).ok_or_else(|| {
            Failure::request(format!(
                "the run has no such event: it ends after {} events, {} of them {site}{}",
                self.total,
                numbers.len(),
                self.limit()
            ))
        })
    }

    fn limit(&self) -> &'static str {
        if self.cut { " (the run is so long that not all are known by their words)" } else { "" }
    }

    /// A word that says nothing, or what does not happen in this run.
    fn unknown(&self, site: &str) -> String {
        let bare = |word: &&String| !word.contains('.') || Kind::from_word(word).is_some();
        let mut words: Vec<_> = self.places.keys().filter(bare).map(String::as_str).collect();
        let all = words.len();
        // What people look for first is what is rare.
        words.sort_by_key(|word| (self.places[*word].len(), *word));
        words.truncate(MAX_TOLD);
        let more = if all > words.len() { ", …" } else { "" };
        format!(
            "the run has no such event: it ends after {} events, and `{site}` is none of them; expected {EXPECTED}; there are: {}{more}{}{}",
            self.total,
            words.join(", "),
            self.limit(),
            hint(site, self.places.keys().map(String::as_str))
        )
    }

    /// The index for a debugger: for each word the address of its numbers (32 bits each) in this process, and how many they are.
    pub fn document(&self, plan: &Plan) -> String {
        let list = |(word, numbers): (&String, &Vec<u32>)| {
            (word.clone(), json!([numbers.as_ptr() as usize, numbers.len()]))
        };
        let alarm =
            |alarm: &Alarm| json!({"number": alarm.number, "rule": alarm.rule, "message": alarm.message});
        json!({
            "plan": plan.name,
            "events": self.total,
            "places": self.places.iter().map(list).collect::<serde_json::Map<String, Value>>(),
            "alarms": self.alarms.iter().map(alarm).collect::<Vec<_>>(),
            "cut": self.cut,
        })
        .to_string()
    }
}

fn alarm(number: u64, finding: &verdict::Finding) -> Alarm {
    let message = match &finding.device {
        Some(device) => format!("{device}: {}", finding.message),
        None => finding.message.clone(),
    };
    Alarm { number, rule: finding.rule.clone(), message }
}

/// Has sites counted, and leaves the machine alone.
struct Watcher {
    board: Rc<Board>,
    passes: Passes,
}

impl Steer for Watcher {
    fn attention(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    fn look(&mut self, _: &mut Held) {}

    fn board(&self) -> Option<Rc<Board>> {
        Some(self.board.clone())
    }

    fn passes(&self) -> Option<Passes> {
        Some(self.passes.clone())
    }
}

/// Numbers of events by slot (0 = any) and what happens there.
#[derive(Default)]
struct Places {
    kinds: BTreeMap<(u32, Kind), Vec<u32>>,
    faults: BTreeMap<(u32, String), Vec<u32>>,
    sites: BTreeMap<(u32, Site), Vec<u32>>,
}

impl Places {
    fn kind(&mut self, slot: u32, kind: Kind, number: u32) {
        self.kinds.entry((slot, kind)).or_default().push(number);
    }

    fn fault(&mut self, slot: u32, word: &str, number: u32) {
        self.faults.entry((slot, word.to_owned())).or_default().push(number);
    }

    /// By word, and by device and word. What the trace calls so comes before what a plan does, and that before a device's site.
    fn named(self, plan: &Plan) -> BTreeMap<String, Vec<u32>> {
        let name = |slot: u32, word: &str| {
            let device = plan.plugs.iter().find(|plug| plug.slot == slot);
            match slot {
                0 => Some(word.to_owned()),
                _ => device.map(|plug| format!("{}.{word}", plug.name)),
            }
        };
        let faults =
            self.faults.into_iter().filter_map(|((slot, word), list)| Some((name(slot, &word)?, list)));
        let kinds =
            self.kinds.into_iter().filter_map(|((slot, kind), list)| Some((name(slot, kind.word())?, list)));
        let sites =
            self.sites.into_iter().filter_map(|((slot, site), list)| Some((name(slot, site.word())?, list)));
        sites.chain(faults).chain(kinds).collect()
    }
}

/// Makes the index while the run goes on.
struct Collector {
    verifier: Verifier,
    alarms: Vec<Alarm>,
    found: u64,
    number: u64,
    hash: Xxh3Default,
    hashes: Vec<u64>,
    places: Places,
    passes: Passes,
    /// Places that are still kept.
    left: usize,
}

impl Collector {
    fn new(plan: &Plan) -> Self {
        Self {
            verifier: Verifier::new(plan),
            alarms: Vec::new(),
            found: 0,
            number: 0,
            hash: Xxh3Default::new(),
            hashes: Vec::new(),
            places: Places::default(),
            passes: Passes::default(),
            left: MAX_PLACES,
        }
    }

    fn event(&mut self, event: &Event) {
        self.number += 1;
        let mut bytes = [0; EVENT_BYTES];
        event.encode_into(&mut bytes);
        self.hash.update(&bytes);
        if self.number.is_multiple_of(STRIDE) {
            self.hashes.push(self.hash.digest());
        }
        self.verifier.event(event);
        self.hear();
        self.pass();
        self.place(event);
    }

    /// Sites that were passed: each is behind the event that was recorded last before it.
    fn pass(&mut self) {
        for Pass { slot, site, behind } in self.passes.borrow_mut().drain(..) {
            let Some(number) = u32::try_from(behind.max(1)).ok().filter(|_| self.left > 0) else {
                self.left = 0;
                return;
            };
            self.left -= 1;
            self.places.sites.entry((slot, site)).or_default().push(number);
        }
    }

    /// Alarms that this event has raised.
    fn hear(&mut self) {
        let (kept, total) = self.verifier.findings();
        if total == self.found {
            return;
        }
        let new = kept.iter().skip(self.found as usize);
        self.alarms.extend(new.map(|finding| alarm(self.number, finding)));
        self.found = total;
    }

    /// Keeps the event's place under each word that leads to it.
    fn place(&mut self, event: &Event) {
        const EACH: usize = 5;
        let Some(number) = u32::try_from(self.number).ok().filter(|_| self.left >= EACH) else {
            self.left = 0;
            return;
        };
        self.left -= EACH.min(if event.kind == Kind::Fault { EACH } else { 2 });
        self.places.kind(0, event.kind, number);
        if event.slot != 0 {
            self.places.kind(event.slot, event.kind, number);
        }
        if event.kind != Kind::Fault {
            return;
        }
        let word = event.text_str();
        let removes = REMOVALS.contains(&word);
        for slot in [0, event.slot].into_iter().take(if event.slot == 0 { 1 } else { 2 }) {
            self.places.fault(slot, word, number);
            if removes {
                self.places.fault(slot, REMOVAL, number);
            }
        }
    }
}
