//! Who gets a CPU: preemption (S2), quanta (S3).

use crate::prelude::*;
use crate::sync::Arc;
use mach::{QUANTUM, SpinLock, WaitMode, band};

use crate::threads::{Counter, compute, spawn};

/// How late a CPU may be, at the most, by the chooser's stalls and interrupt latencies.
const LATE: u64 = 2_000_000;

fn the_most_important_thread_runs_first(lab: &Lab<'_>) {
    lab.kernel(1, 100, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let threads = [20, 70, 4, 63, 31].map(|priority| {
            let order = order.clone();
            spawn(kernel, "one", priority, move |kernel| order.lock(kernel).push(priority))
        });
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(*order.lock(kernel), [70, 63, 31, 20, 4]);
    });
}

/// S2: a thread that wakes takes the CPU of a less important one, wherever that is.
fn s2_a_waking_thread_preempts_the_least_important_cpu(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let stop = Counter::default();
        let hogs = [20, 40].map(|priority| {
            let stop = stop.clone();
            spawn(kernel, "hog", priority, move |kernel| stop.spin_until(kernel, 1))
        });
        let start = kernel.now();
        kernel.delay(5_000_000);
        assert!(kernel.now() < start + 5_000_000 + LATE, "{} ns late", kernel.now() - start - 5_000_000);
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}

/// S2: the CPU that it takes may be another than the one whose timer woke it, which goes on with what it has.
fn s2_a_waking_thread_takes_another_cpu_than_the_one_that_woke_it(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        for _ in 0..5 {
            let stop = Counter::default();
            let hog = |priority, becomes| {
                let stop = stop.clone();
                spawn(kernel, "hog", priority, move |kernel| {
                    kernel.current().set_priority(kernel, becomes);
                    stop.spin_until(kernel, 1);
                })
            };
            // The second one gets this thread's CPU when it blocks, and is more important than the first one from then on.
            let hogs = [hog(40, 40), hog(20, 60)];
            let start = kernel.now();
            kernel.delay(5_000_000);
            assert!(kernel.now() < start + 5_000_000 + LATE, "{} ns late", kernel.now() - start - 5_000_000);
            stop.set(1);
            hogs.iter().for_each(|hog| hog.join(kernel));
        }
    });
}

/// S2: two that wake together take two CPUs, though the first one asked for the least important CPU already.
fn s2_two_that_wake_together_get_a_cpu_each(lab: &Lab<'_>) {
    lab.kernel(3, 100, |kernel| {
        let (event, stop) = (kernel.new_event(), Counter::default());
        let late = Counter::default();
        let workers = [60, 50].map(|priority| {
            let (late, stop) = (late.clone(), stop.clone());
            spawn(kernel, "worker", priority, move |kernel| {
                kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                kernel.block();
                late.add();
                stop.spin_until(kernel, 1);
            })
        });
        kernel.delay(20_000_000);
        // One CPU computes at 31, one is idle, and this one goes on at 81.
        let hog_stop = stop.clone();
        let hog = spawn(kernel, "hog", 31, move |kernel| hog_stop.spin_until(kernel, 1));
        kernel.delay(20_000_000);
        kernel.wakeup(event);
        compute(kernel, LATE);
        assert_eq!(late.get(), 2, "both run while this thread keeps its CPU");
        stop.set(1);
        workers.iter().chain([&hog]).for_each(|thread| thread.join(kernel));
    });
}

/// S3: threads of one level share by quanta, whoever wakes and preempts them in between.
fn s3_a_preempted_thread_keeps_the_rest_of_its_quantum_and_no_more(lab: &Lab<'_>) {
    lab.kernel(1, 20, |kernel| {
        let stop = Counter::default();
        let shares = [(); 2].map(|()| Counter::default());
        let threads = shares.clone().map(|share| {
            let stop = stop.clone();
            spawn(kernel, "share", band::DEFAULT, move |kernel| {
                while stop.get() == 0 {
                    compute(kernel, 100_000);
                    share.add();
                }
            })
        });
        // This thread preempts them every 3 ms: a fresh quantum each time would never run out.
        for _ in 0..60 {
            kernel.delay(3_000_000);
        }
        let counts = shares.map(|share| share.get());
        stop.set(1);
        threads.iter().for_each(|thread| thread.join(kernel));
        let (least, most) = (counts[0].min(counts[1]), counts[0].max(counts[1]));
        assert!(least * 2 > most, "{counts:?}");
    });
}

/// S3: one that used its quantum up goes to the end of its level.
fn s3_threads_of_a_level_take_turns(lab: &Lab<'_>) {
    lab.kernel(2, 20, |kernel| {
        let stop = Counter::default();
        let shares = [(); 5].map(|()| Counter::default());
        let threads = shares.clone().map(|share| {
            let stop = stop.clone();
            spawn(kernel, "share", band::DEFAULT, move |kernel| {
                while stop.get() == 0 {
                    compute(kernel, 100_000);
                    share.add();
                }
            })
        });
        kernel.delay(40 * QUANTUM);
        let counts = shares.map(|share| share.get());
        stop.set(1);
        threads.iter().for_each(|thread| thread.join(kernel));
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(least * 2 > *most, "{counts:?}");
    });
}

/// A less important thread never runs while a more important one wants the only CPU.
fn the_less_important_wait(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let low = Counter::default();
        let mine = low.clone();
        let thread = spawn(kernel, "low", 10, move |_| _ = mine.add());
        compute(kernel, 30_000_000);
        kernel.yield_now();
        assert_eq!(low.get(), 0);
        thread.join(kernel);
    });
}

/// An owner whose push ends gives way at once.
fn lowering_a_running_thread_lets_a_better_one_in(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let runs = Counter::default();
        let theirs = runs.clone();
        let other = spawn(kernel, "other", 50, move |_| _ = theirs.add());
        assert_eq!(runs.get(), 0);
        kernel.current().set_priority(kernel, 40);
        assert_eq!(runs.get(), 1);
        kernel.current().set_priority(kernel, band::KERNEL);
        other.join(kernel);
    });
}

table! {
    the_most_important_thread_runs_first,
    s2_a_waking_thread_preempts_the_least_important_cpu,
    s2_a_waking_thread_takes_another_cpu_than_the_one_that_woke_it,
    s2_two_that_wake_together_get_a_cpu_each,
    s3_a_preempted_thread_keeps_the_rest_of_its_quantum_and_no_more,
    s3_threads_of_a_level_take_turns,
    the_less_important_wait,
    lowering_a_running_thread_lets_a_better_one_in,
}
