//! Every scenario in the simulator, under many seeds: correct drivers pass, the broken variant is named.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use verdict::{Ended, Verdict, Verifier};

/// Seeds for each scenario.
const SEEDS: u64 = 20;
/// The same for those that are long: most of their events are the same work again, and each seed takes seconds.
const SEEDS_LONG: u64 = 6;
/// Plan time from which a scenario is long, ns.
const LONG: u64 = 50_000_000;

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
        sim::Ended::Stopped => Ended::Quit,
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
    let mut plans: Vec<Plan> = scenarios().iter().map(|path| load(path)).collect();
    plans.retain(|plan| plan.finds().is_none());
    assert!(plans.len() > 15);
    on_all_cores(&plans, |plan| {
        let seeds = if plan.run_for < LONG { SEEDS } else { SEEDS_LONG };
        for seed in 1..=seeds {
            let (verdict, _) = run(plan, seed);
            assert!(verdict.passed, "{} seed {seed}\n{}", plan.name, verdict::render(&verdict));
        }
    });
}

/// Calls `each` for every plan, on as many threads as there are cores; a machine stays on its thread.
fn on_all_cores(plans: &[Plan], each: impl Fn(&Plan) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(plan);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn what_a_scenario_says_that_it_finds_is_found_under_every_seed() {
    let mut found = Vec::new();
    for plan in scenarios().iter().map(|path| load(path)) {
        let Some(rule) = plan.finds() else { continue };
        for seed in 1..=SEEDS {
            let (verdict, _) = run(&plan, seed);
            let named = verdict.findings.iter().any(|finding| finding.rule == rule);
            assert!(!verdict.passed && named, "{} seed {seed}\n{}", plan.name, verdict::render(&verdict));
        }
        found.push(rule.to_owned());
    }
    found.sort();
    assert_eq!(found, ["close-before-return", "io-error", "priority-inversion"]);
}

/// What the fail-safe (S6) is for: without it a real-time thread that never lets go starves everybody else.
#[test]
fn without_the_fail_safe_a_runaway_thread_starves_the_others() {
    let mut plan = named("runaway-real-time.plan");
    assert!(plan.fail_safe.is_some() && run(&plan, 1).0.passed);
    plan.fail_safe = None;
    let (verdict, _) = run(&plan, 1);
    assert!(verdict.findings.is_empty() && !verdict.passed, "{}", verdict::render(&verdict));
    assert!(verdict.expectations.iter().any(|held| !held.held), "{}", verdict::render(&verdict));
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
