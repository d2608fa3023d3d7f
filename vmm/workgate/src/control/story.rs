//! What is known of a run while it goes on: the verifier's books, and the registry.

use super::pulse::Pulse;
use super::registry::Registry;
use super::tail::Tail;
use crate::report::{Latency, Told};
use control::Story;
use control::commands::View;
use devices::fault::plan::{Plan, Rule};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use trace::Event;
use verdict::Verifier;

/// The followers of a run's trace. The machine's sink and whoever steers it share them, one after the other.
pub struct Watched {
    /// `None`: the guest tells nothing.
    verifier: RefCell<Option<Verifier>>,
    /// `None`: nobody asks.
    registry: RefCell<Option<Registry>>,
    /// `None`: nobody asks.
    latency: RefCell<Option<Latency>>,
    /// `None`: nobody asks.
    pulse: RefCell<Option<Pulse>>,
    /// `None`: nobody asks.
    tail: RefCell<Option<Tail>>,
    /// The devices' names by slot.
    names: BTreeMap<u32, String>,
    said: RefCell<Vec<Rule>>,
}

impl Watched {
    /// Followers of a run of `plan`; `asked`: somebody may ask for more than the verdict.
    pub fn new(plan: &Plan, verifier: Option<Verifier>, asked: bool) -> Self {
        let asked = asked && verifier.is_some();
        Self {
            verifier: RefCell::new(verifier),
            registry: RefCell::new(asked.then(Registry::default)),
            latency: RefCell::new(asked.then(Latency::default)),
            pulse: RefCell::new(asked.then(Pulse::default)),
            tail: RefCell::new(asked.then(Tail::default)),
            names: plan.plugs.iter().map(|plug| (plug.slot, plug.name.clone())).collect(),
            said: RefCell::default(),
        }
    }

    /// Looks at the next event.
    pub fn event(&self, event: &Event) {
        if let Some(verifier) = &mut *self.verifier.borrow_mut() {
            verifier.event(event);
        }
        if let Some(registry) = &mut *self.registry.borrow_mut() {
            registry.event(event);
        }
        if let Some(latency) = &mut *self.latency.borrow_mut() {
            latency.event(event);
        }
        if let Some(pulse) = &mut *self.pulse.borrow_mut() {
            pulse.event(event);
        }
        if let Some(tail) = &mut *self.tail.borrow_mut() {
            tail.event(event);
        }
    }

    /// How long the woken wait and requests take, a line each.
    pub fn latencies(&self) -> String {
        let latency = self.latency.borrow();
        let told = latency.as_ref().map(|latency| latency.told(&self.names)).unwrap_or_default();
        if told.is_empty() {
            return "nothing was measured yet\n".to_owned();
        }
        let line = |told: &Told| {
            let Told { what, count, half_below, p99_below, .. } = told;
            format!("{what}: {count} times, half below {half_below} ns, 99 of 100 below {p99_below} ns\n")
        };
        told.iter().map(line).collect()
    }

    /// Events that those who follow the trace were not given yet.
    pub fn rest(&self) -> Vec<Value> {
        self.tail.borrow().as_ref().map(Tail::rest).unwrap_or_default()
    }

    /// The verifier, and the rules that clients added, for the end.
    pub fn into_parts(self) -> (Option<Verifier>, Vec<Rule>) {
        (self.verifier.into_inner(), self.said.into_inner())
    }

    fn of_verifier(&self, tell: impl FnOnce(&Verifier) -> Value) -> Option<Value> {
        self.verifier.borrow().as_ref().map(tell)
    }
}

impl Story for &Watched {
    fn view(&self, view: View) -> Option<Value> {
        match view {
            View::Threads => self.of_verifier(|verifier| json!(verifier.threads())),
            View::Ledger => self.of_verifier(ledger),
            View::Findings => self.of_verifier(|verifier| {
                let (kept, total) = verifier.findings();
                json!({"total": total, "findings": kept})
            }),
            View::Top => {
                let told = self.latency.borrow().as_ref().map(|latency| latency.told(&self.names));
                self.pulse.borrow().as_ref().map(|pulse| pulse.view(&json!(told)))
            }
            View::Trace(since) => self.tail.borrow().as_ref().map(|tail| tail.view(since)),
            View::Registry => self.registry.borrow().as_ref().map(Registry::tree),
            View::Classes => self.registry.borrow().as_ref().map(Registry::classes),
        }
    }

    fn said(&mut self, rule: &Rule) {
        if let Some(verifier) = &mut *self.verifier.borrow_mut() {
            verifier.said(rule);
        }
        self.said.borrow_mut().push(rule.clone());
    }
}

fn ledger(verifier: &Verifier) -> Value {
    let device = |(name, (counts, in_flight))| {
        let mut entry = json!(counts);
        entry["in_flight"] = json!(in_flight);
        (name, entry)
    };
    Value::Object(verifier.ledger().into_iter().map(device).collect())
}
