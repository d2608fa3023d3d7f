//! Keeps what a fuzzer finds: as it was found at once, then made small.

use super::bug::{self, Bug};
use super::live::Live;
use crate::exit::{Failure, Left};
use devices::fault::plan::Plan;
use explore::execute::Run;
use explore::shrink::Failing;
use explore::{Capsule, Cause, Schedule, execute};
use fuzzing::engine::{Found, Listener, Summary, minimize};
use fuzzing::{Target, Trouble};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// Runs and time that making an input small may take.
const MINIMIZE_RUNS: u64 = 5_000;
const MINIMIZE_TIME: Duration = Duration::from_secs(20);

/// Listens to a campaign.
pub struct Keeper<'a> {
    /// The target.
    pub target: Arc<dyn Target>,
    /// Where findings go.
    pub out: &'a Path,
    /// Where inputs go that reach something new.
    pub corpus: Option<&'a Path>,
    /// Bugs are kept as they were found.
    pub as_found: bool,
    /// Nothing is printed on the way.
    pub quiet: bool,
    /// The campaign ends at the first bug.
    pub first_only: bool,
    /// When the campaign has to end.
    pub deadline: Option<Instant>,
    /// Set by Ctrl-C.
    pub stop: &'a AtomicBool,
    /// Tells the campaign to end.
    pub over: &'a AtomicBool,
    /// The display.
    pub live: Live,
    /// What was found.
    pub bugs: BTreeMap<Cause, Bug>,
    /// What could not be kept.
    pub left: Left,
}

impl Listener for Keeper<'_> {
    fn progress(&mut self, summary: &Summary) {
        let due = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let enough = self.first_only && !self.bugs.is_empty();
        if due || enough || self.stop.load(Ordering::Relaxed) || self.left.lacks_something() {
            self.over.store(true, Ordering::Relaxed);
        }
        self.live.tell(summary.runs, || {
            let Summary { features, corpus, findings, .. } = summary;
            format!("{features} features, {corpus} inputs kept, {} findings", findings.len())
        });
    }

    fn kept(&mut self, input: &[u8]) {
        let Some(folder) = self.corpus else { return };
        self.left.note(bug::write_whole(&folder.join(format!("{:016x}", xxh3_64(input))), input));
    }

    fn found(&mut self, found: &Found) {
        let kept = self.keep(found);
        self.left.note(kept);
    }
}

impl Keeper<'_> {
    /// Keeps it and tells it; it is told even if it cannot be kept.
    fn keep(&mut self, found: &Found) -> Result<(), Failure> {
        self.left.note(std::fs::create_dir_all(self.out).map_err(|error| {
            Failure::request(format_args!("cannot write into {}: {error}", self.out.display()))
        }));
        let Trouble { cause, told } = &found.trouble;
        // A plan is a finding only if the simulator breaks the same rule: a hang of the host or a bug of the image alone is kept as bytes.
        let breaks = |(plan, schedule): (Plan, Schedule)| {
            let run = execute::run(&plan, &schedule, &mut |_| {}).ok()?;
            let failing = Failing { plan, schedule, cause: cause.clone() };
            (run.cause.as_ref() == Some(cause)).then_some((failing, run))
        };
        let task = (cause.rule != "hang").then(|| self.target.plan(&found.input)).flatten();
        match task.and_then(breaks) {
            Some((failing, run)) => self.keep_plan(found.number, &failing, run),
            None => self.keep_input(found),
        }
        if !self.quiet {
            let text = text(&self.bugs[cause], told);
            self.live.aside(|| crate::output::print(&text))?;
        }
        Ok(())
    }

    /// A bug that a plan shows, as `run` did: as it was found, then as small as it gets.
    ///
    /// It is listed with its story before it is made small: that may take half a minute, in which the campaign may be killed. The story is that of the run that showed it
    /// anyway; the small one takes a run of its own, behind the many of the shrinker.
    fn keep_plan(&mut self, number: u64, failing: &Failing, run: Run) {
        let path = self.out.join(bug::file_name(&failing.cause));
        let written = self.write_plan(&path, &bug::as_found(failing, &run), &failing.cause);
        let capsule = written.is_ok().then(|| path.clone());
        self.left.note(written);
        let told = Bug {
            capsule,
            target: Some(self.target.name().to_owned()),
            ..Bug::new(&failing.cause, (number, 1), &failing.plan)
        };
        let told = told.seen_in(run);
        self.list(&failing.cause, told.clone());
        if self.as_found || self.stop.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(small) = bug::small(failing, self.stop) {
            let written = self.write_plan(&path, &small.capsule, &failing.cause);
            self.left.note(written);
            self.list(&failing.cause, told.shrunk(&small).witnessed(&small.capsule));
        }
    }

    fn write_plan(&self, path: &Path, capsule: &Capsule, cause: &Cause) -> Result<(), Failure> {
        bug::write_whole(path, &capsule.to_string())?;
        let name = self.target.name();
        let text = format!("# breaks {cause}; found by workgate fuzz {name}\n{}", capsule.plan);
        bug::write_whole(&path.with_extension("plan"), &text)
    }

    /// A bug that only the bytes show.
    fn keep_input(&mut self, found: &Found) {
        let cause = &found.trouble.cause;
        let path = self.out.join(bug::input_name(self.target.name(), cause));
        let written = bug::write_whole(&path, &found.input);
        let kept = written.is_ok().then_some(&*path);
        self.left.note(written);
        self.list(cause, self.of_input(kept, found, &found.input));
        if self.as_found || cause.rule == "hang" {
            return;
        }
        let (begin, mut left) = (Instant::now(), MINIMIZE_RUNS);
        let mut more = || {
            left = left.saturating_sub(1);
            left > 0 && begin.elapsed() < MINIMIZE_TIME && !self.stop.load(Ordering::Relaxed)
        };
        let small = minimize::minimize(&*self.target, &found.input, cause, &mut more);
        self.left.note(bug::write_whole(&path, &small));
        self.list(cause, self.of_input(kept, found, &small));
    }

    /// `found`, with an `input` that shows it.
    fn of_input(&self, path: Option<&Path>, found: &Found, input: &[u8]) -> Bug {
        Bug {
            rule: found.trouble.cause.rule.clone(),
            target: Some(self.target.name().to_owned()),
            first: found.number,
            runs: 1,
            capsule: None,
            input: path.map(Path::to_owned),
            statements: 0,
            deviations: 0,
            preemptions: 0,
            tried: 0,
            verified: 0,
            plan: self.target.describe(input),
            finding: None,
            told: found.trouble.told.clone(),
        }
    }

    /// Files the bug and writes the list anew.
    fn list(&mut self, cause: &Cause, bug: Bug) {
        self.bugs.insert(cause.clone(), bug);
        let written = self.write_list();
        self.left.note(written);
    }

    /// Writes the list of what was found, if anything was.
    pub fn write_list(&self) -> Result<(), Failure> {
        if self.bugs.is_empty() {
            return Ok(());
        }
        bug::write_list(self.out, &self.bugs.values().cloned().collect::<Vec<_>>())
    }
}

/// What a person reads about a bug.
fn text(bug: &Bug, told: &str) -> String {
    let mut out = format!("FOUND {} in run {}", bug.rule, bug.first);
    if bug.tried > 0 {
        out += &format!("; made small: {}", bug.size());
    }
    out.push('\n');
    out.extend(bug.plan.lines().map(|line| format!("    {line}\n")));
    let again = |path: &PathBuf| format!("  again: workgate replay {}\n", path.display());
    match (&bug.capsule, &bug.input, &bug.target) {
        (Some(capsule), ..) => out += &again(capsule),
        (None, Some(input), Some(target)) => {
            out.extend(told.lines().map(|line| format!("  | {line}\n")));
            out += &format!("  again: workgate fuzz {target} --input {}\n", input.display());
        }
        _ => {}
    }
    out
}
