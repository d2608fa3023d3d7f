//! S7: with the push nobody runs before the owner of a lock that somebody better wants; without it, it happens, and is told.

use crate::prelude::*;
use mach::KernelRef;
use trace::{Event, Kind};

use crate::run::Run;
use crate::threads::wait_for_low_beside_middle;

/// Low has the lock when middle comes, and high wants it.
fn runs(lab: &Lab<'_>, push: bool) -> Vec<Run> {
    lab.kernel(1, 100, move |kernel: &KernelRef| {
        kernel.set_priority_push(push);
        wait_for_low_beside_middle(kernel, 20_000_000);
    })
}

/// What was told of an inversion.
fn told(run: &Run) -> Vec<&Event> {
    run.events.iter().filter(|event| event.kind == Kind::Inversion).collect()
}

fn s7_without_the_push_an_inversion_happens_and_is_told(lab: &Lab<'_>) {
    for run in runs(lab, false) {
        let told = told(&run);
        assert_eq!(told.len(), 1, "{}: {told:?}", run.name());
        assert_eq!(told[0].text_str(), "middle");
        assert!((10_000_000..100_000_000).contains(&told[0].arg), "{}: {} ns", run.name(), told[0].arg);
    }
}

fn s7_with_the_push_there_is_none(lab: &Lab<'_>) {
    for run in runs(lab, true) {
        assert!(told(&run).is_empty(), "{}: {:?}", run.name(), told(&run));
    }
}

table! {
    s7_without_the_push_an_inversion_happens_and_is_told,
    s7_with_the_push_there_is_none,
}
