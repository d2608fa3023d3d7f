//! Interrupt vectors: registering, disabling, and what "inactive" means.

use mach::seam::{FIRST_DEVICE_VECTOR, LAST_DEVICE_VECTOR};
use mach::{KernelRef, NoVector, SpinLock, WaitMode, WaitResult, band};
use sim::harness::for_seeds;
use std::sync::{Arc, OnceLock};

use super::{Counter, spawn};

/// Delivers `vector` here, as the machine does: masked, then gives way if asked.
fn take(kernel: &KernelRef, vector: u8) {
    let masked = kernel.masked();
    if kernel.interrupt(vector) {
        kernel.preempt();
    }
    drop(masked);
}

#[test]
fn a_handler_runs_when_it_is_enabled() {
    for_seeds(1, 0..20, |kernel| {
        let runs = Counter::default();
        let theirs = runs.clone();
        let interrupts = kernel.interrupts();
        let vector = interrupts.allocate_vector(kernel).unwrap();
        let handler = move |kernel: &KernelRef| {
            assert!(kernel.in_interrupt());
            theirs.add();
        };
        interrupts.register(kernel, vector, Arc::new(handler));
        take(kernel, vector);
        assert_eq!(runs.get(), 0, "registered is not enabled");
        interrupts.enable(kernel, vector);
        take(kernel, vector);
        interrupts.disable(kernel, vector);
        take(kernel, vector);
        assert_eq!(runs.get(), 1);
        assert!(!kernel.in_interrupt());
        interrupts.free_vector(kernel, vector);
    });
}

#[test]
fn vectors_run_out_and_come_back() {
    for_seeds(1, 0..1, |kernel| {
        let count = usize::from(LAST_DEVICE_VECTOR - FIRST_DEVICE_VECTOR) + 1;
        let interrupts = kernel.interrupts();
        let all: Vec<_> = (0..count).map(|_| interrupts.allocate_vector(kernel).unwrap()).collect();
        assert_eq!(interrupts.allocate_vector(kernel), Err(NoVector));
        interrupts.free_vector(kernel, all[7]);
        assert_eq!(interrupts.allocate_vector(kernel), Ok(all[7]));
    });
}

/// A handler at primary interrupt level wakes a thread: it runs when the interrupt is over.
#[test]
fn a_handler_wakes_a_thread() {
    for_seeds(2, 0..100, |kernel| {
        let (event, interrupts) = (kernel.new_event(), kernel.interrupts());
        let vector = interrupts.allocate_vector(kernel).unwrap();
        interrupts.register(kernel, vector, Arc::new(move |kernel| _ = kernel.wakeup(event)));
        interrupts.enable(kernel, vector);
        let woken = spawn(kernel, "woken", band::THREAD_CALL_HIGH, move |kernel| {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            assert_eq!(kernel.block(), WaitResult::Awakened);
        });
        kernel.delay(5_000_000);
        take(kernel, vector);
        woken.join(kernel);
    });
}

/// After `disable` or `unregister` has returned, the handler is not running and does not begin.
#[test]
fn unregister_waits_for_the_handler() {
    for_seeds(3, 0..200, |kernel| {
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
                    (0..10).for_each(|_| take(kernel, vector));
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
#[test]
fn the_handlers_of_a_line_run_in_slot_order() {
    for_seeds(2, 0..50, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let interrupts = kernel.interrupts();
        let sharers = [0, 1, 2].map(|n| {
            let order = order.clone();
            let handler = move |kernel: &KernelRef| order.lock(kernel).push(n);
            interrupts.register_line(kernel, 17, Arc::new(handler)).unwrap()
        });
        let vector = interrupts.line_vector(kernel, 17).unwrap();
        take(kernel, vector);
        assert!(order.lock(kernel).is_empty(), "registered is not enabled");
        for n in [2, 0, 1] {
            interrupts.enable_line(kernel, sharers[n]);
        }
        take(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2]);
        interrupts.disable_line(kernel, sharers[1]);
        take(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2, 0, 2]);
        interrupts.unregister_line(kernel, sharers[0]);
        take(kernel, vector);
        assert_eq!(*order.lock(kernel), [0, 1, 2, 0, 2, 2]);
        interrupts.unregister_line(kernel, sharers[1]);
        interrupts.unregister_line(kernel, sharers[2]);
    });
}

/// A level handler disables itself, as a work loop's source does, and is enabled again by its action.
#[test]
fn a_handler_may_disable_itself() {
    for_seeds(2, 0..50, |kernel| {
        let (runs, id) = (Counter::default(), Arc::new(OnceLock::new()));
        let (theirs, own) = (runs.clone(), id.clone());
        let handler = move |kernel: &KernelRef| {
            theirs.add();
            kernel.interrupts().disable_line(kernel, *own.get().unwrap());
        };
        let line = kernel.interrupts().register_line(kernel, 18, Arc::new(handler)).unwrap();
        id.set(line).unwrap();
        let vector = kernel.interrupts().line_vector(kernel, 18).unwrap();
        for n in 1..4 {
            kernel.interrupts().enable_line(kernel, line);
            take(kernel, vector);
            take(kernel, vector);
            assert_eq!(runs.get(), n);
        }
    });
}
