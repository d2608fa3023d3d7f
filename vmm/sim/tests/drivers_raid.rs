//! The mirror: a service with two providers on different work loops (order (g)), under plans and many seeds.

mod common;

use common::{judge, passes};

/// Two disks and a load on what they are together.
fn plan(rules: &str) -> String {
    format!(
        "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M driver=mirror\n\
         plug disk1 virtio-blk slot=2 size=1M driver=mirror\nload disk1 clients=3 depth=3\n{rules}\n"
    )
}

/// Counts of the load, after a run that must pass: completed, offline.
fn counts(text: &str, seed: u64) -> (u64, u64) {
    let (verdict, outcome) = judge(text, seed);
    let report = || format!("seed {seed}\n{}\n{:#?}", verdict::render(&verdict), outcome.console);
    assert!(verdict.passed, "{}", report());
    assert_eq!(outcome.kernel_references, 0, "{}", report());
    let counts = verdict.io.iter().find(|(name, _)| name.as_str() == "disk1").map(|(_, counts)| counts);
    let counts = counts.unwrap_or_else(|| panic!("no load: {}", report()));
    assert!(counts.balanced(), "{}", report());
    (counts.completed, counts.offline)
}

#[test]
fn a_mirror_works() {
    passes(&plan("expect no-leaks\nrun for=3ms"), 0..20);
}

/// Order (g): the set lives on the other disk. No request fails, and work goes on.
#[test]
fn one_disk_goes_by_surprise_and_nobody_notices() {
    for (disk, other_time) in [("disk0", "3ms"), ("disk1", "3ms"), ("disk0", "2500us")] {
        for seed in 0..5 {
            let whole = plan(&format!("at {other_time} unplug {disk}\nexpect no-leaks\nrun for=8ms"));
            let (completed, offline) = counts(&whole, seed);
            assert_eq!(offline, 0, "seed {seed}, {disk}");
            let (before, _) = counts(&plan(&format!("expect no-leaks\nrun for={other_time}")), seed);
            assert!(completed > before + 50, "seed {seed}, {disk}: {completed} in all, {before} before");
        }
    }
}

#[test]
fn one_disk_is_ejected_and_nobody_notices() {
    for seed in 0..8 {
        let text = plan("at 2ms eject disk0\nexpect quiet within=20ms\nexpect no-leaks\nrun for=8ms");
        assert_eq!(counts(&text, seed).1, 0, "seed {seed}");
    }
}

#[test]
fn any_access_of_a_disk_can_be_its_last() {
    for access in (1..190).step_by(11) {
        for site in ["mmio.write", "irq.raise"] {
            let text = plan(&format!(
                "on disk0.{site} #{access} unplug disk0\nexpect quiet within=1s\nexpect no-leaks\nrun for=4ms"
            ));
            passes(&text, 0..1);
        }
    }
}

#[test]
fn both_disks_go_one_after_the_other() {
    passes(
        &plan(
            "at 2ms unplug disk0\nat 4ms unplug disk1\nat 8ms replug disk0\nat 9ms replug disk1\n\
             expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=14ms",
        ),
        0..15,
    );
}

/// The second goes before the set is detached from the first: by IOService's own requestTerminate, it would be an orphan.
#[test]
fn both_disks_go_at_once_and_the_set_is_no_orphan() {
    for gap in ["2000us", "2010us", "2030us", "2060us"] {
        passes(
            &plan(&format!(
                "at 2ms unplug disk0\nat {gap} unplug disk1\n\
                 expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=6ms"
            )),
            0..8,
        );
        passes(
            &plan(&format!(
                "at 2ms unplug disk1\nat {gap} eject disk0\n\
                 expect offline within=20ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=6ms"
            )),
            0..8,
        );
    }
}

/// A disk that comes back waits for a partner; the next one to come makes a new set with it.
#[test]
fn a_disk_goes_while_its_set_is_made() {
    for at in (1000..2600).step_by(50) {
        passes(
            &format!(
                "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M driver=mirror\n\
                 plug disk1 virtio-blk slot=2 size=1M driver=mirror absent=yes\nload disk1 clients=1 depth=2\n\
                 at 1ms plug disk1\nat {at}us unplug disk0\nat 4ms replug disk0\nat 6ms unplug disk1\nat 7ms replug disk1\n\
                 expect no-leaks\nrun for=9ms\n"
            ),
            0..2,
        );
    }
}
