//! Whole runs of plans.

use devices::fault::plan::Plan;
use sim::{Ended, Outcome};
use trace::{Event, Kind};

fn run(text: &str, seed: u64) -> (Outcome, Vec<Event>) {
    let plan = Plan::parse("test.plan", text).unwrap();
    let mut events = Vec::new();
    let outcome = sim::run(&plan, seed, &mut |event| events.push(*event)).unwrap();
    (outcome, events)
}

const NOTHING: &str = "machine cpus=2 memory=64M\nrun for=10ms\n";

#[test]
fn a_machine_without_devices_boots_and_ends() {
    for seed in 0..50 {
        let (outcome, events) = run(NOTHING, seed);
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {}", sim::harness::report(&outcome, &events));
        let time = |kind| events.iter().find(|e| e.kind == kind).map(|e| e.time);
        let (ready, done) = (time(Kind::Ready).unwrap(), time(Kind::Done).unwrap());
        assert!((10_000_000..12_000_000).contains(&(done - ready)), "seed {seed}: {ready} to {done}");
        assert_eq!((outcome.abandoned, outcome.kernel_references), (0, 0), "seed {seed}");
    }
}
