//! Several plans, one after the other: a line for each, and how many held.

use super::{Guest, Recorder, Report, exit, image_needs_kvm, on_machine, to_json};
use crate::cli::RunArgs;
use crate::exit::{Exit, Failure, Left};
use crate::machine;
use devices::fault::plan::Plan;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use verdict::{Ended, Verdict};

/// How a plan ended, beside what is wanted of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "why", rename_all = "kebab-case")]
enum Outcome {
    /// Everything held.
    Held,
    /// It broke the rule that it is there to show (`# finds: RULE`).
    FoundAsSaid(String),
    /// A bug was found, or the one that it is there to show was not.
    Failed(String),
    /// It did not run to its end, or not on this machine.
    NotRun(String),
}

impl Outcome {
    fn of(plan: &Plan, verdict: &Verdict) -> Self {
        match (exit(verdict), plan.finds()) {
            (Exit::Held, None) => Self::Held,
            (Exit::Held, Some(rule)) => Self::Failed(format!("{rule} was not found")),
            (Exit::Found, Some(rule)) if broke(verdict, rule) => Self::FoundAsSaid(rule.to_owned()),
            (Exit::Found, _) => Self::Failed(reason(verdict)),
            (Exit::Request | Exit::Host, _) => Self::NotRun(reason(verdict)),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::FoundAsSaid(_) => "found",
            Self::Failed(_) => "FAILED",
            Self::NotRun(_) => "NOT RUN",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Held => "",
            Self::FoundAsSaid(why) | Self::Failed(why) | Self::NotRun(why) => why,
        }
    }
}

/// The run broke this rule; others that it broke may follow from that.
fn broke(verdict: &Verdict, rule: &str) -> bool {
    verdict.findings.iter().any(|finding| finding.rule == rule)
}

/// The first thing that is wrong.
fn reason(verdict: &Verdict) -> String {
    if let Some(finding) = verdict.findings.first() {
        return format!("{}: {}", finding.rule, finding.message);
    }
    match &verdict.ended {
        Ended::Done => match verdict.expectations.iter().find(|expectation| !expectation.held) {
            Some(missed) => format!("{}: {}", missed.expect, missed.detail),
            None => "the requests do not add up".to_owned(),
        },
        Ended::Panic(why) | Ended::Hang(why) | Ended::Bad(why) | Ended::HostDefect(why) => why.clone(),
        Ended::Quit => "it was ended from outside".to_owned(),
    }
}

/// One plan of the `--json` document.
#[derive(Debug, Serialize)]
struct Done {
    plan: String,
    #[serde(flatten)]
    outcome: Outcome,
    /// Absent if it was not run.
    report: Option<Report>,
}

/// The `--json` document.
#[derive(Debug, Serialize)]
struct Document {
    /// Plans that ended as they should.
    good: usize,
    plans: Vec<Done>,
}

/// Reads and checks all plans before the first runs; then runs each, whatever became of those before it.
pub(super) fn run(args: &RunArgs, paths: &[PathBuf]) -> Result<Exit, Failure> {
    for_one(args)?;
    let plans =
        paths.iter().map(|path| crate::load::plan(path, &args.script)).collect::<Result<Vec<_>, _>>()?;
    let folders = folders(args.report.as_deref(), paths)?;
    let image = args.image.as_deref().map(|path| crate::load::bytes("image", path)).transpose()?;
    let needs = image_needs_kvm(image.as_deref()).or(args.debug.needs_kvm());
    let chosen = machine::choose(args.machine, needs, args.slow_down)?;
    let say = |text: &str| if args.json { Ok(()) } else { crate::output::println(text) };
    say(&chosen.why)?;
    let (mut done, mut left) = (Vec::new(), Left::default());
    for (plan, folder) in plans.iter().zip(folders) {
        let mut places = super::places(args, plan, folder.as_deref(), &chosen)?;
        let mut recorder = Recorder::new(&places)?;
        let image = image.as_deref().unwrap_or(guest_image::IMAGE);
        let guest =
            Guest { image, core: places.core.take(), debugger: None, console: places.console.as_ref() };
        let (outcome, ran) = match on_machine(plan, &chosen, guest, args, &mut recorder, None) {
            Ok((report, core)) => (Outcome::of(plan, &report.verdict), Some((report, core))),
            Err(failure) => (Outcome::NotRun(failure.message), None),
        };
        say(&line(&plan.name, &outcome, ran.as_ref().map(|(report, _)| report)))?;
        if let Some((report, core)) = &ran {
            left.note(recorder.finish(report));
            left.note(places.leave(super::line(report), core.as_ref(), |_| Ok(())));
        }
        let report = ran.map(|(report, _)| report);
        // Of many plans, the whole stories are kept only for whoever asked for them.
        done.push(Done { plan: plan.name.clone(), outcome, report: report.filter(|_| args.json) });
    }
    let status = status(&done);
    if args.json {
        let good = done.iter().filter(|plan| is_good(&plan.outcome)).count();
        crate::output::println(&to_json(&Document { good, plans: done })?)?;
    } else {
        say(&summary(&done))?;
    }
    left.told()?;
    Ok(status)
}

/// What belongs to one machine, and cannot be shared by several.
fn for_one(args: &RunArgs) -> Result<(), Failure> {
    let of_one = [
        ("--control", args.control.control.is_some()),
        ("--gdb", args.debug.gdb.is_some()),
        ("--lcov", args.lcov.is_some()),
        ("--console", args.console.console.is_some()),
        // A folder has room for several.
        ("--core", args.debug.core.as_ref().is_some_and(|path| !path.is_dir())),
    ];
    match of_one.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Failure::request(format_args!(
            "`{option}` goes with one plan, and {} were given",
            args.plans.len()
        ))),
        None => Ok(()),
    }
}

/// A folder for each plan, named after its file.
fn folders(report: Option<&Path>, paths: &[PathBuf]) -> Result<Vec<Option<PathBuf>>, Failure> {
    let Some(report) = report else { return Ok(vec![None; paths.len()]) };
    let mut taken = BTreeSet::new();
    let folder = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_owned();
        if !taken.insert(name.clone()) {
            return Err(Failure::request(format_args!(
                "two of the plans are called {}: `--report` has a folder for each name",
                name.display()
            )));
        }
        Ok(Some(report.join(name)))
    };
    paths.iter().map(folder).collect()
}

fn is_good(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Held | Outcome::FoundAsSaid(_))
}

/// A bug outweighs what could not be run.
fn status(done: &[Done]) -> Exit {
    let any = |is: fn(&Outcome) -> bool| done.iter().any(|plan| is(&plan.outcome));
    if any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        Exit::Found
    } else if any(|outcome| matches!(outcome, Outcome::NotRun(_))) {
        Exit::Host
    } else {
        Exit::Held
    }
}

fn line(name: &str, outcome: &Outcome, report: Option<&Report>) -> String {
    let mut line = format!("{:<8} {name}", outcome.word());
    if let Some(report) = report {
        line.push_str(&format!("  ({} events in {:.1} ms)", report.events, report.machine_time as f64 / 1e6));
    }
    if !outcome.why().is_empty() {
        line.push_str(&format!("  {}", outcome.why()));
    }
    line
}

fn summary(done: &[Done]) -> String {
    let count = |word: &str| done.iter().filter(|plan| plan.outcome.word() == word).count();
    let mut text = format!(
        "{} plans: {} held, {} found what they are there to show, {} failed",
        done.len(),
        count("held"),
        count("found"),
        count("FAILED")
    );
    match count("NOT RUN") {
        0 => {}
        not_run => text.push_str(&format!(", {not_run} not run")),
    }
    text
}
