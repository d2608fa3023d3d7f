//! IOLog and kprintf (S9).

use mach::{KernelRef, LOG_BYTES, LOG_DRAIN};
use sim::{Ended, Outcome, Sim, harness};

use super::{compute, spawn};

fn console(seed: u64, body: impl FnOnce(&KernelRef) + Send + 'static) -> Vec<String> {
    let (outcome, events) = harness::traced(Sim::builder().cpus(2).seed(seed), body);
    assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {}", harness::report(&outcome, &events));
    assert_eq!(outcome.kernel_references, 0, "the log keeps the kernel alive");
    outcome.console
}

#[test]
fn s9_the_log_is_written_later_and_kprintf_at_once() {
    for seed in 0..20 {
        let lines = console(seed, |kernel| {
            kernel.start_log().unwrap();
            kernel.log(format_args!("logged"));
            kernel.kprintf(format_args!("printed"));
            kernel.delay(LOG_DRAIN - 100_000_000);
            kernel.kprintf(format_args!("not yet"));
            kernel.log(format_args!("in time"));
            kernel.delay(200_000_000);
            kernel.kprintf(format_args!("drained"));
            kernel.log(format_args!("again"));
            kernel.delay(LOG_DRAIN + 100_000_000);
            kernel.kprintf(format_args!("end"));
        });
        assert_eq!(
            lines,
            ["printed", "not yet", "logged", "in time", "drained", "again", "end"],
            "seed {seed}"
        );
    }
}

#[test]
fn s9_what_does_not_fit_is_counted_and_said() {
    for seed in 0..10 {
        let lines = console(seed, |kernel| {
            kernel.start_log().unwrap();
            let line = "x".repeat(LOG_BYTES / 4 - 1);
            for _ in 0..7 {
                kernel.log(format_args!("{line}"));
            }
            kernel.delay(2 * LOG_DRAIN);
            kernel.log(format_args!("room again"));
            kernel.flush_log();
        });
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert_eq!(lines[4..], ["IOLog: 3 lines lost", "room again"]);
    }
}

/// Before the log is started, or with `io=0x200000`, which keeps it from being started.
#[test]
fn s9_without_its_thread_the_log_is_synchronous() {
    let lines = console(0, |kernel| {
        kernel.log(format_args!("one"));
        kernel.kprintf(format_args!("two"));
        kernel.log(format_args!("three"));
    });
    assert_eq!(lines, ["one", "two", "three"]);
}

fn fails(body: impl FnOnce(&KernelRef) + Send + 'static) -> Outcome {
    harness::traced(Sim::builder().cpus(2).seed(3), |kernel| {
        kernel.start_log().unwrap();
        kernel.log(format_args!("last words"));
        body(kernel);
    })
    .0
}

/// However the run ends, what was logged is not lost.
#[test]
fn s9_what_waits_is_written_at_the_end() {
    assert_eq!(
        console(1, |kernel| {
            kernel.start_log().unwrap();
            kernel.log(format_args!("last words"));
        }),
        ["last words"]
    );
    let failed = fails(|_| panic!("on purpose"));
    assert!(matches!(failed.ended, Ended::Fatal { .. }), "{failed:?}");
    assert_eq!(failed.console, ["last words"]);
    let failed = fails(|kernel| kernel.machine().fatal(format_args!("on purpose")));
    assert!(matches!(failed.ended, Ended::Fatal { .. }), "{failed:?}");
    assert_eq!(failed.console, ["on purpose", "last words"]);
}

/// Nothing is armed for an empty log: an idle machine is still seen to be one.
#[test]
fn s9_an_empty_log_does_not_hide_a_deadlock() {
    let hang = |kernel: &KernelRef| {
        let event = kernel.new_event();
        kernel.assert_wait(event, mach::WaitMode::Uninterruptible, None);
        kernel.block();
    };
    let outcome = fails(hang);
    assert_eq!(outcome.ended, Ended::Deadlock);
    assert_eq!(outcome.console, ["last words"]);
}

/// Lines of many threads stay whole, whoever writes them out meanwhile.
#[test]
fn s9_lines_stay_whole() {
    for seed in 0..30 {
        let mut lines = console(seed, |kernel| {
            kernel.start_log().unwrap();
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    spawn(kernel, "talker", 40 + n, move |kernel| {
                        for line in 0..10 {
                            kernel.log(format_args!("thread {n} line {line}"));
                            compute(kernel, 20_000);
                        }
                    })
                })
                .collect();
            kernel.flush_log();
            threads.iter().for_each(|thread| thread.join(kernel));
        });
        lines.sort();
        let mut wanted: Vec<_> =
            (0..4).flat_map(|n| (0..10).map(move |line| format!("thread {n} line {line}"))).collect();
        wanted.sort();
        assert_eq!(lines, wanted, "seed {seed}");
    }
}
