//! `workgate explore`: many schedules of a plan, or its removals, on all cores.

mod told;

use super::bug::{self, Bug};
use super::fuzz::{Account, account as account_for};
use super::live::Live;
use crate::cli::{ChooserChoice, ExploreArgs};
use crate::exit::{Exit, Failure, Left};
use crate::report::Campaign;
use devices::fault::plan::Plan;
use explore::campaign::{self, Changes, Options, Random, Sampled, Summary, Tasks};
use explore::execute;
use explore::exhaustive::Exhaustive;
use explore::matrix::{Matrix, Placed};
use explore::removal::{Company, Injection, Removals, Wanted, Way};
use explore::shrink::Failing;
use explore::teardown::Item;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use told::{facts, human, text};

/// How long an exploration without end goes on if nothing is said.
const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// Schedules that an exhaustive exploration may have without being asked for them.
const MANY: u64 = 200_000;
/// Host seconds from which on they are announced.
const WORTH_SAYING: f64 = 5.0;
/// Events that all removals together may bring without being asked for them: half an hour or so of one processor.
const MANY_EVENTS: u64 = 4_000_000_000;

/// What is to be run.
enum Work {
    Random(Random),
    Pct(Changes),
    Pos(Sampled),
    Exhaustive(Exhaustive),
    Removal(Removals),
}

impl Work {
    fn tasks(&self) -> &dyn Tasks {
        match self {
            Work::Random(tasks) => tasks,
            Work::Pct(tasks) => tasks,
            Work::Pos(tasks) => tasks,
            Work::Exhaustive(tasks) => tasks,
            Work::Removal(tasks) => tasks,
        }
    }
}

/// The `--json` document.
#[derive(Serialize)]
struct Document {
    plan: String,
    how: String,
    shard: String,
    runs: u64,
    events: u64,
    traces: u64,
    states: u64,
    findings: Vec<Bug>,
    exercised: Vec<Item>,
    matrices: BTreeMap<String, Vec<Placed>>,
}

/// Explores a plan.
pub fn explore(args: &ExploreArgs) -> Result<Exit, Failure> {
    let plan = crate::load::plan(&args.plan, &args.script)?;
    let work = work(&plan, args)?;
    let stop = stopper()?;
    let end =
        args.time.or((work.tasks().count().is_none() && args.schedules.is_none()).then_some(DEFAULT_TIME));
    let runs = runs(&work, args, end)?;
    let how = describe(&work, &plan, args, runs, end)?;
    if !args.json {
        crate::output::print(&how)?;
    }
    let mut matrices: BTreeMap<String, Matrix> = BTreeMap::new();
    let begin = Instant::now();
    let summary = campaign(&work, args, runs, end, &stop, &mut matrices);
    let took = begin.elapsed();
    if let Some(trouble) = summary.trouble {
        return Err(Failure::request(trouble));
    }
    let exercised = summary.teardown.items(&plan);
    let mut left = Left::default();
    let bugs = keep(&work, args, &summary, &stop, &mut left)?;
    if let Some(file) = &args.lcov {
        left.note(super::lcov::write(file, &exercised));
    }
    let shard = format!("{}/{}", args.shard.0, args.shard.1);
    let account = Account {
        what: plan.name.clone(),
        shard: shard.clone(),
        runs: summary.runs,
        features: summary.states,
        findings: bugs.len() as u64,
    };
    left.note(account_for(&args.out, &bugs, &account));
    let is_stopped = stop.load(Ordering::Relaxed);
    let document = Document {
        plan: plan.name.clone(),
        how: how.trim_end().to_owned(),
        shard,
        runs: summary.runs,
        events: summary.events,
        traces: summary.traces,
        states: summary.states,
        findings: bugs.clone(),
        exercised,
        matrices: matrices.iter().map(|(device, matrix)| (device.clone(), matrix.cells())).collect(),
    };
    let mut report = Campaign {
        kind: "explore",
        what: plan.name.clone(),
        how: document.how.clone(),
        facts: facts(&document, args.jobs(), took, is_stopped),
        took: Some(took),
        bugs: &bugs,
        matrices,
        exercised: &document.exercised,
        plan: plan.to_string(),
        options: String::new(),
        has_files: args.report.is_some(),
    };
    match args.json {
        true => crate::output::println(&crate::run::to_json(&document)?)?,
        false => {
            crate::output::print(&text(&summary, &report.matrices, &document.exercised, &bugs, is_stopped))?
        }
    }
    left.note(publish(args, &document, &mut report));
    left.told()?;
    Ok(if bugs.is_empty() { Exit::Held } else { Exit::Found })
}

/// Writes the pages that are asked for.
fn publish(args: &ExploreArgs, document: &Document, report: &mut Campaign<'_>) -> Result<(), Failure> {
    let mut left = Left::default();
    if let Some(folder) = &args.report {
        left.note(report.write(folder, document));
    }
    if let Some(file) = &args.html {
        report.has_files = false;
        left.note(bug::write_whole(file, &report.page()));
    }
    left.told()
}

fn work(plan: &Plan, args: &ExploreArgs) -> Result<Work, Failure> {
    let depth = args.depth;
    Ok(if args.removal.is_some() {
        let (every, pairs, eject) = (args.every, args.pairs, args.eject);
        let wanted = Wanted { every, pairs, eject, horizon: args.horizon };
        Work::Removal(Removals::new(plan, wanted).map_err(Failure::request)?)
    } else {
        match args.chooser {
            ChooserChoice::Random => Work::Random(Random(plan.clone())),
            ChooserChoice::Pct => {
                let reference = explore::run(plan, &explore::Schedule::Plain, &mut |_| {});
                let horizon = reference.map_err(Failure::request)?.outcome.virtual_time;
                Work::Pct(Changes { plan: plan.clone(), depth, horizon })
            }
            ChooserChoice::Pos => Work::Pos(Sampled(plan.clone())),
            ChooserChoice::Exhaustive => {
                Work::Exhaustive(Exhaustive::new(plan, depth).map_err(Failure::request)?)
            }
        }
    })
}

/// How many runs; a request too large to finish is refused with its size, before it begins.
fn runs(work: &Work, args: &ExploreArgs, end: Option<Duration>) -> Result<Option<u64>, Failure> {
    let all =
        work.tasks().count().map(|all| all / args.shard.1 + u64::from(all % args.shard.1 > args.shard.0));
    if let (Some(all), None, None) = (all, args.schedules, end) {
        let (many, smaller) = match work {
            Work::Removal(removals) => (
                removals.work / args.shard.1 > MANY_EVENTS,
                "with a shorter --horizon, without --every or --pairs",
            ),
            _ => (false, "with a smaller --depth"),
        };
        if many || all > MANY {
            return Err(Failure::request(format_args!(
                "{all} runs would take about {}; bound them with --schedules N or --time T, {smaller}, or with a plan that runs for a shorter \
                 time",
                human(seconds(work, args, all)?)
            )));
        }
    }
    Ok(match (args.schedules, all) {
        (Some(asked), Some(all)) => Some(asked.min(all)),
        (asked, all) => asked.or(all),
    })
}

/// Runs by which the time of all is guessed: those behind a removal in midst of the work take many times as long as those before it.
const SAMPLES: u64 = 5;

/// How long so many of the runs take, more or less: as long as some from all over the work, on the average.
fn seconds(work: &Work, args: &ExploreArgs, runs: u64) -> Result<f64, Failure> {
    let all = work.tasks().count().unwrap_or(1);
    let begin = Instant::now();
    for sample in 0..SAMPLES {
        let task = work.tasks().task((2 * sample + 1) * (all / (2 * SAMPLES)));
        explore::run(&task.plan, &task.schedule, &mut |_| {}).map_err(Failure::request)?;
    }
    Ok(begin.elapsed().as_secs_f64() / SAMPLES as f64 * runs as f64 / args.jobs() as f64)
}

fn describe(
    work: &Work,
    plan: &Plan,
    args: &ExploreArgs,
    runs: Option<u64>,
    end: Option<Duration>,
) -> Result<String, Failure> {
    let what = match work {
        Work::Random(_) => "random schedules".to_owned(),
        Work::Pos(_) => "schedules by partial order sampling".to_owned(),
        Work::Pct(tasks) => format!("PCT schedules of depth 1 to {}", tasks.depth),
        Work::Exhaustive(tasks) => {
            let depth = args.depth;
            format!("all schedules with at most {depth} of {} deviations", tasks.singles())
        }
        Work::Removal(removals) => format!(
            "removal at {} of {} events in the first {} of the reference run{}",
            alone(removals),
            removals.events,
            verdict::time(removals.horizon),
            match (args.eject, args.pairs) {
                (false, false) => "",
                (false, true) => ", alone and in company",
                (true, false) => ", by surprise and in order",
                (true, true) => ", by surprise and in order, alone and in company",
            },
        ),
    };
    let bound = match (runs, end) {
        (Some(runs), _) => format!(", {runs} runs"),
        (None, Some(end)) => format!(", for {} s", end.as_secs()),
        (None, None) => String::new(),
    };
    let long = match (work, runs) {
        (Work::Removal(removals), Some(runs)) if !removals.injections.is_empty() => {
            Some(seconds(work, args, runs)?).filter(|seconds| *seconds >= WORTH_SAYING)
        }
        _ => None,
    };
    let long = long.map_or_else(String::new, |seconds| format!(", about {}", human(seconds)));
    Ok(format!("{}: {what}{bound}, {} jobs{long}\n", plan.name, args.jobs()))
}

/// Events at which a card goes.
fn alone(removals: &Removals) -> usize {
    let alone = |i: &&Injection| i.company == Company::Alone && i.way == Way::Surprise;
    removals.injections.iter().filter(alone).count()
}

/// Runs the campaign; ends it when its time is over.
fn campaign(
    work: &Work,
    args: &ExploreArgs,
    runs: Option<u64>,
    end: Option<Duration>,
    stop: &AtomicBool,
    matrices: &mut BTreeMap<String, Matrix>,
) -> Summary {
    let over = AtomicBool::new(false);
    let live = Live::new(runs, args.json);
    let begin = Instant::now();
    let options = Options {
        runs,
        jobs: args.jobs(),
        shard: args.shard,
        first_only: !args.keep_going && !matches!(work, Work::Removal(_)),
        stop: &over,
    };
    let summary = campaign::run(work.tasks(), &options, &mut |result, summary| {
        if stop.load(Ordering::Relaxed) || end.is_some_and(|end| begin.elapsed() >= end) {
            over.store(true, Ordering::Relaxed);
        }
        if let (Work::Removal(removals), Some(phase)) = (work, result.removed_in) {
            let injection = &removals.injections[result.number as usize];
            let matrix = matrices.entry(injection.device.clone()).or_default();
            matrix.add(phase, &injection.site, result.cause.is_some());
        }
        live.show(summary);
    });
    live.finish();
    summary
}

/// Makes each bug small and writes its capsule. What cannot be written is told all the same.
fn keep(
    work: &Work,
    args: &ExploreArgs,
    summary: &Summary,
    stop: &AtomicBool,
    left: &mut Left,
) -> Result<Vec<Bug>, Failure> {
    let mut bugs = Vec::new();
    if summary.findings.is_empty() {
        return Ok(bugs);
    }
    let failed = |error: std::io::Error| {
        Failure::request(format_args!("cannot write into {}: {error}", args.out.display()))
    };
    left.note(std::fs::create_dir_all(&args.out).map_err(failed));
    for (cause, (first, runs)) in &summary.findings {
        let task = work.tasks().task(*first);
        let failing = Failing { plan: task.plan, schedule: task.schedule, cause: cause.clone() };
        let path = args.out.join(bug::file_name(cause));
        // The bug is kept before it is made small, which may be interrupted.
        let run = execute::run(&failing.plan, &failing.schedule, &mut |_| {}).map_err(Failure::host)?;
        let written = bug::write_whole(&path, &bug::as_found(&failing, &run).to_string());
        let capsule = written.is_ok().then(|| path.clone());
        left.note(written);
        let told = Bug { capsule, ..Bug::new(cause, (*first, *runs), &failing.plan) };
        let small = (!args.no_shrink).then(|| bug::small(&failing, stop)).and_then(Result::ok);
        bugs.push(match small {
            Some(small) => {
                left.note(bug::write_whole(&path, &small.capsule.to_string()));
                told.shrunk(&small).witnessed(&small.capsule)
            }
            None => told.seen_in(run),
        });
    }
    left.note(bug::write_list(&args.out, &bugs));
    Ok(bugs)
}

/// True once the user has pressed Ctrl-C; what was found until then is kept.
pub fn stopper() -> Result<Arc<AtomicBool>, Failure> {
    stopper_with(|| {})
}

/// The same, with somebody who is told.
pub fn stopper_with(tell: impl Fn() + Send + 'static) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let own = stop.clone();
    ctrlc::set_handler(move || {
        // The second time the user means it.
        if own.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        tell();
    })
    .map_err(|error| Failure::host(format_args!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}
