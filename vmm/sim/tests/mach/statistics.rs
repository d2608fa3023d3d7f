//! What the kernel's books say.

use mach::{QUANTUM, RunState, WaitMode, band};
use sim::harness::for_seeds;
use std::sync::Arc;

use super::{Counter, compute, hog, spawn};

/// Running, ready and blocked time of a thread add up to its age, and what the CPUs did to theirs.
#[test]
fn every_nanosecond_is_somewhere() {
    for_seeds(2, 0..30, |kernel| {
        let born = kernel.now();
        let threads: Vec<_> = (0..4)
            .map(|n| {
                spawn(kernel, "worker", 40 + n, |kernel| {
                    for _ in 0..5 {
                        compute(kernel, 2_000_000);
                        kernel.delay(1_000_000);
                    }
                    kernel.delay(500 * QUANTUM);
                })
            })
            .collect();
        kernel.delay(20 * QUANTUM);
        let books = kernel.statistics();
        for thread in &threads {
            let times = books.threads.iter().find(|t| t.id == thread.id()).unwrap().times;
            let age = times.running + times.ready + times.blocked;
            assert!(age <= books.time - born && age + 1_000_000 > books.time - born, "{times:?}, {age}");
            assert!(times.running + times.ready >= 10_000_000 && times.blocked >= 5_000_000, "{times:?}");
        }
        let running: u64 = books.threads.iter().map(|t| t.times.running).sum();
        // The second CPU started a little later; a switch itself is nobody's.
        assert!(
            running <= 2 * books.time && running + 2_000_000 > 2 * books.time,
            "{running} {}",
            books.time
        );
        let idle: u64 = books.cpus.iter().map(|cpu| cpu.idle).sum();
        assert!(idle > books.time && idle < 2 * books.time, "{idle}");
    });
}

#[test]
fn a_thread_that_waits_for_a_cpu_is_ready_not_blocked() {
    for_seeds(1, 0..20, |kernel| {
        let stop = Counter::default();
        let first = hog(kernel, (50, mach::Policy::Fixed), &stop);
        let second = hog(kernel, (40, mach::Policy::Fixed), &stop);
        kernel.delay(10 * QUANTUM);
        let (first_books, books) = (first.statistics(kernel), second.statistics(kernel));
        assert_eq!((books.state, books.times.running, books.dispatches), (RunState::Runnable, 0, 0));
        assert!(books.times.ready > 9 * QUANTUM, "{books:?}");
        assert!(first_books.times.running > 9 * QUANTUM, "{first_books:?}");
        stop.set(1);
        first.join(kernel);
        second.join(kernel);
    });
}

#[test]
fn latencies_go_to_the_band_of_the_woken() {
    for_seeds(1, 0..20, |kernel| {
        let count = |band: usize| kernel.statistics().latencies[band].count();
        let (user, system) = (count(3), count(2));
        let work = |kernel: &mach::KernelRef| (0..10).for_each(|_| kernel.delay(100_000));
        let threads = [spawn(kernel, "user", band::DEFAULT, work), spawn(kernel, "system", 70, work)];
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!((count(3) - user, count(2) - system), (10, 10), "a first run is no wake-up");
        let worst = kernel.statistics().latencies[2].percentile(100).unwrap();
        assert!(worst < 1 << 22, "{worst}");
    });
}

/// A woken thread goes back to the CPU that it ran on if that is no worse than another one.
#[test]
fn woken_threads_stay_on_their_cpus() {
    for_seeds(3, 0..50, |kernel| {
        let turns = Counter::default();
        let (events, done) = ([(); 2].map(|()| kernel.new_event()), 30);
        let threads = events.map(|event| {
            let turns = turns.clone();
            spawn(kernel, "stays", band::KERNEL + 2, move |kernel| {
                while turns.get() < done {
                    kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                    kernel.block();
                }
            })
        });
        // This thread keeps its own CPU, and the two others idle. Whoever is woken first would always get the same one. (Woken at once, they
        // would take whichever CPU is interrupted first.)
        for turn in 0..=done {
            compute(kernel, 500_000);
            turns.set(turn);
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            for n in order {
                kernel.wakeup(events[n]);
                compute(kernel, 200_000);
            }
        }
        for thread in threads {
            let books = thread.statistics(kernel);
            assert!(books.wakeups >= done && books.moves <= 4, "{books:?}");
            thread.join(kernel);
        }
    });
}

/// Ping-pong: each wake-up finds the CPU of last time taken.
#[test]
fn a_wake_up_on_another_cpu_is_counted() {
    for_seeds(2, 0..50, |kernel| {
        let (event, stop) = (kernel.new_event(), Arc::new(Counter::default()));
        let until = stop.clone();
        let thread = spawn(kernel, "moves", 50, move |kernel| {
            while until.get() == 0 {
                kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                kernel.block();
            }
        });
        kernel.delay(QUANTUM);
        let before = thread.statistics(kernel);
        // This thread wakes on either CPU and keeps it; what it wakes has to take the other one.
        let mut moved = 0;
        let mut last = before.last_cpu;
        for _ in 0..20 {
            kernel.wakeup(event);
            compute(kernel, QUANTUM);
            let now = thread.statistics(kernel).last_cpu;
            moved += u64::from(now != last);
            last = now;
            kernel.delay(1_000);
        }
        let after = thread.statistics(kernel);
        assert_eq!(after.moves - before.moves, moved, "{after:?}");
        stop.set(1);
        kernel.wakeup(event);
        thread.join(kernel);
    });
}
