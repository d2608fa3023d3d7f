//! Workloads whose clients are user tasks, under plans and many seeds: every call accounted for, nothing of any task left.

mod common;

use common::{judge, passes};

/// How long removed devices may take, and that nothing is left.
const EXPECT: &str = "expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\n";

#[test]
fn up4_a_disk_that_tasks_use_works() {
    for cpus in [1, 2] {
        passes(
            &format!(
                "machine cpus={cpus}\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
                 expect no-leaks\nrun for=3ms\n"
            ),
            0..10,
        );
    }
    let (verdict, outcome) = judge(
        "plug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\nrun for=3ms\n",
        3,
    );
    assert!(verdict.io["disk0"].completed > 20, "{:?} {:#?}", verdict.io, outcome.console);
}

#[test]
fn up4_a_disk_that_tasks_use_goes_and_comes_back() {
    passes(
        &format!(
            "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=3 depth=2 as=tasks\n\
             on disk0.mmio.write #60 unplug disk0\nat 5ms replug disk0\n{EXPECT}run for=8ms\n"
        ),
        0..15,
    );
}

#[test]
fn up5_tasks_die_inside_their_calls() {
    passes(
        &format!(
            "machine cpus=3\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=4 depth=3 as=tasks\n\
             on disk0.call.enter #10 kill disk0\non disk0.gate.sleep #20 kill disk0\n\
             on disk0.willTerminate #1 kill disk0\nat 3ms unplug disk0\n{EXPECT}run for=6ms\n"
        ),
        0..25,
    );
}

#[test]
fn up6_a_task_reads_the_stream_from_the_queue_that_it_shares_with_the_driver() {
    for seed in 0..10 {
        let (verdict, outcome) = judge(
            "machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=2 depth=1 as=tasks\nexpect no-leaks\nrun for=6ms\n",
            seed,
        );
        assert!(verdict.passed, "seed {seed}:\n{}\n{:#?}", verdict::render(&verdict), outcome.console);
        assert_eq!(outcome.kernel_references, 0);
    }
}

#[test]
fn up6_a_card_goes_while_tasks_read_its_stream() {
    passes(
        &format!(
            "machine cpus=2\nplug daq0 daq slot=1\nload daq0 clients=3 depth=1 as=tasks\n\
             at 1ms kill daq0\nat 2ms unplug daq0\nat 4ms replug daq0\n{EXPECT}run for=7ms\n"
        ),
        0..20,
    );
}

#[test]
fn the_same_plan_and_seed_give_the_same_trace_with_tasks() {
    let text = "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
                at 1ms kill disk0\nrun for=3ms\n";
    let hashes = [0, 0, 1].map(|seed| judge(text, seed).1.trace_hash);
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}
