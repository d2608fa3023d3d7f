//! What the hot paths do not do: allocate, and switch contexts more often than they must.
//!
//! Measured in a simulated machine that nobody traces, on the one OS thread that all its fibres share.
#![forbid(unsafe_code)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use iokit::{
    BootArgs, Class, IoKit, ServiceBuilder, ServiceRef,
    service::Plain,
    work_loop::{CommandGate, InterruptSource, WorkLoop},
};
use mach::{KernelRef, WaitMode};
use sim::{Ended, Limits, Sim, chooser::Plain as PlainSchedule};

/// Turns before it counts: queues and lists have grown to their size then.
const WARM_UP: u32 = 100;
/// Turns that count.
const TURNS: u32 = 1_000;

static OWNER: Class = Class::new("AllocationOwner", &iokit::class::IO_SERVICE);

/// Runs `body` with IOKit on one CPU; what it answers.
fn inside<R: Send + 'static>(body: impl FnOnce(&IoKit, &ServiceRef) -> R + Send + 'static) -> R {
    let (tell, told) = std::sync::mpsc::channel();
    let sim = Sim::builder().cpus(1).chooser(Box::new(PlainSchedule)).limits(Limits::NONE).untraced();
    let whole = move |kernel: &KernelRef| {
        let kit = iokit::start(kernel, &BootArgs::default());
        let owner = ServiceBuilder::new(&kit, Box::new(Plain(&OWNER))).named("owner").build();
        tell.send(body(&kit, &owner)).expect("somebody listens");
        drop(owner);
        kit.shutdown();
    };
    let outcome = sim.run_kernel(whole, &mut |_| {}).expect("a machine");
    assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
    told.recv().expect("an answer")
}

/// Times that a CPU switched to any thread so far.
fn switches(kernel: &KernelRef) -> u64 {
    kernel.statistics().threads.iter().map(|thread| thread.dispatches).sum()
}

/// Allocations and context switches of [`TURNS`] turns.
fn cost(kernel: &KernelRef, mut turn: impl FnMut()) -> (u64, u64) {
    (0..WARM_UP).for_each(|_| turn());
    let before = switches(kernel);
    let allocated = allocation_counter::measure(|| (0..TURNS).for_each(|_| turn()));
    (allocated.count_total, switches(kernel) - before)
}

#[test]
fn an_uncontended_run_action_neither_allocates_nor_switches() {
    let cost = inside(|kit, owner| {
        let work_loop = WorkLoop::new(owner);
        let gate = CommandGate::new(owner);
        work_loop.add_event_source(&gate).expect("a gate");
        cost(kit.kernel(), || gate.run_action(|| Ok(())).expect("an action"))
    });
    assert_eq!(cost, (0, 0));
}

#[test]
fn from_the_interrupt_to_the_action_nothing_is_allocated_and_there_is_one_switch_each_way() {
    let (allocated, switched) = inside(|kit, owner| {
        let kernel = kit.kernel().clone();
        let work_loop = WorkLoop::new(owner);
        let runs = Arc::new(AtomicU64::new(0));
        let (count, event) = (runs.clone(), kernel.new_event());
        let action = move |me: &ServiceRef, _| {
            count.fetch_add(1, Ordering::Relaxed);
            me.kernel().wakeup(event);
        };
        let source = InterruptSource::new(owner, None, 0, action).expect("a source");
        work_loop.add_event_source(&source).expect("a thread");
        let cost = cost(&kernel, || {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            source.interrupt_occurred();
            kernel.block();
        });
        assert_eq!(runs.load(Ordering::Relaxed), u64::from(WARM_UP + TURNS));
        cost
    });
    assert_eq!(allocated, 0);
    // To the loop's thread, and back to who waits for the action.
    assert_eq!(switched, 2 * u64::from(TURNS));
}
