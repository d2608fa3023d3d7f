//! How long the woken wait, by band, and how long requests take, by device.

use mach::Histogram;
use mach::band::{BANDS, of};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use trace::{Event, Kind};

/// Threads and requests followed at a time, against a guest that begins and never ends.
const MAX_FOLLOWED: usize = 1 << 16;

/// A histogram for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What was measured: `wake-up, kernel band`, `request to edu0`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Half of them took less than this, ns; a power of two.
    pub half_below: u64,
    /// 99 of 100 took less than this, ns; a power of two.
    pub p99_below: u64,
    /// (ns, count): so many took less than that, and not less than the half of it.
    pub buckets: Vec<(u64, u64)>,
}

/// Measures from the trace.
#[derive(Default)]
pub struct Latency {
    levels: HashMap<u32, u8>,
    woken: HashMap<u32, u64>,
    wakes: [Histogram; BANDS.len()],
    issued: HashMap<u64, u64>,
    requests: BTreeMap<u32, Histogram>,
}

impl Latency {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::ThreadStart => put(&mut self.levels, event.object, level(event)),
            Kind::ThreadEnd => {
                self.levels.remove(&event.object);
                self.woken.remove(&event.object);
            }
            Kind::Wake => put(&mut self.woken, event.object, event.time),
            Kind::Dispatch => self.dispatched(event),
            Kind::IoIssue => put(&mut self.issued, event.arg, event.time),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.returned(event),
            _ => {}
        }
    }

    /// What was measured; `names` knows the devices by slot.
    pub fn told(&self, names: &BTreeMap<u32, String>) -> Vec<Told> {
        let wakes = BANDS.iter().zip(&self.wakes);
        let wakes = wakes.map(|(band, histogram)| (format!("wake-up, {} band", band.name), histogram));
        let requests = self.requests.iter().filter_map(|(slot, histogram)| {
            names.get(slot).map(|name| (format!("request to {name}"), histogram))
        });
        wakes.chain(requests).filter_map(|(what, histogram)| told(what, histogram)).collect()
    }

    fn dispatched(&mut self, event: &Event) {
        if let Some(since) = self.woken.remove(&event.object) {
            let level = self.levels.get(&event.object).copied().unwrap_or(0);
            let band = BANDS.iter().position(|band| *band == *of(level)).unwrap_or(0);
            self.wakes[band].add(event.time.saturating_sub(since));
        }
    }

    fn returned(&mut self, event: &Event) {
        if let Some(since) = self.issued.remove(&event.arg)
            && (self.requests.len() < 256 || self.requests.contains_key(&event.slot))
        {
            self.requests.entry(event.slot).or_default().add(event.time.saturating_sub(since));
        }
    }
}

/// The priority that a thread starts with.
pub fn level(event: &Event) -> u8 {
    u8::try_from(event.arg).unwrap_or(u8::MAX).min(127)
}

fn put<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() < MAX_FOLLOWED || map.contains_key(&key) {
        map.insert(key, value);
    }
}

fn told(what: String, histogram: &Histogram) -> Option<Told> {
    let filled = |(bucket, &count): (usize, &u64)| (count > 0).then_some((1_u64 << bucket, count));
    Some(Told {
        what,
        count: histogram.count(),
        half_below: histogram.percentile(50)?,
        p99_below: histogram.percentile(99)?,
        buckets: histogram.0.iter().enumerate().filter_map(filled).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_are_told_by_band_and_requests_by_device() {
        let mut latency = Latency::default();
        let mut event = |time, kind, object, arg| {
            let mut event = Event::new(kind).object(object).arg(arg).slot(1);
            event.time = time;
            latency.event(&event);
        };
        event(0, Kind::ThreadStart, 4, 81);
        event(100, Kind::Wake, 4, 0);
        event(103, Kind::Dispatch, 4, 0);
        event(200, Kind::Dispatch, 4, 0);
        event(300, Kind::IoIssue, 9, 77);
        event(400, Kind::IoDone, 9, 77);
        event(500, Kind::IoDone, 9, 77);
        let names = BTreeMap::from([(1, "edu0".to_owned())]);
        let told = latency.told(&names);
        assert_eq!(told.len(), 2);
        assert_eq!(
            (told[0].what.as_str(), told[0].buckets.as_slice()),
            ("wake-up, kernel band", &[(4, 1)][..])
        );
        assert_eq!((told[1].what.as_str(), told[1].buckets.as_slice()), ("request to edu0", &[(128, 1)][..]));
    }
}
