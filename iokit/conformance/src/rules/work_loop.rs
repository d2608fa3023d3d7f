//! WL1–WL14.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IOReturn, ServiceRef,
    work_loop::{CommandGate, Gated, InterruptSource, TimerPriority, TimerSource, WorkLoop},
};
use mach::{Policy, WaitMode, WaitResult, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock},
    world::{Run, shared},
};

/// A service to own sources, and a loop.
fn owner(kit: &iokit::IoKit) -> (ServiceRef, Arc<WorkLoop>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    (owner, work_loop)
}

fn pause(kit: &iokit::IoKit, ns: u64) {
    kit.kernel().sleep_until(kit.kernel().now() + ns);
}

fn wl1_the_gate_is_recursive_and_in_gate_is_not_on_thread(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        assert!(!work_loop.in_gate() && !work_loop.on_thread());
        work_loop.run_action(|| {
            work_loop.run_action(|| assert!(work_loop.in_gate() && !work_loop.on_thread()));
            assert!(work_loop.in_gate());
        });
        assert!(!work_loop.in_gate());
    });
}

fn wl1_gated_state_touched_off_the_gate_is_a_violation_not_a_panic(lab: &Lab<'_>) {
    lab.violating(&["WL1"], |kit| {
        let (_owner, work_loop) = owner(kit);
        let state = Gated::new(&work_loop, 0);
        work_loop.run_action(|| state.with(|s| *s += 1));
        assert_eq!(state.with(|s| *s), 1);
    });
}

fn wl1_the_gate_excludes(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let state = Arc::new(Gated::new(&work_loop, 0u32));
        let inside = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (work_loop, state, inside) = (work_loop.clone(), state.clone(), inside.clone());
                let body = move |kernel: &mach::KernelRef| {
                    for _ in 0..5 {
                        work_loop.run_action(|| {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            kernel.machine().point(mach::seam::Point::Unmask);
                            state.with(|s| *s += 1);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                };
                kit.kernel().spawn("adder", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        threads.iter().for_each(|t| {
            t.join(kit.kernel());
        });
        assert_eq!(work_loop.run_action(|| state.with(|s| *s)), 15);
    });
}

fn wl2_the_thread_comes_with_the_first_source_that_needs_it(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        work_loop.add_event_source(&gate).unwrap();
        work_loop.remove_event_source(&gate).unwrap();
    });
    let threads = |run: &Run| {
        run.events
            .iter()
            .filter(|e| e.kind == Kind::ThreadStart && e.text_str() == "IOWorkLoop")
            .map(|e| e.arg)
            .collect::<Vec<_>>()
    };
    assert!(runs.iter().all(|r| threads(r).is_empty()));
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let source = InterruptSource::new(&owner, None, 0, |_, _| {}).unwrap();
        work_loop.add_event_source(&source).unwrap();
    });
    assert!(runs.iter().all(|r| threads(r) == [81]));
}

fn wl4_a_pass_walks_the_active_sources_in_order_with_the_gate_held_across(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let order = shared(kit, Vec::new());
        let sources: Vec<_> = (0..3)
            .map(|n| {
                let (order, loop_) = (order.clone(), Arc::downgrade(&work_loop));
                let action = move |_: &ServiceRef, _| {
                    assert!(loop_.upgrade().is_some_and(|l| l.in_gate() && l.on_thread()));
                    order.lock().push(n);
                };
                InterruptSource::new(&owner, None, 0, action).unwrap()
            })
            .collect();
        for source in &sources {
            work_loop.add_event_source(source).unwrap();
        }
        pause(kit, 100_000_000);
        work_loop.run_action(|| sources.iter().rev().for_each(|s| s.interrupt_occurred()));
        pause(kit, 100_000_000);
        assert_eq!(*order.lock(), [0, 1, 2]);
    });
    for run in runs {
        let lines = run.lines(&[Kind::ActionStart, Kind::GateOpen]);
        let first = lines.iter().position(|l| l == "D.action.start").unwrap();
        assert_eq!(lines[first..first + 3], ["D.action.start"; 3], "seed {}", run.seed);
    }
}

fn wl5_a_signal_during_the_pass_is_not_lost(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let source = InterruptSource::new(&owner, None, 0, move |_, n| {
            counted.fetch_add(n as u32, Ordering::SeqCst);
        })
        .unwrap();
        work_loop.add_event_source(&source).unwrap();
        let signaller = source.clone();
        let thread = kit.kernel().spawn("signaller", band::DEFAULT, Policy::Fixed, move |_| {
            (0..20).for_each(|_| signaller.interrupt_occurred());
        });
        (0..20).for_each(|_| source.interrupt_occurred());
        thread.unwrap().join(kit.kernel());
        pause(kit, 10_000_000);
        assert_eq!(count.load(Ordering::SeqCst), 40);
    });
}

fn wl7_adding_twice_is_a_no_op_and_removing_from_another_loop_is_wrong(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, one) = owner(kit);
        let two = WorkLoop::new(&owner);
        let gate = CommandGate::new(&owner);
        assert_eq!(one.remove_event_source(&gate), Ok(()));
        one.add_event_source(&gate).unwrap();
        assert_eq!(two.add_event_source(&gate), Ok(()));
        assert_eq!((one.source_count(), two.source_count()), (1, 0));
        assert_eq!(two.remove_event_source(&gate), Err(IOReturn::BadArgument));
        assert_eq!(one.remove_event_source(&gate), Ok(()));
        assert_eq!(one.source_count(), 0);
    });
}

fn wl7_adding_a_source_does_not_wake_the_loop(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let ran = Arc::new(AtomicBool::new(false));
        let mine = ran.clone();
        let first = InterruptSource::new(&owner, None, 0, |_, _| {}).unwrap();
        work_loop.add_event_source(&first).unwrap();
        pause(kit, 100_000_000);
        let gate =
            TimerSource::new(&owner, TimerPriority::WorkLoop, move |_, _| mine.store(true, Ordering::SeqCst));
        work_loop.add_event_source(&gate).unwrap();
        pause(kit, 100_000_000);
        assert!(!ran.load(Ordering::SeqCst));
    });
}

fn wl9_sleep_gate_drops_all_levels_and_restores_them(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let event = kit.kernel().new_event();
        let (other, go) = (work_loop.clone(), Arc::new(AtomicBool::new(false)));
        let gone = go.clone();
        let waker = kit.kernel().spawn("waker", band::DEFAULT, Policy::Fixed, move |kernel| {
            while !gone.load(Ordering::SeqCst) {
                kernel.sleep_until(kernel.now() + 1_000);
            }
            other.run_action(|| other.wakeup_gate(event, false));
        });
        work_loop.run_action(|| {
            work_loop.run_action(|| {
                go.store(true, Ordering::SeqCst);
                assert_eq!(
                    work_loop.sleep_gate(event, WaitMode::Uninterruptible, None),
                    WaitResult::Awakened
                );
                assert!(work_loop.in_gate());
            });
            assert!(work_loop.in_gate());
        });
        assert!(!work_loop.in_gate());
        waker.unwrap().join(kit.kernel());
    });
}

fn wl9_a_wakeup_without_a_waiter_leaves_no_memory_and_a_deadline_passes(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let event = kit.kernel().new_event();
        work_loop.wakeup_gate(event, false);
        let deadline = kit.kernel().now() + 50_000;
        let result =
            work_loop.run_action(|| work_loop.sleep_gate(event, WaitMode::Uninterruptible, Some(deadline)));
        assert_eq!(result, WaitResult::TimedOut);
        assert!(kit.kernel().now() >= deadline);
    });
}

fn wl10_a_pending_abort_returns_interrupted_without_dropping_the_gate(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let event = kit.kernel().new_event();
        let me = kit.kernel().current();
        me.abort(kit.kernel());
        work_loop.run_action(|| {
            assert_eq!(work_loop.sleep_gate(event, WaitMode::Interruptible, None), WaitResult::Interrupted);
            assert!(work_loop.in_gate());
        });
    });
    let kinds = [Kind::GateClose, Kind::GateOpen, Kind::CommandSleep, Kind::CommandResume];
    assert!(runs.iter().all(|r| r.lines(&kinds)[..3] == ["D.gate.close", "D.gate.sleep", "D.gate.resume"]));
}

fn wl12_the_last_release_ends_the_thread_and_frees_the_sources(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let source = InterruptSource::new(&owner, None, 0, |_, _| {}).unwrap();
        work_loop.add_event_source(&source).unwrap();
        let weak = Arc::downgrade(&source);
        drop(source);
        drop(work_loop);
        pause(kit, 10_000_000);
        assert!(weak.upgrade().is_none());
    });
    for run in runs {
        let ends = |kind| run.events.iter().filter(|e| e.kind == kind).count();
        assert!(ends(Kind::ThreadEnd) >= 1, "seed {}", run.seed);
        assert_eq!(run.lines(&[Kind::SourceRemoved]).len(), 1);
    }
}

fn wl12_the_last_release_from_an_action_on_the_loops_own_thread_is_safe(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let held = shared(kit, None);
        let mine = held.clone();
        let source = InterruptSource::new(&owner, None, 0, move |_, _| {
            drop(mine.take());
        })
        .unwrap();
        work_loop.add_event_source(&source).unwrap();
        let core = Arc::downgrade(&work_loop);
        held.set(Some(work_loop));
        source.interrupt_occurred();
        pause(kit, 10_000_000);
        assert!(core.upgrade().is_none());
        assert_eq!(Arc::strong_count(&source), 1);
    });
}

fn wl13_without_interrupt_sources_everything_runs_on_other_threads(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, |_, _| {});
        work_loop.add_event_source(&gate).unwrap();
        work_loop.add_event_source(&timer).unwrap();
        timer.set_timeout(10_000_000).unwrap();
        gate.run_action(|| Ok(())).unwrap();
        pause(kit, 100_000_000);
        timer.cancel_timeout();
        work_loop.remove_event_source(&gate).unwrap();
        work_loop.remove_event_source(&timer).unwrap();
    });
    for run in runs {
        assert_eq!(run.lines(&[Kind::TimerFire]).len(), 1);
        assert!(run.events.iter().all(|e| e.kind != Kind::ThreadStart || e.text_str() != "IOWorkLoop"));
    }
}

fn wl14_holding_the_gate_for_too_long_is_reported(lab: &Lab<'_>) {
    lab.violating(&["WL14"], |kit| {
        let (_owner, work_loop) = owner(kit);
        work_loop.set_maximum_lock_time(Some(1_000_000));
        work_loop.run_action(|| kit.kernel().delay(2_000_000));
    });
}

fn wl3_in_era_10_4_there_is_one_chain(lab: &Lab<'_>) {
    let runs = lab.everywhere_in("era=10.4", |kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        work_loop.add_event_source(&gate).unwrap();
        work_loop.remove_event_source(&gate).unwrap();
    });
    let thread =
        |r: &Run| r.events.iter().any(|e| e.kind == Kind::ThreadStart && e.text_str() == "IOWorkLoop");
    assert!(runs.iter().all(thread), "a gate is walked like any other source");
}

fn wl8_disabling_all_sources_takes_no_gate(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        let source = InterruptSource::new(&owner, None, 0, |_, _| {}).unwrap();
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, |_, _| {});
        work_loop.add_event_source(&gate).unwrap();
        work_loop.add_event_source(&source).unwrap();
        work_loop.add_event_source(&timer).unwrap();
        let other = work_loop.clone();
        work_loop.run_action(|| {
            let body = move |_: &mach::KernelRef| other.disable_all_event_sources();
            kit.kernel().spawn("disabler", band::DEFAULT, Policy::Fixed, body).unwrap().join(kit.kernel());
        });
        assert!(!source.is_enabled() && !timer.is_enabled());
        pause(kit, 10_000_000);
        assert_eq!(gate.attempt_action(|| Ok(())), Err(IOReturn::NotPermitted));
        work_loop.enable_all_interrupts();
        assert!(source.is_enabled() && !timer.is_enabled());
        work_loop.enable_all_event_sources();
        assert!(timer.is_enabled());
        assert_eq!(gate.run_action(|| Ok(())), Ok(()));
    });
}

table! {
    wl1_the_gate_is_recursive_and_in_gate_is_not_on_thread,
    wl1_gated_state_touched_off_the_gate_is_a_violation_not_a_panic,
    wl1_the_gate_excludes,
    wl2_the_thread_comes_with_the_first_source_that_needs_it,
    wl4_a_pass_walks_the_active_sources_in_order_with_the_gate_held_across,
    wl5_a_signal_during_the_pass_is_not_lost,
    wl7_adding_twice_is_a_no_op_and_removing_from_another_loop_is_wrong,
    wl7_adding_a_source_does_not_wake_the_loop,
    wl9_sleep_gate_drops_all_levels_and_restores_them,
    wl9_a_wakeup_without_a_waiter_leaves_no_memory_and_a_deadline_passes,
    wl10_a_pending_abort_returns_interrupted_without_dropping_the_gate,
    wl12_the_last_release_ends_the_thread_and_frees_the_sources,
    wl12_the_last_release_from_an_action_on_the_loops_own_thread_is_safe,
    wl13_without_interrupt_sources_everything_runs_on_other_threads,
    wl14_holding_the_gate_for_too_long_is_reported,
    wl3_in_era_10_4_there_is_one_chain,
    wl8_disabling_all_sources_takes_no_gate,
}
