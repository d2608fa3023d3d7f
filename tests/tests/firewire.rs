//! What the scenarios of FireWire do not show by their verdicts: that streams flow, whole, and that a disk is told when nobody wants it any more.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use std::path::Path;
use verdict::{Ended, Verdict, Verifier};

/// Seeds for each plan.
const SEEDS: u64 = 8;

fn scenario(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(name, &text)
}

fn parse(name: &str, text: &str) -> Plan {
    Plan::parse(name, text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The verdict of a run that passed, and what the guest said.
fn passes(plan: &Plan, seed: u64) -> (Verdict, Vec<String>) {
    let mut verifier = Verifier::new(plan);
    let outcome = sim::run(plan, seed, &mut |event| verifier.event(event)).expect("a machine");
    assert_eq!(outcome.ended, sim::Ended::Done, "{} seed {seed}", plan.name);
    let verdict = verifier.finish(Ended::Done);
    assert!(verdict.passed, "{} seed {seed}\n{}", plan.name, verdict::render(&verdict));
    (verdict, outcome.console)
}

fn said(console: &[String], what: &str) -> usize {
    console.iter().filter(|line| line.contains(what)).count()
}

/// Requests of a camera's load that came back with packets: one that waits in vain does so for 20 ms.
fn requests(verdict: &Verdict, device: &str) -> u64 {
    verdict.io.get(device).map_or(0, |counts| counts.completed)
}

#[test]
fn a_stream_that_nothing_disturbs_is_whole() {
    let plan = parse(
        "calm.plan",
        "machine cpus=2 memory=64M\nplug fw0 ohci slot=4\nplug cam0 firewire-camera on=fw0 port=1\n\
         load cam0 clients=2 depth=1\nrun for=40ms\n",
    );
    for seed in 1..=SEEDS {
        let (verdict, console) = passes(&plan, seed);
        assert!(requests(&verdict, "cam0") > 100, "seed {seed}\n{}", verdict::render(&verdict));
        assert_eq!(said(&console, "overruns"), 0, "seed {seed}: every packet came\n{console:#?}");
    }
}

#[test]
fn streams_go_on_after_each_bus_reset() {
    let plan = scenario("firewire-camera-resets.plan");
    for seed in 1..=SEEDS {
        let (verdict, _) = passes(&plan, seed);
        assert!(requests(&verdict, "cam0") > 100, "seed {seed}\n{}", verdict::render(&verdict));
    }
}

#[test]
fn each_camera_has_a_channel_whoever_manages_them() {
    let plan = scenario("firewire-camera.plan");
    for seed in 1..=SEEDS {
        let (verdict, _) = passes(&plan, seed);
        for camera in ["cam0", "cam1"] {
            assert!(requests(&verdict, camera) > 100, "{camera} seed {seed}\n{}", verdict::render(&verdict));
        }
    }
}

#[test]
fn a_disk_that_is_still_there_is_logged_out_of() {
    for seed in 1..=SEEDS {
        let (_, console) = passes(&scenario("firewire-eject.plan"), seed);
        assert_eq!(said(&console, "sbp2 disk1: logged out"), 1, "seed {seed}\n{console:#?}");
        let (_, console) = passes(&scenario("firewire-removal.plan"), seed);
        assert_eq!(said(&console, "logged out"), 0, "seed {seed}: it is gone each time\n{console:#?}");
        let (_, console) = passes(&scenario("firewire-controller-removal.plan"), seed);
        assert_eq!(said(&console, "logged out"), 1, "seed {seed}: only at the end of the run\n{console:#?}");
    }
}
