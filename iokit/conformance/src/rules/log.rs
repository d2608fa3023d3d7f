//! S9: IOLog and kprintf.

use crate::prelude::*;
use mach::{KernelRef, LOG_BYTES, LOG_DRAIN, WaitMode};

use crate::{
    run::Run,
    threads::{compute, spawn},
};

/// What tests log before the end.
const LAST: &str = "last words";

/// The console of each run of `body`, on two CPUs.
fn consoles(lab: &Lab<'_>, body: impl Fn(&KernelRef) + Send + Sync + 'static) -> Vec<Vec<String>> {
    lab.kernel(2, 1, body).into_iter().map(|run| run.console).collect()
}

fn start_with_a_line(kernel: &KernelRef) {
    kernel.start_log().unwrap();
    kernel.log(format_args!("{LAST}"));
}

fn s9_the_log_is_written_later_and_kprintf_at_once(lab: &Lab<'_>) {
    let consoles = consoles(lab, |kernel| {
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
    for lines in consoles {
        assert_eq!(lines, ["printed", "not yet", "logged", "in time", "drained", "again", "end"]);
    }
}

fn s9_what_does_not_fit_is_counted_and_said(lab: &Lab<'_>) {
    let consoles = consoles(lab, |kernel| {
        kernel.start_log().unwrap();
        let line = "x".repeat(LOG_BYTES / 16 - 1);
        for _ in 0..19 {
            kernel.log(format_args!("{line}"));
        }
        kernel.delay(2 * LOG_DRAIN);
        kernel.log(format_args!("room again"));
        kernel.flush_log();
    });
    for lines in consoles {
        assert_eq!(lines.len(), 18, "{lines:?}");
        assert_eq!(lines[16..], ["IOLog: 3 lines lost", "room again"]);
    }
}

/// Before the log is started, or with `io=0x200000`, which keeps it from being started.
fn s9_without_its_thread_the_log_is_synchronous(lab: &Lab<'_>) {
    let consoles = consoles(lab, |kernel| {
        kernel.log(format_args!("one"));
        kernel.kprintf(format_args!("two"));
        kernel.log(format_args!("three"));
    });
    for lines in consoles {
        assert_eq!(lines, ["one", "two", "three"]);
    }
}

/// However the run ends, what was logged is not lost.
fn s9_what_waits_is_written_at_the_end(lab: &Lab<'_>) {
    for lines in consoles(lab, start_with_a_line) {
        assert_eq!(lines, [LAST]);
    }
}

fn assert_last_words(runs: &[Run]) {
    for run in runs {
        let said = run.console.iter().filter(|line| *line == LAST).count();
        assert_eq!(said, 1, "{:?}", run.console);
    }
}

fn s9_what_waits_is_written_when_the_kernel_panics(lab: &Lab<'_>) {
    assert_last_words(&lab.kernel_panicking(2, &["on purpose"], |kernel| {
        start_with_a_line(kernel);
        panic!("on purpose");
    }));
}

fn s9_what_waits_is_written_when_the_kernel_cannot_go_on(lab: &Lab<'_>) {
    assert_last_words(&lab.kernel_panicking(2, &["on purpose"], |kernel| {
        start_with_a_line(kernel);
        kernel.machine().fatal(format_args!("on purpose"));
    }));
}

/// Nothing is armed for an empty log: an idle machine is still seen to be one.
fn s9_an_empty_log_does_not_hide_a_deadlock(lab: &Lab<'_>) {
    assert_last_words(&lab.kernel_hanging(2, |kernel| {
        start_with_a_line(kernel);
        let event = kernel.new_event();
        kernel.assert_wait(event, WaitMode::Uninterruptible, None);
        kernel.block();
    }));
}

/// Lines of many threads stay whole, whoever writes them out meanwhile.
fn s9_lines_stay_whole(lab: &Lab<'_>) {
    let consoles = consoles(lab, |kernel| {
        kernel.start_log().unwrap();
        let talk = |n: u8| {
            move |kernel: &KernelRef| {
                for line in 0..10 {
                    kernel.log(format_args!("thread {n} line {line}"));
                    compute(kernel, 20_000);
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|n| spawn(kernel, "talker", 40 + n, talk(n))).collect();
        kernel.flush_log();
        threads.iter().for_each(|thread| thread.join(kernel));
    });
    let mut wanted: Vec<_> =
        (0..4).flat_map(|n| (0..10).map(move |line| format!("thread {n} line {line}"))).collect();
    wanted.sort();
    for mut lines in consoles {
        lines.sort();
        assert_eq!(lines, wanted);
    }
}

table! {
    s9_the_log_is_written_later_and_kprintf_at_once,
    s9_what_does_not_fit_is_counted_and_said,
    s9_without_its_thread_the_log_is_synchronous,
    s9_what_waits_is_written_at_the_end,
    s9_what_waits_is_written_when_the_kernel_panics,
    s9_what_waits_is_written_when_the_kernel_cannot_go_on,
    s9_an_empty_log_does_not_hide_a_deadlock,
    s9_lines_stay_whole,
}
