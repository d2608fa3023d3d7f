//! IC1–IC3: vectors and shared lines of the kernel itself.

use crate::prelude::*;
use crate::sync::{Arc, OnceLock};
use crate::threads::{Counter, spawn};
use crate::world::interrupt;

use mach::{KernelRef, SpinLock, band};

/// After `disable` or `unregister` has returned, the handler is not running and does not begin.
fn unregister_waits_for_the_handler(lab: &Lab<'_>) {
    lab.kernel(3, 200, |kernel| {
        let (inside, gone) = (Counter::default(), Counter::default());
        let interrupts = kernel.interrupts();
        let vector = interrupts.allocate_vector(kernel).unwrap();
        let (theirs, dead) = (inside.clone(), gone.clone());
        let handler = move |kernel: &KernelRef| {
            assert_eq!(dead.get(), 0);
            theirs.set(1);
            for _ in 0..20 {
                kernel.machine().point(mach::seam::Point::Lock);
                assert_eq!(dead.get(), 0, "it was said to be inactive");
            }
            theirs.set(0);
        };
        interrupts.register(kernel, vector, Arc::new(handler));
        interrupts.enable(kernel, vector);
        let storm: Vec<_> = (0..2)
            .map(|_| {
                spawn(kernel, "storm", band::DEFAULT, move |kernel| {
                    (0..10).for_each(|_| interrupt(kernel, vector));
                })
            })
            .collect();
        kernel.delay(5_000);
        interrupts.unregister(kernel, vector);
        assert_eq!(inside.get(), 0);
        gone.set(1);
        storm.iter().for_each(|thread| thread.join(kernel));
    });
}

/// A shared line calls all enabled handlers in slot order; one that is taken off is not called any more.
fn the_handlers_of_a_line_run_in_slot_order(lab: &Lab<'_>) {
    lab.kernel(2, 50, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let interrupts = kernel.interrupts();
        let sharers = [0, 1, 2].map(|n| {
            let order = order.clone();
            let handler = move |kernel: &KernelRef| order.lock(kernel).push(n);
            interrupts.register_line(kernel, 17, Arc::new(handler)).unwrap()
        });
        let vector = interrupts.line_vector(kernel, 17).unwrap();
        interrupt(kernel, vector);
        assert!(order.lock(kernel).is_empty(), "registered is not enabled");
        for n in [2, 0, 1] {
            interrupts.enable_line(kernel, sharers[n]);
        }
        interrupt(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2]);
        interrupts.disable_line(kernel, sharers[1]);
        interrupt(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2, 0, 2]);
        interrupts.unregister_line(kernel, sharers[0]);
        interrupt(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2, 0, 2, 2]);
        interrupts.unregister_line(kernel, sharers[1]);
        interrupts.unregister_line(kernel, sharers[2]);
    });
}

/// A level handler disables itself, as a work loop's source does, and is enabled again by its action.
fn a_handler_may_disable_itself(lab: &Lab<'_>) {
    lab.kernel(2, 50, |kernel| {
        let (runs, id) = (Counter::default(), Arc::new(OnceLock::new()));
        let (theirs, own) = (runs.clone(), id.clone());
        let handler = move |kernel: &KernelRef| {
            theirs.add();
            kernel.interrupts().disable_line(kernel, *own.get().unwrap());
        };
        let line = kernel.interrupts().register_line(kernel, 18, Arc::new(handler)).unwrap();
        id.set(line);
        let vector = kernel.interrupts().line_vector(kernel, 18).unwrap();
        for n in 1..4 {
            kernel.interrupts().enable_line(kernel, line);
            interrupt(kernel, vector);
            interrupt(kernel, vector);
            assert_eq!(runs.get(), n);
        }
    });
}

table! {
    unregister_waits_for_the_handler,
    the_handlers_of_a_line_run_in_slot_order,
    a_handler_may_disable_itself,
}
