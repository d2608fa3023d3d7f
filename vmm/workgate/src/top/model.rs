//! What is shown: rates, from two samples and the machine time between them.

use super::sample::{Gate, Sample, Thread};
use std::collections::BTreeMap;

/// What the threads are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Processor time, most first.
    #[default]
    Cpu,
    /// Wake-ups, most first.
    Wakeups,
    /// Priority, highest first.
    Priority,
}

impl Order {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Cpu => Self::Wakeups,
            Self::Wakeups => Self::Priority,
            Self::Priority => Self::Cpu,
        }
    }

    /// What it is called.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wakeups => "wake-ups",
            Self::Priority => "priority",
        }
    }
}

/// A thread. Shares are of one processor, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The thread.
    pub thread: Thread,
    /// Its share of a processor.
    pub cpu: u64,
    /// The share of time in which it waited for one.
    pub ready: u64,
    /// Wake-ups a second of machine time.
    pub wakeups: u64,
    /// The gate that it holds, or (`>`) waits for.
    pub gate: String,
}

/// A band.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BandRow {
    /// Its name.
    pub name: String,
    /// Threads in it.
    pub threads: u64,
    /// Their share of one processor, in thousandths.
    pub cpu: u64,
    /// Wake-ups that were measured, and what half of them, and 99 of 100, stayed below, ns.
    pub woken: Option<(u64, u64, u64)>,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Machine time, ns.
    pub time: u64,
    /// Machine time between the samples, ns.
    pub span: u64,
    /// Processors.
    pub cpus: u32,
    /// What all processors did but idle, in thousandths of one.
    pub busy: u64,
    /// Interrupts a second of machine time.
    pub interrupts: u64,
    /// Bands, highest first.
    pub bands: Vec<BandRow>,
    /// Gates that are closed or waited for.
    pub gates: Vec<Gate>,
    /// Threads, idle ones left out, in order.
    pub rows: Vec<Row>,
    /// What they are sorted by.
    pub order: Order,
}

impl Model {
    /// What went on from `before` to `now`; from the beginning of the machine, if there is nothing before, or machine time has not gone on.
    pub fn new(before: Option<&Sample>, now: &Sample, order: Order) -> Self {
        let empty = Sample::default();
        let before = before.filter(|before| before.time < now.time).unwrap_or(&empty);
        let span = now.time.saturating_sub(before.time).max(1);
        let was: BTreeMap<u32, &Thread> =
            before.threads.iter().map(|thread| (thread.thread, thread)).collect();
        let holds = holds(&now.gates);
        let row = |thread: &Thread| {
            let old = was.get(&thread.thread).copied();
            let since = |of: fn(&Thread) -> u64| of(thread).saturating_sub(old.map_or(0, of));
            Row {
                cpu: share(since(|thread| thread.running), span),
                ready: share(since(|thread| thread.ready), span),
                wakeups: rate(since(|thread| thread.wakeups), span),
                gate: holds.get(&thread.thread).cloned().unwrap_or_default(),
                thread: thread.clone(),
            }
        };
        let mut rows: Vec<Row> = now.threads.iter().filter(|thread| thread.priority > 0).map(row).collect();
        rows.sort_by_key(|row| {
            let key = match order {
                Order::Cpu => row.cpu,
                Order::Wakeups => row.wakeups,
                Order::Priority => u64::from(row.thread.priority),
            };
            (std::cmp::Reverse(key), row.thread.thread)
        });
        let total = |sample: &Sample| sample.interrupts.values().sum::<u64>();
        Self {
            time: now.time,
            span,
            cpus: now.cpus,
            busy: rows.iter().map(|row| row.cpu).sum(),
            interrupts: rate(total(now).saturating_sub(total(before)), span),
            bands: bands(before, now, &rows),
            gates: now.gates.clone(),
            rows,
            order,
        }
    }
}

/// A part of `span`, in thousandths.
fn share(part: u64, span: u64) -> u64 {
    u64::try_from(u128::from(part) * 1_000 / u128::from(span)).unwrap_or(u64::MAX)
}

/// So many in `span` ns, a second.
fn rate(count: u64, span: u64) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / u128::from(span)).unwrap_or(u64::MAX)
}

/// By thread: the gate that it holds or waits for.
fn holds(gates: &[Gate]) -> BTreeMap<u32, String> {
    let mut holds = BTreeMap::new();
    for gate in gates {
        gate.waiting.iter().for_each(|thread| _ = holds.insert(*thread, format!("> {}", gate.name)));
        if let Some(holder) = gate.holder {
            holds.insert(holder, gate.name.clone());
        }
    }
    holds
}

fn bands(before: &Sample, now: &Sample, rows: &[Row]) -> Vec<BandRow> {
    let of_band = |band: &&mach::band::Band| {
        let mine = || rows.iter().filter(|row| row.thread.band == band.name);
        BandRow {
            name: band.name.to_owned(),
            threads: mine().count() as u64,
            cpu: mine().map(|row| row.cpu).sum(),
            woken: woken(before, now, &format!("wake-up, {} band", band.name)),
        }
    };
    mach::band::BANDS.iter().filter(|band| band.high > 0).map(|band| of_band(&band)).collect()
}

/// How long the woken waited between the samples.
fn woken(before: &Sample, now: &Sample, what: &str) -> Option<(u64, u64, u64)> {
    let buckets = |sample: &Sample| -> BTreeMap<u64, u64> {
        let found = sample.latencies.iter().find(|latency| latency.what == what);
        found.map(|latency| latency.buckets.iter().copied().collect()).unwrap_or_default()
    };
    let old = buckets(before);
    let new: Vec<(u64, u64)> = buckets(now)
        .into_iter()
        .map(|(below, count)| (below, count.saturating_sub(old.get(&below).copied().unwrap_or(0))))
        .collect();
    let count: u64 = new.iter().map(|(_, count)| count).sum();
    let below = |part: u64| {
        let wanted = (u128::from(count) * u128::from(part)).div_ceil(100);
        let mut seen = 0;
        let reaches = |(_, count): &&(u64, u64)| {
            seen += u128::from(*count);
            seen >= wanted
        };
        new.iter().find(reaches).map_or(0, |(below, _)| *below)
    };
    (count > 0).then(|| (count, below(50), below(99)))
}

#[cfg(test)]
pub mod tests {
    use super::super::sample::Latency;
    use super::*;

    fn thread(thread: u32, priority: u8, running: u64, wakeups: u64) -> Thread {
        let band = mach::band::of(priority).name.to_owned();
        let name = format!("thread \u{1b}{thread}");
        Thread {
            thread,
            name,
            priority,
            band,
            state: "ready".to_owned(),
            cpu: Some(1),
            running,
            ready: 7,
            wakeups,
        }
    }

    /// Two samples, a millisecond apart.
    pub fn samples() -> (Sample, Sample) {
        let latency = |count| Latency {
            what: "wake-up, kernel band".to_owned(),
            buckets: vec![(128, count), (4096, 2)],
        };
        let sample = |time, running, wakeups, interrupts| Sample {
            time,
            cpus: 2,
            threads: vec![
                thread(1, 0, 5, 0),
                thread(4, 81, running, wakeups),
                thread(9, 31, running / 2, 3 * wakeups),
            ],
            gates: vec![Gate {
                name: "EduDriver@7".to_owned(),
                holder: Some(4),
                held: 1_500,
                waiting: vec![9],
            }],
            interrupts: BTreeMap::from([("48".to_owned(), interrupts)]),
            latencies: vec![latency(10 * wakeups)],
        };
        (sample(1_000_000, 100_000, 1, 10), sample(2_000_000, 600_000, 11, 40))
    }

    #[test]
    fn rates_are_those_of_machine_time_between_the_samples() {
        let (before, now) = samples();
        let model = Model::new(Some(&before), &now, Order::Cpu);
        assert_eq!((model.span, model.busy, model.interrupts), (1_000_000, 750, 30_000));
        let shown: Vec<_> = model.rows.iter().map(|row| (row.thread.thread, row.cpu, row.wakeups)).collect();
        assert_eq!(shown, [(4, 500, 10_000), (9, 250, 30_000)]);
        assert_eq!(
            (model.rows[0].gate.as_str(), model.rows[1].gate.as_str()),
            ("EduDriver@7", "> EduDriver@7")
        );
        let kernel = model.bands.iter().find(|band| band.name == "kernel").expect("a band");
        assert_eq!((kernel.threads, kernel.cpu, kernel.woken), (1, 500, Some((100, 128, 128))));
        assert_eq!(Model::new(Some(&before), &now, Order::Wakeups).rows[0].thread.thread, 9);
    }

    #[test]
    fn without_a_sample_before_and_on_a_machine_that_stands_rates_are_those_since_its_beginning() {
        let (_, now) = samples();
        let alone = Model::new(None, &now, Order::Cpu);
        assert_eq!((alone.span, alone.rows[0].cpu), (2_000_000, 300));
        assert_eq!(Model::new(Some(&now), &now, Order::Cpu), alone);
        assert!(Model::new(None, &Sample::default(), Order::Cpu).rows.is_empty());
    }
}
