//! Mach's kernel on the machine, through the harness.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use mach::{Policy, band};
use sim::{Ended, harness};

#[test]
fn threads_run_and_join_under_every_schedule() {
    for cpus in [1, 2, 4] {
        harness::for_seeds(cpus, 0..100, |kernel| {
            let sum = Arc::new(AtomicU32::new(0));
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    let sum = sum.clone();
                    let body = move |_: &mach::KernelRef| {
                        sum.fetch_add(n, Ordering::Relaxed);
                    };
                    kernel.spawn("adder", band::DEFAULT, Policy::Fixed, body).unwrap()
                })
                .collect();
            for thread in threads {
                thread.join(kernel);
            }
            assert_eq!(sum.load(Ordering::Relaxed), 28);
        });
    }
}

#[test]
fn the_trace_of_a_kernel_depends_on_the_seed_only() {
    let body = |kernel: &mach::KernelRef| {
        for _ in 0..10 {
            let body = |kernel: &mach::KernelRef| {
                for _ in 0..20 {
                    kernel.wakeup(kernel.new_event());
                }
            };
            kernel.spawn("other", band::DEFAULT, Policy::Fixed, body).unwrap();
            kernel.sleep_until(kernel.now() + 1_000_000);
        }
    };
    let first = harness::run_kernel(2, 1, body);
    assert_eq!(first.ended, Ended::Done, "{first:?}");
    assert!(first.virtual_time >= 10_000_000);
    assert_eq!(first, harness::run_kernel(2, 1, body));
    assert_ne!(first.trace_hash, harness::run_kernel(2, 2, body).trace_hash);
}

#[test]
fn a_failed_assertion_in_a_thread_names_its_place() {
    let outcome = harness::run_kernel(2, 1, |kernel| {
        let body = |kernel: &mach::KernelRef| assert_eq!(kernel.now(), u64::MAX);
        kernel.spawn("wrong", band::DEFAULT, Policy::Fixed, body).unwrap().join(kernel);
    });
    let Ended::Fatal { message } = outcome.ended else { panic!("{outcome:?}") };
    assert!(message.contains("tests/kernel.rs"), "{message}");
    assert_eq!(outcome.kernel_references, 0);
}
