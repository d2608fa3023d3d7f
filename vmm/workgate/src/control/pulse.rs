//! What a machine does at the moment, for `x-workgate-top`: counters that only grow. Whoever asks twice has rates, in machine time.

use crate::books::Books;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Gates, names and vectors followed at the most, against a guest that makes them for ever.
const MAX_FOLLOWED: usize = 4096;

/// A gate that is closed, or that somebody waits for.
#[derive(Default)]
struct Gate {
    /// `None` while somebody waits: the gate changes hands. `gate.open` is told before the lock is let go, and an awaited lock goes straight to a waiter, who is
    /// woken and tells `gate.close` when it runs; until then the trace does not say whose it is.
    holder: Option<u32>,
    /// Since when, machine ns.
    since: u64,
    waiting: Vec<u32>,
}

/// Follows the trace.
#[derive(Default)]
pub struct Pulse {
    now: u64,
    cpus: u8,
    books: Books,
    interrupts: BTreeMap<u64, u64>,
    gates: BTreeMap<u32, Gate>,
    names: BTreeMap<u32, String>,
}

impl Pulse {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        self.now = self.now.max(event.time);
        self.cpus = self.cpus.max(event.cpu.saturating_add(1));
        self.books.event(event);
        match event.kind {
            Kind::ThreadEnd => self.books.forget(event.object),
            Kind::Interrupt => count(&mut self.interrupts, event.arg & 0xff),
            Kind::Class if self.names.len() < MAX_FOLLOWED => {
                self.names.insert(event.object, event.text_str().to_owned());
            }
            Kind::Free => {
                self.names.remove(&event.object);
                self.gates.remove(&event.object);
            }
            Kind::GateClose | Kind::CommandResume => self.closed(event),
            Kind::GateOpen | Kind::CommandSleep => self.opened(event),
            Kind::GateWait => self.with(event.object, |gate| gate.wait(event.thread)),
            _ => {}
        }
    }

    fn with(&mut self, gate: u32, change: impl FnOnce(&mut Gate)) {
        if self.gates.len() < MAX_FOLLOWED || self.gates.contains_key(&gate) {
            change(self.gates.entry(gate).or_default());
        }
    }

    fn closed(&mut self, event: &Event) {
        self.with(event.object, |gate| {
            gate.waiting.retain(|thread| *thread != event.thread);
            (gate.holder, gate.since) = (Some(event.thread), event.time);
        });
    }

    fn opened(&mut self, event: &Event) {
        let Some(gate) = self.gates.get_mut(&event.object) else { return };
        if gate.holder == Some(event.thread) {
            gate.holder = None;
        }
        if gate.holder.is_none() && gate.waiting.is_empty() {
            self.gates.remove(&event.object);
        }
    }

    /// Everything, with how long the woken have waited.
    pub fn view(&self, latencies: &Value) -> Value {
        let gate = |(id, gate): (&u32, &Gate)| {
            let name = self.names.get(id).map_or("gate", String::as_str);
            let since = gate.holder.map_or(0, |_| self.now.saturating_sub(gate.since));
            json!({"name": format!("{name}@{id}"), "holder": gate.holder, "for": since, "waiting": gate.waiting})
        };
        json!({
            "time": self.now,
            "cpus": self.cpus,
            "threads": self.books.living(self.now),
            "gates": self.gates.iter().map(gate).collect::<Vec<_>>(),
            "interrupts": self.interrupts,
            "latencies": latencies,
        })
    }
}

impl Gate {
    fn wait(&mut self, thread: u32) {
        if self.waiting.len() < MAX_FOLLOWED && !self.waiting.contains(&thread) {
            self.waiting.push(thread);
        }
    }
}

fn count(counts: &mut BTreeMap<u64, u64>, key: u64) {
    *counts.entry(key).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(events: &[(u64, Kind, u32, u32)]) -> Pulse {
        let mut pulse = Pulse::default();
        for &(time, kind, object, thread) in events {
            let mut event = Event::new(kind).object(object).arg(0x41).text("EduDriver");
            (event.time, event.thread) = (time, thread);
            pulse.event(&event);
        }
        pulse
    }

    #[test]
    fn gates_have_holders_and_who_waits_until_they_are_open() {
        let mut events = vec![
            (1, Kind::Class, 7, 0),
            (10, Kind::GateClose, 7, 3),
            (15, Kind::GateWait, 7, 4),
            (16, Kind::GateWait, 7, 4),
            (30, Kind::Interrupt, 0, 3),
        ];
        let view = pulse(&events).view(&json!([]));
        let gate = json!({"name": "EduDriver@7", "holder": 3, "for": 20, "waiting": [4]});
        assert_eq!((&view["gates"], &view["interrupts"]), (&json!([gate]), &json!({"65": 1})));
        events.extend([(31, Kind::CommandSleep, 7, 3), (32, Kind::GateClose, 7, 4)]);
        assert_eq!(pulse(&events).view(&json!([]))["gates"][0]["holder"], 4);
        events.extend([(33, Kind::GateWait, 7, 5), (34, Kind::GateOpen, 7, 4)]);
        let passed = json!([{"name": "EduDriver@7", "holder": null, "for": 0, "waiting": [5]}]);
        assert_eq!(pulse(&events).view(&json!([]))["gates"], passed, "the waiter does not run yet");
        events.extend([(40, Kind::GateClose, 7, 5), (41, Kind::GateOpen, 7, 5)]);
        assert_eq!(pulse(&events).view(&json!([]))["gates"], json!([]));
    }
}
