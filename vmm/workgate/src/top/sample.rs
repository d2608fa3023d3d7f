//! What the machine answers, read.

use crate::exit::Failure;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Threads, gates and latencies taken from one answer.
const MAX_ENTRIES: usize = 4096;

/// A thread; times are machine ns since its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Thread {
    /// Its number.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// The priority that it began with.
    pub priority: u8,
    /// That priority's band.
    pub band: String,
    /// `running`, `ready` or `blocked`.
    pub state: String,
    /// The CPU that it ran on last.
    pub cpu: Option<u8>,
    /// Time on a CPU.
    pub running: u64,
    /// Time in a run queue.
    pub ready: u64,
    /// Waits that were over.
    pub wakeups: u64,
}

/// A gate that is closed, or that somebody waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Gate {
    /// Its owner.
    pub name: String,
    /// Who has closed it.
    pub holder: Option<u32>,
    /// For how long, ns.
    #[serde(rename = "for")]
    pub held: u64,
    /// Who waits for it.
    pub waiting: Vec<u32>,
}

/// How long something took, as often as it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Latency {
    /// What was measured.
    pub what: String,
    /// (ns, count): so many took less than that, and not less than the half of it.
    pub buckets: Vec<(u64, u64)>,
}

/// One answer: counters at a machine time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Sample {
    /// Machine time, ns.
    pub time: u64,
    /// Processors.
    pub cpus: u32,
    /// Threads that there are.
    pub threads: Vec<Thread>,
    /// Gates.
    pub gates: Vec<Gate>,
    /// Interrupts by vector.
    pub interrupts: BTreeMap<String, u64>,
    /// Latencies.
    pub latencies: Vec<Latency>,
}

impl Sample {
    /// Reads an answer of `x-workgate-top`.
    pub fn read(answer: Value) -> Result<Self, Failure> {
        let mut sample: Self = serde_json::from_value(answer).map_err(|error| {
            Failure::request(format_args!("x-workgate-top: no such answer is known: {error}"))
        })?;
        sample.threads.truncate(MAX_ENTRIES);
        sample.gates.truncate(MAX_ENTRIES);
        sample.latencies.truncate(MAX_ENTRIES);
        Ok(sample)
    }
}
