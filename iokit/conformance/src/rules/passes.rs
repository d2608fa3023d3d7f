//! WL3, WL4, WL6, WL7, WL13: what makes a pass and what a pass does.

use crate::prelude::*;
use crate::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IoKit, ServiceRef,
    work_loop::{CommandGate, InterruptSource, TimerPriority, TimerSource, WorkLoop},
};
use trace::{Event, Kind};

use crate::{
    mock::{DRIVER, Mock},
    world::{Run, interrupt, pause, shared, thread},
};

/// Time in which a loop that has something to do has done it.
const WHILE: u64 = 10_000_000;

fn owner(kit: &IoKit) -> (ServiceRef, Arc<WorkLoop>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    (owner, work_loop)
}

fn software(
    owner: &ServiceRef,
    action: impl Fn(&ServiceRef, i32) + Send + Sync + 'static,
) -> Arc<InterruptSource> {
    InterruptSource::new(owner, None, 0, action).unwrap()
}

/// A mark in the trace that a test can find again.
fn mark(kit: &IoKit, owner: &ServiceRef, number: u64) {
    kit.kernel().trace(Event::new(Kind::IoIssue).object(owner.id()).arg(number));
}

/// Passes of the loop's thread between the marks `from` and `to`.
fn passes(run: &Run, from: u64, to: u64) -> usize {
    let at = |n| run.events.iter().position(|e| e.kind == Kind::IoIssue && e.arg == n).expect("a mark");
    let [(loop_thread, _)] = run.threads_called("IOWorkLoop")[..] else { panic!("one loop thread") };
    let closes = |e: &&Event| e.kind == Kind::GateClose && e.thread == loop_thread;
    run.events[at(from)..at(to)].iter().filter(closes).count()
}

fn wl3_command_gates_and_ordinary_timers_are_walked_until_10_4_only(lab: &Lab<'_>) {
    for (era, walked) in [("10.3", true), ("10.4", true), ("10.5", false), ("modern", false)] {
        for work_loop_timer in [false, true] {
            let runs = lab.everywhere_in(&format!("era={era}"), move |kit| {
                let (owner, work_loop) = owner(kit);
                let priority =
                    if work_loop_timer { TimerPriority::WorkLoop } else { TimerPriority::ThreadCall };
                let timer = TimerSource::new(&owner, priority, |_, _| {});
                let gate = CommandGate::new(&owner);
                work_loop.add_event_source(&timer).unwrap();
                work_loop.add_event_source(&gate).unwrap();
                assert_eq!(work_loop.source_count(), 2);
                work_loop.remove_event_source(&timer).unwrap();
                work_loop.remove_event_source(&gate).unwrap();
                assert_eq!(work_loop.source_count(), 0);
            });
            for run in runs {
                let threads = run.threads_called("IOWorkLoop").len();
                assert_eq!(threads, usize::from(walked || work_loop_timer), "era {era}, seed {}", run.seed);
            }
        }
    }
}

fn wl4_a_source_that_an_action_adds_starts_the_pass_again_from_the_head(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let order = shared(kit, Vec::new());
        let (mine, theirs, its) = (order.clone(), order.clone(), order.clone());
        let late = software(&owner, move |_, _| mine.lock().push("late"));
        let (first, handle) = (Arc::new(OnceLock::<Arc<InterruptSource>>::new()), Arc::downgrade(&work_loop));
        let (again, added) = (first.clone(), late.clone());
        let adds = software(&owner, move |_, _| {
            theirs.lock().push("adds");
            handle.upgrade().unwrap().add_event_source(&added).unwrap();
            added.interrupt_occurred();
            again.get().unwrap().interrupt_occurred();
        });
        let head = software(&owner, move |_, _| its.lock().push("head"));
        first.set(head.clone());
        let after = order.clone();
        let tail = software(&owner, move |_, _| after.lock().push("tail"));
        for source in [&head, &adds, &tail] {
            work_loop.add_event_source(source).unwrap();
        }
        pause(kit, WHILE);
        work_loop.run_action(|| {
            adds.interrupt_occurred();
            tail.interrupt_occurred();
        });
        pause(kit, WHILE);
        assert_eq!(*order.lock(), ["adds", "head", "tail", "late"]);
    });
    for run in runs {
        let lines = run.lines(&[Kind::ActionStart, Kind::GateOpen]);
        let at = lines.iter().position(|l| l == "D.action.start").unwrap();
        assert_eq!(lines[at..at + 4], ["D.action.start"; 4], "seed {}: one closing of the gate", run.seed);
    }
}

fn wl4_more_work_repeats_the_walk_without_opening_the_gate(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let own = Arc::new(OnceLock::<Weak<InterruptSource>>::new());
        let (again, left) = (own.clone(), AtomicU32::new(3));
        let source = software(&owner, move |_, n| {
            assert_eq!(n, 1);
            if left.fetch_sub(1, Ordering::SeqCst) > 1 {
                again.get().and_then(Weak::upgrade).unwrap().interrupt_occurred();
            }
        });
        own.set(Arc::downgrade(&source));
        work_loop.add_event_source(&source).unwrap();
        pause(kit, WHILE);
        source.interrupt_occurred();
        pause(kit, WHILE);
    });
    for run in runs {
        let lines = run.lines(&[Kind::ActionStart, Kind::GateOpen]);
        let at = lines.iter().position(|l| l == "D.action.start").unwrap();
        assert_eq!(lines[at..at + 3], ["D.action.start"; 3], "seed {}", run.seed);
    }
}

fn wl4_a_source_that_is_removed_during_the_pass_is_not_asked(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let ran = Arc::new(AtomicBool::new(false));
        let (seen, handle) = (ran.clone(), Arc::downgrade(&work_loop));
        let second = software(&owner, move |_, _| seen.store(true, Ordering::SeqCst));
        let victim = second.clone();
        let first = software(&owner, move |_, _| {
            handle.upgrade().unwrap().remove_event_source(&victim).unwrap();
        });
        work_loop.add_event_source(&first).unwrap();
        work_loop.add_event_source(&second).unwrap();
        pause(kit, WHILE);
        work_loop.run_action(|| {
            first.interrupt_occurred();
            second.interrupt_occurred();
        });
        pause(kit, WHILE);
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(work_loop.source_count(), 1);
    });
}

fn wl6_work_is_signalled_at_primary_interrupt_level(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let source = software(&owner, move |me, n| {
            assert!(!me.kernel().in_interrupt());
            counted.fetch_add(n as u32, Ordering::SeqCst);
        });
        work_loop.add_event_source(&source).unwrap();
        let interrupts = kit.kernel().interrupts();
        let vector = interrupts.allocate_vector(kit.kernel()).unwrap();
        let signalled = source.clone();
        interrupts.register(
            kit.kernel(),
            vector,
            Arc::new(move |kernel: &mach::KernelRef| {
                assert!(kernel.in_interrupt());
                signalled.interrupt_occurred();
            }),
        );
        interrupts.enable(kit.kernel(), vector);
        let other = thread(kit, move |kernel| (0..5).for_each(|_| interrupt(kernel, vector)));
        (0..5).for_each(|_| interrupt(kit.kernel(), vector));
        other.join(kit.kernel());
        pause(kit, WHILE);
        assert_eq!(count.load(Ordering::SeqCst), 10);
        interrupts.free_vector(kit.kernel(), vector);
    });
}

fn wl7_neither_adding_nor_what_was_counted_before_wakes_the_loop(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let first = software(&owner, |_, _| {});
        work_loop.add_event_source(&first).unwrap();
        pause(kit, WHILE);
        mark(kit, &owner, 1);
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let second = software(&owner, move |_, n| {
            counted.fetch_add(n as u32, Ordering::SeqCst);
        });
        second.interrupt_occurred();
        work_loop.add_event_source(&second).unwrap();
        pause(kit, WHILE);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        mark(kit, &owner, 2);
        first.interrupt_occurred();
        pause(kit, WHILE);
        assert_eq!(count.load(Ordering::SeqCst), 1, "the next pass asks it");
    });
    runs.iter().for_each(|run| assert_eq!(passes(run, 1, 2), 0, "seed {}", run.seed));
}

fn wl7_adding_and_removing_wait_for_the_gate(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        for add in [true, false] {
            let done = Arc::new(AtomicBool::new(false));
            let (seen, its_loop, its_gate) = (done.clone(), work_loop.clone(), gate.clone());
            let other = work_loop.run_action(|| {
                let other = thread(kit, move |_| {
                    match add {
                        true => its_loop.add_event_source(&its_gate).unwrap(),
                        false => its_loop.remove_event_source(&its_gate).unwrap(),
                    }
                    seen.store(true, Ordering::SeqCst);
                });
                pause(kit, WHILE);
                assert!(!done.load(Ordering::SeqCst));
                other
            });
            other.join(kit.kernel());
            assert!(done.load(Ordering::SeqCst));
        }
    });
}

fn wl13_a_plain_enable_causes_a_pass(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let source = software(&owner, |_, _| {});
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, |_, _| {});
        work_loop.add_event_source(&source).unwrap();
        work_loop.add_event_source(&timer).unwrap();
        timer.disable();
        pause(kit, WHILE);
        mark(kit, &owner, 1);
        timer.enable();
        pause(kit, WHILE);
        mark(kit, &owner, 2);
        timer.disable();
        pause(kit, WHILE);
        mark(kit, &owner, 3);
        work_loop.remove_event_source(&timer).unwrap();
    });
    for run in runs {
        assert_eq!((passes(&run, 1, 2), passes(&run, 2, 3)), (1, 0), "seed {}", run.seed);
    }
}

table! {
    wl3_command_gates_and_ordinary_timers_are_walked_until_10_4_only,
    wl4_a_source_that_an_action_adds_starts_the_pass_again_from_the_head,
    wl4_more_work_repeats_the_walk_without_opening_the_gate,
    wl4_a_source_that_is_removed_during_the_pass_is_not_asked,
    wl6_work_is_signalled_at_primary_interrupt_level,
    wl7_neither_adding_nor_what_was_counted_before_wakes_the_loop,
    wl7_adding_and_removing_wait_for_the_gate,
    wl13_a_plain_enable_causes_a_pass,
}
