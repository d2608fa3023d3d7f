//! The virtio block driver under the storage family, under plans and many seeds.

mod common;

use common::{judge, passes};

#[test]
fn a_disk_works() {
    passes(
        "machine cpus=1\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=1 depth=1\nrun for=2ms\n",
        0..10,
    );
}

#[test]
fn more_requests_than_the_queue_has_room_for() {
    passes(
        "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=4 depth=8\nrun for=3ms\n",
        0..10,
    );
}

#[test]
fn a_disk_that_goes_and_comes_back() {
    passes(
        "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=4 depth=8\n\
         on disk0.mmio.write #60 unplug disk0\nat 10ms replug disk0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=15ms\n",
        0..10,
    );
}

#[test]
fn a_disk_is_ejected_and_comes_back() {
    passes(
        "machine cpus=2\nplug disk0 virtio-blk slot=2 size=1M\nload disk0 clients=4 depth=8\n\
         at 2ms eject disk0\nat 10ms replug disk0\n\
         expect offline within=20ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=15ms\n",
        0..10,
    );
}

#[test]
fn a_disk_on_a_line_and_a_storm() {
    passes(
        "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M irq=intx\nload disk0 clients=2 depth=4\n\
         at 1ms storm disk0 rate=50kHz for=3ms\nat 5ms unplug disk0\nat 8ms replug disk0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=12ms\n",
        0..10,
    );
}

#[test]
fn a_disk_goes_while_its_driver_starts() {
    for access in (1..70).step_by(2) {
        for site in ["mmio.read", "mmio.write", "config.read", "config.write"] {
            passes(
                &format!(
                    "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M absent=yes\nload disk0 clients=1 depth=1\n\
                     at 1ms plug disk0\non disk0.{site} #{access} unplug disk0\nat 3ms replug disk0\n\
                     expect no-leaks\nrun for=5ms\n"
                ),
                0..1,
            );
        }
    }
}

#[test]
fn the_same_plan_and_seed_give_the_same_trace_with_tasks() {
    let text = "machine cpus=2\nplug disk0 virtio-blk slot=1 size=1M\nload disk0 clients=2 depth=2 as=tasks\n\
                at 1ms kill disk0\nrun for=3ms\n";
    let hashes = [0, 0, 1].map(|seed| judge(text, seed).1.trace_hash);
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}
