//! Who has which gate, and who wants it.

use super::frame::Frame;
use super::{MAX_GATES, Threads};
use crate::names::Names;
use serde::Serialize;
use std::collections::BTreeMap;

/// A gate that somebody has, wants, or sleeps in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GateState {
    /// The owner of the work loop.
    pub gate: String,
    /// The thread that has closed it.
    pub owner: Option<String>,
    /// Threads that wait for it.
    pub waiters: Vec<String>,
    /// Threads that have opened it to sleep, and close it again when they wake up.
    pub sleepers: Vec<String>,
}

impl Threads {
    /// The gates that somebody has to do with, in order of their owners' numbers.
    pub fn gates(&self, names: &Names) -> Vec<GateState> {
        let mut gates: BTreeMap<u32, GateState> = BTreeMap::new();
        for (&gate, &owner) in &self.owners {
            gates.entry(gate).or_default().owner = Some(names.thread(owner));
        }
        for thread in &self.threads {
            for frame in &thread.frames {
                let (object, sleeps) = match *frame {
                    Frame::Wanted { object } => (object, false),
                    Frame::Gate { object, open: true } => (object, true),
                    _ => continue,
                };
                if gates.len() == MAX_GATES && !gates.contains_key(&object) {
                    continue;
                }
                let gate = gates.entry(object).or_default();
                let list = if sleeps { &mut gate.sleepers } else { &mut gate.waiters };
                list.push(names.thread(thread.id));
            }
        }
        let named = |(id, gate)| GateState { gate: names.object(id), ..gate };
        gates.into_iter().map(named).collect()
    }
}
