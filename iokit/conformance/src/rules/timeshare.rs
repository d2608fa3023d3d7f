//! Timeshare (S4).

use crate::prelude::*;
use crate::sync::Arc;
use mach::{KernelRef, Policy, QUANTUM, Thread, band, policy::TICK};

use crate::threads::{Counter, compute, hog, spawn, spawn_as};

const USER: (u8, Policy) = (band::DEFAULT, Policy::Timeshare);

fn usage(kernel: &KernelRef, thread: &Thread) -> u64 {
    thread.statistics(kernel).usage
}

fn s4_priority_does_not_sink_while_there_are_cpus_enough(lab: &Lab<'_>) {
    lab.kernel(2, 8, |kernel| {
        // This thread blocks in `join` while they wait: then two compute, on two CPUs.
        let alone = [(); 2].map(|()| {
            spawn_as(kernel, "alone", USER, |kernel| {
                kernel.delay(TICK);
                // What it computed while the thread that made it did too.
                let at_first = usage(kernel, &kernel.current());
                assert!(at_first < QUANTUM / 100, "{at_first} ns");
                for n in 0..25 {
                    compute(kernel, QUANTUM);
                    let me = kernel.current().statistics(kernel);
                    // When the other one ends, the thread that waits for it is a third for a moment.
                    if n < 20 {
                        assert_eq!(me.priority, band::DEFAULT);
                        assert!(me.usage <= at_first, "{me:?}");
                    }
                }
            })
        });
        alone.iter().for_each(|thread| thread.join(kernel));
    });
}

fn s4_priority_sinks_with_usage_while_threads_compete(lab: &Lab<'_>) {
    lab.kernel(1, 10, |kernel| {
        let stop = Counter::default();
        let hogs = [(); 2].map(|()| hog(kernel, USER, &stop));
        kernel.delay(4 * TICK);
        for hog in &hogs {
            let sunk = band::DEFAULT - hog.priority(kernel);
            // Half of a CPU each: 5/6 of a tick of usage, and the shift is 22.
            assert!((5..=30).contains(&sunk), "{sunk} levels, {} ns", usage(kernel, hog));
        }
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}

/// What the formula says of threads that wait in their run queue. With this thread, which makes them wait when it wakes, they are three or four.
fn s4_priority_is_base_less_shifted_usage(lab: &Lab<'_>) {
    lab.kernel(1, 10, |kernel| {
        let stop = Counter::default();
        let hogs = [(); 3].map(|()| hog(kernel, USER, &stop));
        for _ in 0..30 {
            kernel.delay(TICK / 7);
            let found = hogs.iter().map(|hog| hog.statistics(kernel));
            // Nobody of them runs while this thread does.
            for thread in found {
                let level = |usage: u64, shift: u32| band::DEFAULT - (usage >> shift).min(30) as u8;
                // Its tick may not have come yet.
                let (low, high) = (level(thread.usage * 8 / 5 + 2, 21), level(thread.usage, 22));
                assert!((low..=high).contains(&thread.priority), "{low}–{high}: {thread:?}");
            }
        }
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}

fn s4_usage_ages_by_five_eighths_a_tick(lab: &Lab<'_>) {
    lab.kernel(1, 8, |kernel| {
        // Ticks are at multiples of their length.
        let start = kernel.now().next_multiple_of(TICK);
        kernel.sleep_until(start);
        let (go, stop) = (kernel.new_event(), Counter::default());
        let other = hog(kernel, USER, &stop);
        let sleeper = spawn_as(kernel, "sleeper", USER, move |kernel| {
            compute(kernel, 3 * QUANTUM);
            kernel.assert_wait(go, mach::WaitMode::Uninterruptible, None);
            kernel.block();
        });
        kernel.sleep_until(start + TICK - 1_000_000);
        let mut wanted = usage(kernel, &sleeper);
        assert!(wanted >= QUANTUM, "{wanted} ns, by a thread that had to compete");
        for tick in 1..=6 {
            kernel.sleep_until(start + tick * TICK + 2_000_000);
            wanted = wanted * 5 / 8;
            assert_eq!(usage(kernel, &sleeper), wanted, "tick {tick}");
        }
        stop.set(1);
        kernel.wakeup(go);
        sleeper.join(kernel);
        other.join(kernel);
    });
}

/// Who mostly sleeps gets the CPU at once, from those of the same base who do not.
fn s4_an_interactive_thread_preempts_those_who_compute(lab: &Lab<'_>) {
    lab.kernel(1, 5, |kernel| {
        let stop = Counter::default();
        let hogs = [(); 3].map(|()| hog(kernel, USER, &stop));
        kernel.delay(3 * TICK);
        let interactive = spawn_as(kernel, "interactive", USER, |kernel| {
            for _ in 0..10 {
                let wanted = kernel.now() + 3 * QUANTUM;
                kernel.sleep_until(wanted);
                let late = kernel.now() - wanted;
                assert!(late < QUANTUM / 2, "{late} ns late: had to wait for others' quanta");
                compute(kernel, 100_000);
            }
        });
        interactive.join(kernel);
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}

/// A base a few levels lower is a smaller share, not none.
fn s4_the_less_important_are_not_starved(lab: &Lab<'_>) {
    lab.kernel(1, 4, |kernel| {
        let stop = Counter::default();
        let high = hog(kernel, USER, &stop);
        let low = hog(kernel, (band::DEFAULT - 6, Policy::Timeshare), &stop);
        kernel.delay(12 * TICK);
        let [high_ran, low_ran] = [&high, &low].map(|thread| thread.statistics(kernel).times.running);
        assert!(low_ran > TICK / 2 && low_ran < high_ran, "{low_ran} ns beside {high_ran} ns");
        stop.set(1);
        high.join(kernel);
        low.join(kernel);
    });
}

/// One that waited through many ticks while fixed threads had all CPUs comes back to its base.
fn s4_waiting_in_the_run_queue_lifts_again(lab: &Lab<'_>) {
    lab.kernel(1, 4, |kernel| {
        let (stop, free) = (Counter::default(), Counter::default());
        let sunk = [(); 3].map(|()| hog(kernel, USER, &stop));
        kernel.delay(3 * TICK);
        assert!(sunk.iter().all(|thread| thread.priority(kernel) < band::DEFAULT));
        let fixed = hog(kernel, (band::FOREGROUND, Policy::Fixed), &free);
        kernel.delay(8 * TICK);
        for thread in &sunk {
            assert_eq!(thread.priority(kernel), band::DEFAULT, "{:?}", thread.statistics(kernel));
        }
        free.set(1);
        stop.set(1);
        fixed.join(kernel);
        sunk.iter().for_each(|thread| thread.join(kernel));
    });
}

/// S7 goes before S4: whoever holds what a work loop wants does not sink meanwhile.
fn s4_a_push_holds_however_far_the_owner_sinks(lab: &Lab<'_>) {
    lab.kernel(1, 5, |kernel| {
        let stop = Counter::default();
        let lock = Arc::new(mach::RecursiveLock::new(kernel));
        let (theirs, until) = (lock.clone(), stop.clone());
        let owner = spawn_as(kernel, "owner", USER, move |kernel| {
            theirs.lock(kernel);
            until.spin_until(kernel, 1);
            theirs.unlock(kernel);
        });
        let other = hog(kernel, USER, &stop);
        kernel.delay(3 * TICK);
        let waiter = spawn(kernel, "waiter", 70, move |kernel| {
            lock.lock(kernel);
            lock.unlock(kernel);
        });
        kernel.delay(2 * TICK);
        assert_eq!(owner.priority(kernel), 70);
        stop.set(1);
        waiter.join(kernel);
        assert!(owner.priority(kernel) <= band::DEFAULT);
        owner.join(kernel);
        other.join(kernel);
    });
}

table! {
    s4_priority_does_not_sink_while_there_are_cpus_enough,
    s4_priority_sinks_with_usage_while_threads_compete,
    s4_priority_is_base_less_shifted_usage,
    s4_usage_ages_by_five_eighths_a_tick,
    s4_an_interactive_thread_preempts_those_who_compute,
    s4_the_less_important_are_not_starved,
    s4_waiting_in_the_run_queue_lifts_again,
    s4_a_push_holds_however_far_the_owner_sinks,
}
