//! Saying that something is wrong: a violation in the trace, a line with a backtrace on the console.

use alloc::string::String;
use core::fmt::{self, Write};

use mach::KernelRef;
use trace::{Event, Kind};

/// Frames that a report shows.
const FRAMES: usize = 16;

/// Writes `message` and the caller's return addresses, innermost first, to the console (OSReportWithBacktrace).
/// A machine that has no addresses to show gives the thread instead.
pub fn report_with_backtrace(kernel: &KernelRef, message: fmt::Arguments<'_>) {
    let mut frames = [0; FRAMES];
    let found = kernel.machine().backtrace(&mut frames).min(FRAMES);
    let mut text = String::new();
    for frame in &frames[..found] {
        // Writing to a string does not fail.
        _ = write!(text, " {frame:#x}");
    }
    match found {
        0 => kernel.kprintf(format_args!("{message}, backtrace: thread #{}", kernel.thread_id())),
        _ => kernel.kprintf(format_args!("{message}, backtrace:{text}")),
    }
}

/// Records the violation of `rule` by or of `object` (0 = no registry entry), then panics.
pub(crate) fn violation(kernel: &KernelRef, rule: &str, object: u32, message: fmt::Arguments<'_>) -> ! {
    kernel.trace(Event::new(Kind::Violation).object(object).text(rule));
    panic!("{rule}: {message}")
}
