//! The report of a run or a campaign: one page that needs nothing else, and documents for programs.

mod campaign;
mod collect;
mod coverage;
mod findings;
mod flow;
mod html;
mod junit;
mod labels;
mod lane;
mod latency;
mod pack;
mod page;
mod picture;
mod removals;
mod tree;

pub use campaign::{Campaign, quoted, rate, seconds};
pub use collect::Collector;
pub use latency::{Latency, Told};

use crate::exit::Failure;
use crate::run::Report;
use picture::Picture;
use serde::Serialize;
use verdict::Verdict;

/// Version of `report.json`: it changes when a field changes its meaning or goes.
const FORMAT: u32 = 1;

/// What the trace of a run adds to its report.
pub struct Seen {
    picture: Picture,
    latencies: Vec<Told>,
    registry: tree::Told,
}

impl Seen {
    /// From what was collected, and the verdict on it.
    pub fn new(collector: Collector, verdict: &Verdict) -> Self {
        let (picture, latencies, registry) = collector.finish(verdict);
        Self { picture, latencies, registry }
    }
}

/// `report.json`.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    kind: &'static str,
    replay: &'a str,
    latencies: &'a [Told],
    registry: &'a tree::Told,
    run: &'a Report,
}

/// The files of a report: name and content.
///
/// # Errors
/// Something cannot be told as JSON.
pub fn files(report: &Report, seen: &Seen) -> Result<Vec<(&'static str, String)>, Failure> {
    let replay = replay(report);
    let document = Document {
        format: FORMAT,
        kind: "run",
        replay: &replay,
        latencies: &seen.latencies,
        registry: &seen.registry,
        run: report,
    };
    Ok(vec![
        ("report.html", page::page(report, seen, &replay)?),
        ("report.json", crate::run::to_json(&document)?),
        ("junit.xml", junit::of_run(report)),
    ])
}

/// The command that runs it again, in the folder of the report.
fn replay(report: &Report) -> String {
    match report.seed {
        Some(seed) => format!("workgate run run.plan --machine {} --seed {seed}", report.machine),
        None => format!("workgate run run.plan --machine {}", report.machine),
    }
}
