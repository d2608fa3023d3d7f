//! What there is to see where a run stands: the last events, threads, gates, the registry, devices.

use super::index::{Index, STRIDE};
use crate::control::{Registry, render};
use devices::fault::plan::Plan;
use explore::phase::Phases;
use serde_json::{Value, json};
use sim::debug::Board;
use std::collections::VecDeque;
use std::fmt::Write;
use trace::{EVENT_BYTES, Event};
use verdict::{Names, Threads};
use xxhash_rust::xxh3::Xxh3Default;

/// Events shown before the one that a replay stops at, for people.
const SHOWN: usize = 40;
/// Events that a debugger can see.
const KEPT: usize = 400;
/// Threads shown at the most.
const THREADS: usize = 4_096;

/// Follows a run's events.
pub struct Story {
    names: Names,
    threads: Threads,
    phases: Phases,
    registry: Registry,
    /// The last ones, with their numbers, oldest first.
    last: VecDeque<(u64, Event)>,
    number: u64,
    hash: Xxh3Default,
    /// Hashes of the index, after each [`STRIDE`] events.
    expected: Vec<u64>,
    /// Name and slot of each device.
    devices: Vec<(String, u32)>,
}

impl Story {
    /// The story of a run of `plan`, which is to be the run of `index`.
    pub fn new(plan: &Plan, index: &Index) -> Self {
        Self {
            names: Names::default(),
            threads: Threads::default(),
            phases: Phases::default(),
            registry: Registry::default(),
            last: VecDeque::with_capacity(KEPT),
            number: 0,
            hash: Xxh3Default::new(),
            expected: index.hashes.clone(),
            devices: plan.plugs.iter().map(|plug| (plug.name.clone(), plug.slot)).collect(),
        }
    }

    /// Looks at the next event, and says on the board if it is not that of the index.
    pub fn event(&mut self, event: &Event, board: &Board) {
        self.number += 1;
        self.names.event(event);
        self.threads.event(event);
        self.phases.event(event);
        self.registry.event(event);
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((self.number, *event));
        let mut bytes = [0; EVENT_BYTES];
        event.encode_into(&mut bytes);
        self.hash.update(&bytes);
        if self.number.is_multiple_of(STRIDE) && board.diverged.get() == 0 {
            let at = (self.number / STRIDE - 1) as usize;
            if self.expected.get(at) != Some(&self.hash.digest()) {
                board.diverged.set(self.number);
            }
        }
    }

    /// Hash of the events so far.
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }

    fn line(&self, number: u64, event: &Event) -> String {
        format!("{number:>8} {}", self.names.full_line(event))
    }

    /// For people.
    pub fn text(&self) -> String {
        let skipped = self.last.len().saturating_sub(SHOWN);
        let mut text = String::new();
        // Writing into a string cannot fail.
        for (number, event) in self.last.iter().skip(skipped) {
            _ = writeln!(text, "{}", self.line(*number, event));
        }
        for (name, slot) in &self.devices {
            let (phase, requests) = (self.phases.of(*slot).word(), self.phases.in_flight(*slot));
            _ = writeln!(text, "{name}: {phase}, {requests} requests in flight");
        }
        for thread in self.threads.describe(&self.names, SHOWN) {
            _ = writeln!(text, "{}", thread.line());
        }
        text
    }

    /// For a debugger, and for `--json`.
    pub fn view(&self) -> Value {
        let device = |(name, slot): &(String, u32)| {
            json!({
                "name": name, "slot": slot, "phase": self.phases.of(*slot).word(),
                "in_flight": self.phases.in_flight(*slot),
            })
        };
        let tree = self.registry.tree();
        json!({
            "number": self.number,
            "plan_time": self.last.back().map_or(0, |(_, event)| self.names.plan_time(event.time)),
            "hash": format!("{:016x}", self.hash()),
            "events": self.last.iter().map(|(number, event)| self.line(*number, event)).collect::<Vec<_>>(),
            "threads": self.threads.all(&self.names, THREADS),
            "gates": self.threads.gates(&self.names),
            "devices": self.devices.iter().map(device).collect::<Vec<_>>(),
            "registry": render(&tree),
        })
    }
}
