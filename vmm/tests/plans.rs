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
        Kind::Violation => {
            assert_ne!(event.text_str(), "dma-outside-buffer", "at {:#x}", event.arg);
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

/// The accesses to memory that was not lent, of the zoo's `driver`. The second half of a transfer falls into a time in which the driver has heard of the removal, and the
/// processor has not come to `stop` yet, however fast this host is. `None` without KVM.
fn strays(driver: &str) -> Option<usize> {
    let text = format!(
        "machine cpus=1 memory=32M\n\
         plug edu0 edu slot=1 dma=8ms driver={driver}\n\
         load edu0 clients=1 depth=2\n\
         on edu0.dma.write #1 eject edu0\n\
         on edu0.didTerminate #1 stall cpu=0 for=8ms\n\
         run for=26ms"
    );
    let plan = Plan::parse("test", &text).expect("a plan without mistakes");
    let slow_down = match vmm::probe::quick() {
        Ok(host) => host.slow_down,
        Err(error) => {
            assert!(error.is_host(), "{error}");
            println!("skipped: {error}");
            return None;
        }
    };
    let options = Options { slow_down, ..Options::default() };
    let (mut strays, mut done) = (0, 0);
    let outcome = vmm::run(&plan, guest_image::IMAGE, &options, &mut |event| match event.kind {
        Kind::Violation if event.text_str() == "dma-outside-buffer" => {
            assert_eq!(event.slot, 1);
            strays += 1;
        }
        Kind::IoDone | Kind::IoOffline => done += 1,
        _ => {}
    });
    match outcome {
        Ok(outcome) => {
            assert_eq!(
                (outcome.ending.clone(), outcome.garbled),
                (Ending::PowerOff, 0),
                "{}",
                outcome.describe()
            );
            assert!(done > 0, "it was at work");
            Some(strays)
        }
        Err(error @ (VmmError::NoKvm | VmmError::NoPermission)) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_card_that_writes_to_memory_that_was_freed_is_named() {
    if let Some(strays) = strays("zoo-dma-after-free") {
        assert!(strays > 0);
    }
}

#[test]
fn a_card_that_is_stopped_before_its_memory_is_freed_is_not() {
    if let Some(strays) = strays("zoo-dma-after-free-fixed") {
        assert_eq!(strays, 0);
    }
}
