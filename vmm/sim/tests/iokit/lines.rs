//! IC1: who holds what the handler needs, and waits for it, waits for ever.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use conformance::{
    mock::{DRIVER, Mock},
    rules::lines::{Message, nub},
    world::{interrupt, thread, until},
};
use iokit::{
    BootArgs, ServiceRef,
    work_loop::{InterruptSource, Signal},
};
use sim::{Ended, Limits, Sim};

use crate::SEEDS;

/// The filter waits for a lock that whoever disables the interrupt holds.
#[test]
fn ic1_disabling_while_holding_what_the_filter_needs_hangs() {
    let soon = Limits { spins: 5_000, idle_points: 50_000, ..Limits::default() };
    for seed in 0..SEEDS {
        let sim = Sim::builder().cpus(1 + (seed as usize % 3)).seed(seed).limits(soon);
        let (outcome, _) = sim::harness::traced(sim, |kernel| {
            let kit = &iokit::start(kernel, &BootArgs::default());
            let owner = Mock::new(&DRIVER).service(kit, "D");
            let message = Arc::new(Message::new(kit.kernel()));
            let vector = message.vector();
            let nub = nub(kit, message);
            let (held, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (needed, seen) = (held.clone(), inside.clone());
            let filter = move |me: &ServiceRef, _: &Signal<'_>| {
                seen.store(true, Ordering::SeqCst);
                while needed.load(Ordering::SeqCst) {
                    me.kernel().relax();
                }
                true
            };
            let source = InterruptSource::with_filter(&owner, &nub, 0, |_, _| {}, filter).unwrap();
            source.enable();
            held.store(true, Ordering::SeqCst);
            thread(kit, move |kernel| interrupt(kernel, vector));
            until(kit, &inside);
            source.disable();
            held.store(false, Ordering::SeqCst);
        });
        assert!(matches!(outcome.ended, Ended::Stuck { .. }), "seed {seed}: {:?}", outcome.ended);
    }
}
