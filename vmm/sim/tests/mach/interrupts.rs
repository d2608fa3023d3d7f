//! Interrupt vectors: registering, disabling, and what "inactive" means.

use mach::seam::{FIRST_DEVICE_VECTOR, LAST_DEVICE_VECTOR};
use mach::{KernelRef, NoVector, WaitMode, WaitResult, band};
use sim::harness::for_seeds;
use std::sync::Arc;

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
