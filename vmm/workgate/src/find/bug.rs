//! A bug that was found: made small, kept in a file, told.

use crate::exit::Failure;
use devices::fault::plan::Plan;
use explore::execute::Run;
use explore::shrink::{Budget, Failing, Shrunk, Work};
use explore::{Capsule, Cause, Schedule, execute};
use serde::{Deserialize, Serialize};
use sim::Outcome;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verdict::{Finding, ThreadState};

/// Runs that making one bug small may take.
const SHRINK_RUNS: u64 = 20_000;
/// How long looking for something smaller may take.
const SHRINK_TIME: Duration = Duration::from_secs(20);
/// When to be done with it all: a run of a bug that hangs takes a second, and a hundred of them would be too many.
const SMALL_TIME: Duration = Duration::from_secs(30);

/// What is told about a bug; a line of `findings.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bug {
    /// The rule that broke.
    pub rule: String,
    /// The fuzz target that it was found with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Number of the first run that showed it.
    pub first: u64,
    /// Runs that showed it.
    pub runs: u64,
    /// Its capsule, if it is one of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capsule: Option<PathBuf>,
    /// The fuzzer's bytes, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Devices, loads and rules of the plan that is left.
    pub statements: usize,
    /// Deviations of the schedule that is left.
    pub deviations: usize,
    /// Of these, CPUs that lose their turn.
    pub preemptions: usize,
    /// Times that what is left was run again, if it was made small.
    #[serde(default)]
    pub tried: u32,
    /// How often of these it gave the same rule and the same trace.
    pub verified: u32,
    /// The plan that is left; of a bug that no plan shows, what the bytes mean.
    pub plan: String,
    /// What the oracles say of it, with the last events and the threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// What there is to say of it otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub told: String,
}

impl Bug {
    /// The bug of `cause` as it was found by run `first`, in `runs` runs.
    pub fn new(cause: &Cause, (first, runs): (u64, u64), plan: &Plan) -> Self {
        Self {
            rule: cause.rule.clone(),
            target: None,
            first,
            runs,
            capsule: None,
            input: None,
            statements: plan.plugs.len() + plan.loads.len() + plan.rules.len(),
            deviations: 0,
            preemptions: 0,
            tried: 0,
            verified: 0,
            plan: plan.to_string(),
            finding: None,
            told: String::new(),
        }
    }

    /// The file that shows it.
    pub fn file(&self) -> Option<&Path> {
        self.capsule.as_deref().or(self.input.as_deref())
    }

    /// What is wrong, in a line.
    pub fn message(&self) -> String {
        let told = || self.told.lines().next().unwrap_or(&self.rule).to_owned();
        self.finding.as_ref().map_or_else(told, |finding| finding.message.clone())
    }

    /// The last events and the threads, or what there is instead.
    pub fn story(&self) -> String {
        let Some(finding) = &self.finding else { return self.told.clone() };
        let threads = finding.threads.iter().map(ThreadState::line);
        finding.events.iter().cloned().chain(threads).collect::<Vec<_>>().join("\n")
    }

    /// The same bug, with what the oracles say of `run`, which showed it.
    #[must_use]
    pub fn seen_in(mut self, mut run: Run) -> Self {
        let verdict = &mut run.verdict;
        self.told =
            match verdict.expectations.iter().find(|held| self.rule == format!("expect {}", held.expect)) {
                Some(held) => held.detail.clone(),
                None => left(&run.outcome).unwrap_or_default(),
            };
        let first = verdict.findings.iter().position(|finding| finding.rule == self.rule);
        self.finding = first.map(|first| verdict.findings.swap_remove(first));
        self
    }

    /// The same bug, with what the oracles say of the run in its capsule, which is done for that.
    #[must_use]
    pub fn witnessed(self, capsule: &Capsule) -> Self {
        let plan = Plan::parse(&capsule.name, &capsule.plan);
        match plan.ok().and_then(|plan| execute::run(&plan, &capsule.schedule, &mut |_| {}).ok()) {
            Some(run) => self.seen_in(run),
            None => self,
        }
    }

    /// How small it was made, and how surely it comes again.
    pub fn size(&self) -> String {
        let Self { statements, deviations, verified, .. } = self;
        // A list may be older than the count of what was tried.
        let tried = self.tried.max(*verified);
        if tried == 0 {
            return "kept as it was found".to_owned();
        }
        format!(
            "{statements} statements, {deviations} deviations of the schedule; {verified} of {tried} runs again the same"
        )
    }

    /// The same bug, made small.
    #[must_use]
    pub fn shrunk(self, small: &Shrunk) -> Self {
        Self {
            statements: small.statements,
            deviations: small.deviations,
            preemptions: small.preemptions,
            tried: small.tried,
            verified: small.verified,
            plan: small.capsule.plan.clone(),
            ..self
        }
    }
}

/// What is left of a kernel that should have gone (`kernel-leak`).
fn left(outcome: &Outcome) -> Option<String> {
    let (threads, references) = (outcome.abandoned, outcome.kernel_references);
    (threads > 0 || references > 0)
        .then(|| format!("{threads} threads and {references} references to the kernel are left"))
}

/// Writes `findings.jsonl`: one line for each bug.
pub fn write_list(folder: &Path, bugs: &[Bug]) -> Result<(), Failure> {
    let lines: Result<Vec<String>, _> = bugs.iter().map(serde_json::to_string).collect();
    let lines = lines.map_err(|error| Failure::host(format_args!("cannot print JSON: {error}")))?;
    write_whole(&folder.join(LIST), &(lines.join("\n") + "\n"))
}

/// The file with one JSON line for each bug.
pub const LIST: &str = "findings.jsonl";

/// Makes a bug small. `stop` ends it early, with what there is then.
pub fn small(failing: &Failing, stop: &AtomicBool) -> Result<Shrunk, String> {
    let begin = Instant::now();
    let limit = |work| match work {
        Work::Shrinking => SHRINK_TIME,
        Work::Verifying => SMALL_TIME,
    };
    let mut over = |work| stop.load(Ordering::Relaxed) || begin.elapsed() > limit(work);
    explore::shrink::shrink(failing, &mut Budget { runs: SHRINK_RUNS, stop: &mut over })
}

/// The bug as it was found, by `run`.
pub fn as_found(failing: &Failing, run: &Run) -> Capsule {
    Capsule::new(&failing.plan, failing.schedule.clone(), Some(failing.cause.clone()), run.outcome.trace_hash)
}

/// A file name for a cause.
pub fn file_name(cause: &Cause) -> String {
    file_with(cause, "capsule")
}

/// A file name for a cause, with this extension.
pub fn file_with(cause: &Cause, extension: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    format!("{}.{extension}", cause.rule.chars().map(plain).take(64).collect::<String>())
}

/// A file name for an input of `target` that shows a cause: a rule such as `hang` means another bug in another target.
pub fn input_name(target: &str, cause: &Cause) -> String {
    file_with(&Cause { rule: format!("{target}-{cause}") }, "input")
}

/// Writes a file whole or not at all: under another name first.
pub fn write_whole(path: &Path, text: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::request(format_args!("cannot write {}: {error}", path.display()));
    let part = path.with_extension("part");
    std::fs::write(&part, text.as_ref()).and_then(|()| std::fs::rename(&part, path)).map_err(|error| {
        // What is left of the attempt is of no use, and may not be there.
        let _ = std::fs::remove_file(&part);
        failed(error)
    })
}

/// What a person reads about a small bug.
pub fn told(cause: &Cause, capsule: &Capsule, path: &Path) -> String {
    let list = match &capsule.schedule {
        Schedule::List { deviations, .. } if deviations.is_empty() => {
            "no deviation: it needs no luck".to_owned()
        }
        schedule => schedule.describe(),
    };
    let plan: String = capsule.plan.lines().map(|line| format!("    {line}\n")).collect();
    format!("{cause}\n{plan}  schedule: {list}\n  again: workgate replay {}\n", path.display())
}
