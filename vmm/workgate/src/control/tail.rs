//! The last events of a run, for clients that follow its trace (`x-workgate-trace`). Bounded: who is too slow is told how many are lost, and nobody
//! waits for a client.

use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use trace::{Event, Kind};

/// Events kept for those who come later for them.
const KEPT: usize = 1 << 16;
/// Events of one answer: with two characters a byte, half a mebibyte.
const BATCH: usize = 4_096;
/// Followers whose places are known: those who asked last.
const FOLLOWERS: usize = 8;
/// Names told to those who begin in the midst of a run.
const MAX_NAMES: usize = 16_384;

/// The last events, with their numbers in the trace, from 1.
pub struct Tail {
    kept: VecDeque<Event>,
    /// Number of the next event.
    next: u64,
    /// What events are told with: names of threads and registry entries,
    names: BTreeMap<(u32, Kind), Event>,
    /// and plan time zero.
    ready: Option<Event>,
    /// Where those who asked last are: the numbers of the first events that they were not given.
    places: RefCell<VecDeque<u64>>,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            next: 1,
            names: BTreeMap::new(),
            ready: None,
            places: RefCell::default(),
        }
    }
}

impl Tail {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Ready => _ = self.ready.get_or_insert(*event),
            Kind::Name | Kind::ThreadStart => {
                self.names.insert((event.object, event.kind), *event);
                // Numbers grow: the lowest are the oldest.
                if self.names.len() > MAX_NAMES {
                    self.names.pop_first();
                }
            }
            _ => {}
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(*event);
        self.next += 1;
    }

    /// The events from number `since` on, as many as an answer has room for. Without it none, but the names that the next ones are told with.
    pub fn view(&self, since: Option<u64>) -> Value {
        let mut batch = self.batch(since.unwrap_or(self.next));
        if since.is_none() {
            batch["names"] = self.ready.iter().chain(self.names.values()).map(hex).collect();
        }
        let mut places = self.places.borrow_mut();
        if places.len() == FOLLOWERS {
            places.pop_front();
        }
        places.push_back(batch["next"].as_u64().unwrap_or(self.next));
        batch
    }

    /// At the end of the machine, what those who follow were not given yet.
    pub fn rest(&self) -> Vec<Value> {
        let Some(mut place) = self.places.borrow().iter().min().copied() else { return Vec::new() };
        let mut rest = Vec::new();
        while place < self.next {
            let batch = self.batch(place);
            place = batch["next"].as_u64().unwrap_or(self.next);
            rest.push(batch);
        }
        rest
    }

    fn batch(&self, since: u64) -> Value {
        let oldest = self.next - self.kept.len() as u64;
        let first = since.clamp(oldest, self.next);
        let skipped = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let events: Vec<String> = self.kept.iter().skip(skipped).take(BATCH).map(hex).collect();
        let next = first + events.len() as u64;
        let lost = first.saturating_sub(since.max(1));
        json!({"first": first, "next": next, "lost": lost, "waiting": self.next - next, "events": events})
    }
}

/// A record as the trace has it, two digits a byte.
fn hex(event: &Event) -> String {
    event.encode().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The event of a record as [`Tail`] tells it.
pub fn read(record: &str) -> Option<Event> {
    let mut bytes = [0; trace::EVENT_BYTES];
    let digits = record.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Event::decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(events: u64) -> Tail {
        let mut tail = Tail::default();
        (0..events).for_each(|n| tail.event(&Event::new(Kind::IoDone).arg(n)));
        tail
    }

    fn figures(value: &Value) -> [u64; 5] {
        let figure = |key: &str| value[key].as_u64().expect("a number");
        let events = value["events"].as_array().expect("a list").len() as u64;
        [figure("first"), figure("next"), figure("lost"), figure("waiting"), events]
    }

    #[test]
    fn events_are_given_once_in_order_and_what_is_lost_is_counted() {
        let tail = tail(10);
        assert_eq!(figures(&tail.view(Some(1))), [1, 11, 0, 0, 10]);
        assert_eq!(figures(&tail.view(Some(8))), [8, 11, 0, 0, 3]);
        assert_eq!(figures(&tail.view(Some(11))), [11, 11, 0, 0, 0]);
        // Nobody has been told of a number as high as that.
        assert_eq!(figures(&tail.view(Some(u64::MAX))), [11, 11, 0, 0, 0]);
        let third = tail.view(Some(3))["events"][0].as_str().and_then(read).expect("an event");
        assert_eq!((third.kind, third.arg), (Kind::IoDone, 2));
        let (kept, batch) = (KEPT as u64, BATCH as u64);
        let long = self::tail(kept + 100);
        assert_eq!(figures(&long.view(Some(1))), [101, 101 + batch, 100, kept - batch, batch]);
        assert_eq!(long.kept.len(), KEPT);
    }

    #[test]
    fn the_end_is_told_to_those_who_asked() {
        let mut tail = tail(3);
        assert!(tail.rest().is_empty(), "nobody did");
        assert_eq!(figures(&tail.view(None)), [4, 4, 0, 0, 0]);
        assert!(tail.rest().is_empty(), "it has seen all");
        let batch = BATCH as u64;
        (0..batch + 2).for_each(|_| tail.event(&Event::new(Kind::IoDone)));
        tail.view(Some(5));
        let rest: Vec<_> = tail.rest().iter().map(figures).collect();
        assert_eq!(rest, [[4, 4 + batch, 0, 2, batch], [4 + batch, 6 + batch, 0, 0, 2]]);
        // One that has gone is forgotten.
        (0..FOLLOWERS).for_each(|_| _ = tail.view(None));
        assert!(tail.rest().is_empty());
    }

    #[test]
    fn who_comes_late_is_told_names_and_garbage_is_no_event() {
        let mut tail = tail(0);
        tail.event(&Event::new(Kind::ThreadStart).object(7).text("client"));
        tail.event(&Event::new(Kind::Ready));
        let names = tail.view(None)["names"].clone();
        let names: Vec<Event> =
            names.as_array().expect("a list").iter().filter_map(|name| read(name.as_str()?)).collect();
        assert!(names.len() == 2 && names.iter().any(|event| event.text_str() == "client"));
        (0..2 * MAX_NAMES as u32).for_each(|n| tail.event(&Event::new(Kind::Name).object(n)));
        assert_eq!(tail.names.len(), MAX_NAMES);
        assert_eq!((read(""), read(&"zz".repeat(64)), read(&"é".repeat(64))), (None, None, None));
    }
}
