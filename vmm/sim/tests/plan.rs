//! Whole runs of plans, from boot to `run.done`.

use devices::fault::plan::Plan;
use sim::{Ended, Limits, Outcome, Sim};
use trace::{Event, Kind};

fn run(text: &str, seed: u64) -> (Outcome, Vec<Event>) {
    let plan = Plan::parse("test.plan", text).unwrap();
    let mut events = Vec::new();
    let outcome = sim::run(&plan, seed, &mut |event| events.push(*event)).unwrap();
    (outcome, events)
}

const NOTHING: &str = "machine cpus=2 memory=64M\nrun for=10ms\n";
const REMOVAL: &str = "machine cpus=2
plug edu0 edu slot=1
load edu0 clients=2 depth=4
on edu0.mmio.write #40 unplug edu0
at 5ms replug edu0
run for=8ms
";

fn count(events: &[Event], kind: Kind) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

/// The run ended in order and left nothing behind; every request came back.
fn assert_sound(name: &str, seed: u64, outcome: &Outcome, events: &[Event]) {
    let report = || format!("{name}, seed {seed}: {}", sim::harness::report(outcome, events));
    assert_eq!(outcome.ended, Ended::Done, "{}", report());
    assert_eq!((outcome.abandoned, outcome.kernel_references), (0, 0), "{}", report());
    let back = [Kind::IoDone, Kind::IoOffline, Kind::IoError].map(|kind| count(events, kind));
    // Wrong data come back from hardware that lies, and from no other.
    let corrupt = if name.starts_with("fault-") { count(events, Kind::IoCorrupt) } else { 0 };
    assert_eq!(count(events, Kind::IoIssue), back.iter().sum::<usize>() + corrupt, "{}", report());
}

#[test]
fn a_machine_without_devices_boots_and_ends() {
    for seed in 0..50 {
        let (outcome, events) = run(NOTHING, seed);
        assert_sound("nothing", seed, &outcome, &events);
        let time = |kind| events.iter().find(|e| e.kind == kind).map(|e| e.time);
        let (ready, done) = (time(Kind::Ready).unwrap(), time(Kind::Done).unwrap());
        assert!((10_000_000..12_000_000).contains(&(done - ready)), "seed {seed}: {ready} to {done}");
    }
}

#[test]
fn a_card_that_goes_and_comes_back_leaves_no_request_behind() {
    for seed in 0..50 {
        let (outcome, events) = run(REMOVAL, seed);
        assert_sound("removal", seed, &outcome, &events);
        assert!(count(&events, Kind::IoDone) > 0 && count(&events, Kind::IoOffline) > 0, "seed {seed}");
    }
}

#[test]
fn the_same_plan_and_seed_give_the_same_trace() {
    let (first, events) = run(REMOVAL, 7);
    let (second, again) = run(REMOVAL, 7);
    assert_eq!(first, second);
    assert_eq!(events, again);
    assert_ne!(first.trace_hash, run(REMOVAL, 8).0.trace_hash);
}

#[test]
fn plans_side_by_side_run_as_alone() {
    let alone: Vec<_> = (0..4).map(|seed| run(REMOVAL, seed).0).collect();
    let threads: Vec<_> = (0..4).map(|seed| std::thread::spawn(move || run(REMOVAL, seed).0)).collect();
    let beside: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(alone, beside);
}

#[test]
fn a_plan_that_cannot_be_built_is_an_error() {
    let plan = Plan::parse("test.plan", "plug disk0 virtio-blk slot=2 file=nowhere.img\n").unwrap();
    let error = sim::run(&plan, 0, &mut |_| {}).unwrap_err();
    assert!(matches!(error, sim::StartError::Platform(_)), "{error}");
}

#[test]
fn every_scenario_runs_to_its_end() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "plan")) {
        let text = std::fs::read_to_string(path).unwrap();
        let (outcome, events) = run(&text, 1);
        let name = path.file_stem().unwrap().to_string_lossy();
        // A driver that is broken on purpose may lose requests; the verdict is about that, not this test.
        if text.contains("driver=") {
            assert!(outcome.events > 0, "{name}");
        } else {
            assert_sound(&name, 1, &outcome, &events);
        }
    }
}

/// Whatever lies on the threads' stacks when a run is cut off can be dropped: no destructor panics (that would abort the process) or waits.
#[test]
fn a_run_that_is_cut_off_anywhere_unwinds() {
    let plan = Plan::parse("test.plan", REMOVAL).unwrap();
    let whole = sim::run(&plan, 3, &mut |_| {}).unwrap().points;
    for seed in 0..100 {
        let limits = Limits { points: 1 + whole * seed / 100, ..Limits::default() };
        let sim = Sim::builder().seed(seed % 10).limits(limits);
        let outcome = sim::run_on(sim, &plan, &mut |_| {}).unwrap();
        assert_eq!(outcome.abandoned, 0, "seed {seed}");
    }
}
