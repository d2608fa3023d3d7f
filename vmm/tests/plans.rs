//! Our own image on this host's KVM, with two CPUs, both kinds of device, and removals in midst of the work: whatever the host's speed, the
//! run ends in order and no request is lost. (What must hold in time is the verdict's business, on hosts that keep it.)

use std::collections::BTreeSet;

use devices::fault::plan::Plan;
use trace::Kind;
use vmm::{Ending, Options, VmmError};

/// Runs a plan; the requests that never came back, and how the run ended. `None`, with a line that says why, without KVM.
fn run(text: &str) -> Option<(BTreeSet<u64>, Vec<Kind>, vmm::Outcome)> {
    let plan = Plan::parse("test", text).expect("a plan without mistakes");
    let slow_down = match vmm::probe::quick() {
        Ok(host) => host.slow_down,
        Err(error) => {
            assert!(error.is_host(), "{error}");
            println!("skipped: {error}");
            return None;
        }
    };
    let options = Options { slow_down, ..Options::default() };
    let (mut flying, mut kinds) = (BTreeSet::new(), Vec::new());
    let outcome = vmm::run(&plan, guest_image::IMAGE, &options, &mut |event| match event.kind {
        Kind::IoIssue => assert!(flying.insert(event.arg), "request {:#x} issued twice", event.arg),
        Kind::IoDone | Kind::IoOffline | Kind::IoError => {
            assert!(flying.remove(&event.arg), "request {:#x} came back twice", event.arg);
        }
        Kind::Ready | Kind::Done | Kind::Gone | Kind::Fault | Kind::Panic | Kind::IoCorrupt => {
            kinds.push(event.kind);
        }
        _ => {}
    });
    match outcome {
        Ok(outcome) => Some((flying, kinds, outcome)),
        Err(error @ (VmmError::NoKvm | VmmError::NoPermission)) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// It ended in order, nothing was lost, and the plan did `faults` things.
fn check(text: &str, faults: usize) {
    let Some((flying, kinds, outcome)) = run(text) else { return };
    assert_eq!(outcome.ending, Ending::PowerOff, "{}", outcome.describe());
    assert!(flying.is_empty(), "lost: {flying:x?}");
    assert_eq!(outcome.garbled, 0);
    let count = |kind: Kind| kinds.iter().filter(|&&k| k == kind).count();
    assert_eq!((kinds.first(), kinds.last()), (Some(&Kind::Ready), Some(&Kind::Done)));
    assert_eq!((count(Kind::Fault), count(Kind::Panic), count(Kind::IoCorrupt)), (faults, 0, 0));
}

#[test]
fn a_disk_and_a_card_go_while_they_work() {
    check(
        "machine cpus=2 memory=32M\n\
         plug edu0 edu slot=1\n\
         plug disk0 virtio-blk slot=2 size=1M\n\
         load edu0 clients=2 depth=4\n\
         load disk0 clients=2 depth=4\n\
         at 3ms unplug disk0\n\
         at 4ms unplug edu0\n\
         run for=8ms",
        2,
    );
}

#[test]
fn shared_lines_and_an_orderly_removal() {
    check(
        "machine cpus=2 memory=32M\n\
         plug edu0 edu slot=1 irq=intx\n\
         plug disk0 virtio-blk slot=5 size=1M\n\
         load edu0 clients=2 depth=2\n\
         load disk0 clients=1 depth=4\n\
         at 3ms eject disk0\n\
         run for=8ms",
        1,
    );
}

#[test]
fn eight_cpus_start_and_finish() {
    check(
        "machine cpus=8 memory=64M\n\
         plug edu0 edu slot=1\n\
         load edu0 clients=8 depth=2\n\
         run for=3ms",
        0,
    );
}
