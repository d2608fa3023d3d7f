//! `workgate fuzz`: bytes that mean plans, schedules or accesses, until something breaks.

use super::bug::{self, Bug};
use super::keeper::Keeper;
use super::{kvm_image, libfuzzer, live::Live};
use crate::cli::{Engine, FuzzArgs};
use crate::exit::{Exit, Failure, Left, hint};
use crate::report::{Campaign, quoted, rate, seconds};
use devices::catalogue;
use devices::fault::plan::Plan;
use explore::Cause;
use fuzzing::Target;
use fuzzing::engine::{self, Listener, Options, Summary};
use fuzzing::targets::{self, Setting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a campaign without end goes on if nothing is said.
const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// Files of a corpus that are read.
const MAX_FILES: usize = 1 << 17;
/// The file that says what a campaign did; every campaign leaves one, whether it found something or not.
pub const SUMMARY: &str = "summary.json";

/// What a campaign did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The target, or the plan.
    pub what: String,
    /// This part of so many.
    pub shard: String,
    /// Runs that ended.
    pub runs: u64,
    /// Features or states reached.
    pub features: u64,
    /// Causes found.
    pub findings: u64,
}

/// The `--json` document.
#[derive(Serialize)]
struct Document {
    target: String,
    shard: String,
    seed: u64,
    runs: u64,
    features: u64,
    corpus: u64,
    hung: bool,
    findings: Vec<Bug>,
}

/// Fuzzes a target.
pub fn fuzz(args: &FuzzArgs) -> Result<Exit, Failure> {
    let setting = setting(args)?;
    let target: Arc<dyn Target> = Arc::from(target(args, &setting)?);
    if let Some(path) = &args.input {
        return one(&*target, path);
    }
    let more = args.corpus.as_deref().map_or(Ok(Vec::new()), |folder| corpus(folder, target.most()))?;
    let stop = super::explore::stopper()?;
    let end = args.time.or(args.runs.is_none().then_some(DEFAULT_TIME));
    if !args.json {
        crate::output::print(&describe(&*target, args, end))?;
    }
    let over = AtomicBool::new(false);
    let begin = Instant::now();
    let mut keeper = Keeper {
        target: target.clone(),
        out: &args.out,
        corpus: args.corpus.as_deref(),
        as_found: args.no_shrink,
        quiet: args.json,
        first_only: args.first,
        deadline: end.map(|end| Instant::now() + end),
        stop: &stop,
        over: &over,
        live: Live::new(args.runs, args.json),
        bugs: BTreeMap::new(),
        left: Left::default(),
    };
    let summary = match args.engine {
        Engine::Own => {
            let options = Options {
                runs: args.runs,
                jobs: args.jobs(),
                shard: args.shard,
                seed: args.seed,
                patience: args.patience,
                stop: &over,
            };
            engine::fuzz(&target, more, &options, &mut keeper)
        }
        Engine::Libfuzzer => libfuzzer::run(args, &target, &setting, end, &mut keeper)?,
    };
    keeper.live.finish();
    finish(keeper, args, &summary, &setting, (begin.elapsed(), stop.load(Ordering::Relaxed)))
}

/// Writes and tells what came of it.
fn finish(
    mut keeper: Keeper<'_>,
    args: &FuzzArgs,
    summary: &Summary,
    setting: &Setting,
    (took, stopped): (Duration, bool),
) -> Result<Exit, Failure> {
    let mut left = std::mem::take(&mut keeper.left);
    for (cause, (first, runs)) in &summary.findings {
        if let Some(bug) = keeper.bugs.get_mut(cause) {
            (bug.first, bug.runs) = (*first, *runs);
        }
    }
    left.note(keeper.write_list());
    let bugs: Vec<Bug> = keeper.bugs.values().cloned().collect();
    let done = Account {
        what: args.target.clone(),
        shard: format!("{}/{}", args.shard.0, args.shard.1),
        runs: summary.runs,
        features: summary.features,
        findings: bugs.len() as u64,
    };
    left.note(account(&args.out, &bugs, &done));
    let document = Document {
        target: args.target.clone(),
        shard: format!("{}/{}", args.shard.0, args.shard.1),
        seed: args.seed,
        runs: summary.runs,
        features: summary.features,
        corpus: summary.corpus,
        hung: summary.hung,
        findings: bugs.clone(),
    };
    if let Some(folder) = &args.report {
        let report = report(&*keeper.target, args, &document, setting, (took, stopped));
        left.note(report.write(folder, &document));
    }
    if args.json {
        crate::output::println(&crate::run::to_json(&document)?)?;
    } else {
        let Summary { runs, features, corpus, hung, .. } = summary;
        let how = match (stopped, hung) {
            (_, true) => " (an input did not end)",
            (true, _) => " (stopped)",
            _ => "",
        };
        let mut text = format!("{runs} runs{how}, {features} features, {corpus} inputs kept\n");
        text.extend(bugs.iter().map(|bug| format!("{}: {} run(s)\n", bug.rule, bug.runs)));
        text += &format!("verdict: {}\n", if bugs.is_empty() { "nothing found" } else { "FAIL" });
        crate::output::print(&text)?;
    }
    left.told()?;
    Ok(if bugs.is_empty() { Exit::Held } else { Exit::Found })
}

/// What the report tells. `took` has the time in which bugs were made small, too: that is done as they are found.
fn report<'a>(
    target: &dyn Target,
    args: &FuzzArgs,
    document: &'a Document,
    setting: &Setting,
    (took, stopped): (Duration, bool),
) -> Campaign<'a> {
    let Document { shard, seed, runs, features, corpus, hung, findings, .. } = document;
    let how = match (stopped, hung) {
        (_, true) => " (an input did not end)",
        (true, _) => " (stopped)",
        _ => "",
    };
    let plan = setting.plan.as_ref().map(Plan::to_string).unwrap_or_default();
    let drivers = setting.drivers.iter().map(|(device, driver)| quoted(&format!("{device}={driver}")));
    let mut options: String = drivers.map(|driver| format!(" --driver {driver}")).collect();
    if !plan.is_empty() {
        options += " --plan run.plan";
    }
    Campaign {
        kind: "fuzz",
        what: args.target.clone(),
        how: target.about().to_owned(),
        facts: vec![
            ("runs", format!("{runs}{how}")),
            ("part of the work", shard.clone()),
            ("seed", seed.to_string()),
            ("features reached", features.to_string()),
            ("inputs kept", corpus.to_string()),
            ("host time", seconds(took)),
            ("runs a second", rate(*runs, took)),
            ("jobs", args.jobs().to_string()),
        ],
        took: Some(took),
        bugs: findings,
        matrices: BTreeMap::new(),
        exercised: &[],
        plan,
        options,
        has_files: true,
    }
}

/// Leaves the account of a campaign, where there is a folder: one that found nothing and is no shard makes none.
pub fn account(out: &Path, bugs: &[Bug], account: &Account) -> Result<(), Failure> {
    if bugs.is_empty() && account.shard == "0/1" {
        return Ok(());
    }
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::request(format_args!("cannot write into {}: {error}", out.display())))?;
    bug::write_whole(&out.join(SUMMARY), &(crate::run::to_json(account)? + "\n"))
}

/// What the user says about the target.
fn setting(args: &FuzzArgs) -> Result<Setting, Failure> {
    let plan = args.plan.as_deref().map(|path| crate::load::plan(path, &args.script)).transpose()?;
    for (device, driver) in &args.driver {
        check_driver(device, driver, plan.as_ref())?;
    }
    Ok(Setting { plan, drivers: args.driver.clone() })
}

/// The target, with that.
fn target(args: &FuzzArgs, setting: &Setting) -> Result<Box<dyn Target>, Failure> {
    let known = || targets::names().chain([kvm_image::NAME]);
    match args.target.as_str() {
        kvm_image::NAME => Ok(Box::new(kvm_image::KvmImage::new(setting)?)),
        name if known().any(|known| known == name) => {
            targets::of(name, setting.clone()).map_err(Failure::request)
        }
        name => Err(Failure::request(format_args!(
            "there is no target `{name}`; expected one of {}{}",
            known().collect::<Vec<_>>().join(", "),
            hint(name, known())
        ))),
    }
}

/// A driver that no device could have would quietly test the right one.
pub fn check_driver(device: &str, driver: &str, plan: Option<&Plan>) -> Result<(), Failure> {
    let named = plan.and_then(|plan| plan.plug_named(device)).map(|plug| plug.model.as_str());
    // The names that inputs make up: `edu0`, `disk1`, `daq2`.
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let made_up = plan.is_none().then_some(if stem == "disk" { "virtio-blk" } else { stem });
    let model = catalogue::model(device).or_else(|| catalogue::model(named.or(made_up)?));
    let Some(model) = model else {
        let models: Vec<_> = catalogue::catalogue().iter().map(|model| model.word).collect();
        return Err(Failure::request(format_args!(
            "--driver {device}={driver}: there is no device or model `{device}`; expected a device of the plan, or one of {}{}",
            models.join(", "),
            hint(
                device,
                models
                    .iter()
                    .copied()
                    .chain(plan.iter().flat_map(|plan| plan.plugs.iter().map(|plug| &*plug.name)))
            )
        )));
    };
    let name = if catalogue::model(device).is_some() { "device" } else { device };
    let (above, place) = match (model.is_usb(), model.is_firewire()) {
        (true, _) => ("plug above xhci slot=1\n", "on=above port=1"),
        (_, true) => ("plug above ohci slot=1\n", "on=above port=1"),
        _ => ("", "slot=1"),
    };
    let plan = format!("{above}plug {name} {} {place} driver={driver}\n", model.word);
    crate::load::parse("--driver", &plan).map(drop)
}

/// Runs one input.
fn one(target: &dyn Target, path: &Path) -> Result<Exit, Failure> {
    let input = crate::load::bytes("input", path)?;
    crate::output::print(&target.describe(&input))?;
    match engine::attempt(target, &input).1 {
        None => crate::output::print("verdict: nothing found\n").map(|()| Exit::Held),
        Some(trouble) => {
            crate::output::print(&format!("{}FOUND {}\nverdict: FAIL\n", trouble.told, trouble.cause))?;
            Ok(Exit::Found)
        }
    }
}

/// The inputs of a folder, in order of names; an empty one if it is not there yet.
fn corpus(folder: &Path, most: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::request(format_args!("cannot use the corpus {}: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // What an interrupted campaign left half-written is no input.
        if path.is_file() && path.extension().is_none_or(|extension| extension != "part") {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        return Err(Failure::request(format_args!(
            "{} holds {} files; expected a corpus, at most {MAX_FILES}",
            folder.display(),
            paths.len()
        )));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let mut bytes = crate::load::bytes("input", path)?;
            bytes.truncate(most);
            Ok(bytes)
        })
        .collect()
}

fn describe(target: &dyn Target, args: &FuzzArgs, end: Option<Duration>) -> String {
    let bound = match (args.runs, end) {
        (Some(runs), _) => format!("{runs} runs"),
        (None, Some(end)) => format!("for {} s", end.as_secs()),
        (None, None) => String::new(),
    };
    format!("{}: {}; {bound}, {} jobs\n", target.name(), target.about(), args.jobs())
}

/// An input of another engine, as this one tells it.
pub fn foreign(
    target: &dyn Target,
    number: u64,
    input: Vec<u8>,
    summary: &mut Summary,
    listener: &mut dyn Listener,
) {
    let (features, trouble) = engine::attempt(target, &input);
    summary.features += features.len() as u64;
    let Some(trouble) = trouble else { return };
    let cause: Cause = trouble.cause.clone();
    let (_, runs) = summary.findings.entry(cause).or_insert((number, 0));
    *runs += 1;
    if *runs == 1 {
        listener.found(&engine::Found { number, input, trouble });
    }
}
