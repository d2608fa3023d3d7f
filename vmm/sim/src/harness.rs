//! Runs kernel code on simulated CPUs: what the tests of the kernel's own crates use.
//!
//! ```
//! // A test: this must hold under every schedule of two CPUs that the first 20 seeds give.
//! sim::harness::for_seeds(2, 0..20, |kernel| {
//!     let event = kernel.new_event();
//!     assert_eq!(kernel.wakeup(event), 0);
//! });
//! ```

use std::{ops::Range, sync::Arc};

use mach::KernelRef;
use trace::Event;

use crate::{Ended, Outcome, Sim};

/// Runs `body` on the first thread of a new kernel with `cpus` CPUs and the schedule of `seed`.
///
/// The run is done when `body` returns; other threads are then dropped where they are. A failed assertion in any thread ends
/// the run with [`Ended::Fatal`].
///
/// # Panics
/// If the machine cannot be started: no memory, or `cpus` is not 1–8.
pub fn run_kernel(cpus: usize, seed: u64, body: impl FnOnce(&KernelRef) + Send + 'static) -> Outcome {
    traced(Sim::builder().cpus(cpus).seed(seed), body).0
}

/// Runs `body` like [`run_kernel`] on a machine that the caller has put together, and keeps the trace.
///
/// # Panics
/// If the machine cannot be started.
pub fn traced(sim: Sim<'_>, body: impl FnOnce(&KernelRef) + Send + 'static) -> (Outcome, Vec<Event>) {
    let mut events = Vec::new();
    match sim.run_kernel(body, &mut |event| events.push(*event)) {
        Ok(outcome) => (outcome, events),
        Err(error) => panic!("{error}"),
    }
}

/// Runs `body` under the schedule of each seed in turn, with a new kernel each.
///
/// # Panics
/// At the first seed whose run does not end with [`Ended::Done`], or leaves references to its kernel behind: with the seed, how the run
/// ended, its console and its last events.
pub fn for_seeds(cpus: usize, seeds: Range<u64>, body: impl Fn(&KernelRef) + Send + Sync + 'static) {
    let body = Arc::new(body);
    for seed in seeds {
        let body = body.clone();
        let (outcome, events) = traced(Sim::builder().cpus(cpus).seed(seed), move |kernel| body(kernel));
        if outcome.ended != Ended::Done || outcome.kernel_references != 0 {
            panic!("{cpus} CPUs, seed {seed}: {}", report(&outcome, &events));
        }
    }
}

/// What a person wants to see of a run that failed: how it ended, the last console lines, the last events.
pub fn report(outcome: &Outcome, events: &[Event]) -> String {
    const LAST: usize = 40;
    let mut text = format!("{:#?}\n", outcome);
    for event in &events[events.len().saturating_sub(LAST)..] {
        let Event { time, cpu, thread, object, other, arg, .. } = event;
        let (word, name) = (event.kind.word(), event.text_str());
        text += &format!("{time:>12} cpu{cpu} thread {thread:<4} {word} {object} {other} {arg:#x} {name}\n");
    }
    text
}
