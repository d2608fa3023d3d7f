//! A bug that was found: made small, kept in a file, told.

use crate::exit::Failure;
use explore::shrink::{Budget, Failing, Shrunk};
use explore::{Capsule, Cause, Schedule, execute};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs that making one bug small may take, and how long.
const SHRINK_RUNS: u64 = 20_000;
const SHRINK_TIME: Duration = Duration::from_secs(30);

/// What is told about a bug; a line of `findings.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Bug {
    /// The rule that broke.
    pub rule: String,
    /// Number of the first run that showed it.
    pub first: u64,
    /// Runs that showed it.
    pub runs: u64,
    /// Its capsule.
    pub capsule: PathBuf,
    /// Devices, loads and rules of the plan that is left.
    pub statements: usize,
    /// Deviations of the schedule that is left.
    pub deviations: usize,
    /// Of these, CPUs that lose their turn.
    pub preemptions: usize,
    /// Runs that gave the same rule and the same trace again, of 100.
    pub verified: u32,
    /// The plan that is left.
    pub plan: String,
}

/// Makes a bug small. `stop` ends it early, with what there is then.
pub fn small(failing: &Failing, stop: &AtomicBool) -> Result<Shrunk, String> {
    let begin = Instant::now();
    let mut over = || stop.load(Ordering::Relaxed) || begin.elapsed() > SHRINK_TIME;
    explore::shrink::shrink(failing, &mut Budget { runs: SHRINK_RUNS, stop: &mut over })
}

/// The bug as it was found.
pub fn as_found(failing: &Failing) -> Result<Capsule, String> {
    let run = execute::run(&failing.plan, &failing.schedule, &mut |_| {}).map_err(|e| e.to_string())?;
    let cause = Some(failing.cause.clone());
    Ok(Capsule::new(&failing.plan, failing.schedule.clone(), cause, run.outcome.trace_hash))
}

/// A file name for a cause.
pub fn file_name(cause: &Cause) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    format!("{}.capsule", cause.rule.chars().map(plain).take(64).collect::<String>())
}

/// Writes a file whole or not at all: under another name first.
pub fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::request(format_args!("cannot write {}: {error}", path.display()));
    let part = path.with_extension("part");
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path)).map_err(|error| {
        // What is left of the attempt is of no use, and may not be there.
        let _ = std::fs::remove_file(&part);
        failed(error)
    })
}

/// What a person reads about a small bug.
pub fn told(cause: &Cause, capsule: &Capsule, path: &Path) -> String {
    let list = match &capsule.schedule {
        Schedule::List(list) if list.is_empty() => "no deviation: it needs no luck".to_owned(),
        schedule => schedule.describe(),
    };
    let plan: String = capsule.plan.lines().map(|line| format!("    {line}\n")).collect();
    format!("{cause}\n{plan}  schedule: {list}\n  again: workgate replay {}\n", path.display())
}
