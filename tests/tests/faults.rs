//! Every fault of the plan language in the simulator: correct drivers bear it, what goes wrong all the same is explained by it, and the
//! same seed gives the same run.
#![forbid(unsafe_code)]

use devices::fault::plan::{Plan, words};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use verdict::{Ended, Verdict, Verifier};

/// Seeds for each plan.
const SEEDS: u64 = 16;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The plans of faults, by the word of the fault.
fn plans() -> BTreeMap<String, Plan> {
    let folder = root().join("tests/scenarios");
    let mut plans = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the scenarios") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if let Some(word) = name.strip_prefix("fault-") {
            plans.insert(word.to_owned(), parse(&name, &std::fs::read_to_string(&path).expect("a plan")));
        }
    }
    plans
}

fn parse(name: &str, text: &str) -> Plan {
    Plan::parse(name, text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

struct Run {
    verdict: Verdict,
    hash: u64,
    console: Vec<String>,
}

fn run(plan: &Plan, seed: u64) -> Run {
    let mut verifier = Verifier::new(plan);
    let outcome = sim::run(plan, seed, &mut |event| verifier.event(event)).expect("a machine");
    let ended = match outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panic(message),
        sim::Ended::Deadlock => Ended::Hang("deadlock".to_owned()),
        sim::Ended::Stuck { reason } => Ended::Hang(reason),
    };
    assert_eq!(outcome.abandoned, 0, "{} seed {seed}", plan.name);
    assert_eq!(outcome.kernel_references, 0, "{} seed {seed}", plan.name);
    Run { verdict: verifier.finish(ended), hash: outcome.trace_hash, console: outcome.console }
}

/// The words of what the plan did in the run.
fn done(verdict: &Verdict) -> BTreeSet<&str> {
    verdict.faults.iter().map(|(_, _, word)| word.as_str()).collect()
}

fn passes(plan: &Plan, seed: u64) -> Run {
    let run = run(plan, seed);
    let shown = verdict::render(&run.verdict);
    assert!(run.verdict.passed, "{} seed {seed}\n{shown}\n{}", plan.name, run.console.join("\n"));
    run
}

#[test]
fn every_fault_has_its_plan() {
    let plans = plans();
    let older = ["unplug", "eject", "replug", "plug", "storm"];
    for word in words::ACTIONS.iter().filter(|word| !older.contains(word)) {
        let plan = plans.get(*word).unwrap_or_else(|| panic!("no tests/scenarios/fault-{word}.plan"));
        assert!(plan.rules.iter().any(|rule| rule.action.word() == *word), "{word}");
    }
}

#[test]
fn correct_drivers_bear_every_fault_under_every_seed() {
    for (word, plan) in plans() {
        let mut happened = 0;
        for seed in 1..=SEEDS {
            happened += u64::from(done(&passes(&plan, seed).verdict).contains(word.as_str()));
        }
        // Under some schedules a trigger may not come up; that must be the exception.
        assert!(happened * 4 >= SEEDS * 3, "{word} happened in {happened} of {SEEDS} runs");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for (word, plan) in plans() {
        for seed in [3, 11] {
            let (first, again) = (run(&plan, seed), run(&plan, seed));
            assert_eq!(first.hash, again.hash, "{word} seed {seed}");
            assert_eq!(first.verdict, again.verdict, "{word} seed {seed}");
        }
        assert_ne!(run(&plan, 3).hash, run(&plan, 4).hash, "{word}");
    }
}

#[test]
fn wrong_data_is_explained_where_the_hardware_lied() {
    let mut explained = BTreeMap::new();
    for (word, plan) in plans() {
        let counts = (1..=SEEDS).map(|seed| {
            run(&plan, seed)
                .verdict
                .io
                .values()
                .map(|io| io.error_explained + io.corrupt_explained)
                .sum::<u64>()
        });
        explained.insert(word, counts.sum::<u64>());
    }
    for word in ["corrupt", "short-dma", "late-dma", "freeze"] {
        assert!(explained[word] > 0, "{word}: {explained:?}");
    }
    // A driver has no excuse for these.
    for word in ["spurious", "drop", "delay", "duplicate", "stick", "mute", "race", "preempt", "kill"] {
        assert_eq!(explained.get(word).copied().unwrap_or_default(), 0, "{word}");
    }
}

#[test]
fn the_examples_of_the_documentation_run() {
    let page = std::fs::read_to_string(root().join("docs/plans.md")).expect("the page");
    let examples = page.split("```plan\n").skip(1).map(|part| part.split("```").next().unwrap_or(""));
    let mut seen = 0;
    for (number, example) in examples.enumerate() {
        // Files of the host are for KVM, and a driver that is broken on purpose is not to pass.
        if example.contains("file=") || example.contains("driver=") || !example.contains("plug ") {
            continue;
        }
        let plan = parse(&format!("docs/plans.md, example {}", number + 1), example);
        let run = run(&plan, 1);
        let shown = verdict::render(&run.verdict);
        assert_eq!(run.verdict.findings_total, 0, "{}\n{example}\n{shown}", plan.name);
        assert_eq!(run.verdict.ended, Ended::Done, "{}", plan.name);
        seen += 1;
    }
    assert!(seen > 25, "only {seen} examples");
}
