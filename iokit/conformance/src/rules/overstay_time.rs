//! OV1: whose time counts, and what else is watched.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{service::Options, work_loop::WorkLoop};
use mach::{KernelRef, Policy, RecursiveLock};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, bus_and_nub, make_work_loop},
    world::{Run, pause, thread},
};

/// Longer than an action may take.
const TOO_LONG: u64 = 3_000_000;

/// Twice what an action may take.
const PREEMPTED: u64 = 2_000_000;

/// Object and word of each that was named.
fn named(run: &Run) -> Vec<(String, String)> {
    let lines = run.lines(&[Kind::Overstay]);
    let words = run.events.iter().filter(|e| e.kind == Kind::Overstay).map(|e| e.text_str().to_owned());
    lines.into_iter().zip(words).collect()
}

/// Uses the CPU for `ns`, however often it is preempted.
fn compute(kernel: &KernelRef, ns: u64) {
    let me = kernel.current();
    let begun = me.running_time(kernel);
    while me.running_time(kernel) < begun + ns {
        kernel.relax();
    }
}

fn ov1_an_action_on_the_loop_itself_is_named_once_for_all_its_levels(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let slow = Mock::new(&DRIVER).service(kit, "slow");
        let work_loop = WorkLoop::new(&slow);
        work_loop.run_action(|| work_loop.run_action(|| kit.kernel().delay(TOO_LONG)));
    });
    for run in &runs {
        assert_eq!(named(run), [("slow.overstay".to_owned(), "gated action".to_owned())], "{}", run.seed);
    }
}

fn ov1_a_callback_of_a_termination_that_overstays_is_named(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (bus, nub) = bus_and_nub(kit);
        // Clients are called in their provider's gate.
        make_work_loop(&nub);
        let driver = Mock::new(&DRIVER).did(|me, _, _| me.kernel().delay(TOO_LONG)).under(&nub, "D");
        nub.terminate(Options::empty());
        drop((driver, nub, bus));
        pause(kit, 20_000_000);
    });
    for run in &runs {
        assert_eq!(
            named(run),
            [("N.overstay".to_owned(), "termination callback".to_owned())],
            "{}",
            run.seed
        );
    }
}

/// Two hogs, one for each CPU, keep a thread of low priority in its gated action for long; it uses little of it.
fn ov1_the_time_of_an_action_that_is_preempted_does_not_count(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let inside = Arc::new(RecursiveLock::new(kit.kernel()));
        let theirs = inside.clone();
        let worker = thread(kit, move |kernel| {
            kernel.current().set_priority(kernel, 10);
            work_loop.run_action(|| {
                theirs.lock(kernel);
                compute(kernel, 300_000);
                theirs.unlock(kernel);
            });
        });
        pause(kit, 100_000);
        let hog = |kernel: &KernelRef| compute(kernel, PREEMPTED);
        let hogs =
            [(); 2].map(|()| kit.kernel().spawn("hog", 90, Policy::Fixed, hog).expect("memory for a thread"));
        hogs.iter().for_each(|hog| hog.join(kit.kernel()));
        worker.join(kit.kernel());
    });
    for run in &runs {
        assert_eq!(named(run), [], "seed {}", run.seed);
    }
}

table! {
    ov1_an_action_on_the_loop_itself_is_named_once_for_all_its_levels,
    ov1_a_callback_of_a_termination_that_overstays_is_named,
    ov1_the_time_of_an_action_that_is_preempted_does_not_count,
}
