//! Every scenario in the simulator, under many seeds: correct drivers pass, the broken variant is named.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use std::path::{Path, PathBuf};
use verdict::{Ended, Verdict, Verifier};

/// Seeds for each scenario.
const SEEDS: u64 = 20;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut plans: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|e| e == "plan"))
        // Those have a test of their own, `faults`, which asks more of them.
        .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("fault-")))
        .collect();
    plans.sort();
    assert!(plans.len() > 5, "{plans:?}");
    plans
}

fn load(path: &Path) -> Plan {
    let text = std::fs::read_to_string(path).expect("a readable plan");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    Plan::parse(&name, &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The verdict, the trace's hash, and what the guest said.
fn run_whole(plan: &Plan, seed: u64) -> (Verdict, u64, Vec<String>) {
    let mut verifier = Verifier::new(plan);
    let outcome = sim::run(plan, seed, &mut |event| verifier.event(event)).expect("a machine");
    let ended = match outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panic(message),
        sim::Ended::Deadlock => Ended::Hang("deadlock".to_owned()),
        sim::Ended::Stuck { reason } => Ended::Hang(reason),
    };
    (verifier.finish(ended), outcome.trace_hash, outcome.console)
}

fn run(plan: &Plan, seed: u64) -> (Verdict, u64) {
    let (verdict, hash, _) = run_whole(plan, seed);
    (verdict, hash)
}

fn named(name: &str) -> Plan {
    load(&scenarios().into_iter().find(|path| path.ends_with(name)).expect("the scenario"))
}

#[test]
fn correct_drivers_pass_every_scenario_under_every_seed() {
    for path in scenarios().iter().filter(|path| !path.ends_with("close-early.plan")) {
        let plan = load(path);
        for seed in 1..=SEEDS {
            let (verdict, _) = run(&plan, seed);
            assert!(verdict.passed, "{} seed {seed}\n{}", plan.name, verdict::render(&verdict));
        }
    }
}

#[test]
fn the_broken_variant_is_found_under_every_seed_and_its_rule_is_named() {
    let path = scenarios().into_iter().find(|path| path.ends_with("close-early.plan")).expect("the scenario");
    let plan = load(&path);
    for seed in 1..=SEEDS {
        let (verdict, _) = run(&plan, seed);
        assert!(!verdict.passed, "seed {seed}");
        assert!(
            verdict.findings.iter().any(|f| f.rule == "close-before-return"),
            "seed {seed}: {:?}",
            verdict.findings
        );
    }
}

/// A plan that loses samples without anybody losing count of them; if none were lost, it would show nothing.
#[test]
fn overruns_happen_are_counted_and_are_no_error() {
    let plan = named("daq-overrun.plan");
    for seed in 1..=SEEDS / 4 {
        let (verdict, _, console) = run_whole(&plan, seed);
        assert!(verdict.passed, "seed {seed}\n{}", verdict::render(&verdict));
        let told = console.iter().any(|line| line.starts_with("load daq0: overruns="));
        assert!(told, "seed {seed}: {console:#?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let plan =
        load(&scenarios().into_iter().find(|p| p.ends_with("surprise-removal.plan")).expect("the scenario"));
    assert_eq!(run(&plan, 7).1, run(&plan, 7).1);
    assert_ne!(run(&plan, 7).1, run(&plan, 8).1);
}
