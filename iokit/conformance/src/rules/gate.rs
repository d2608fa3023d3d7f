//! WL9–WL11, WL14: the gate itself.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IoKit, ServiceRef,
    work_loop::{CommandGate, WorkLoop},
};
use mach::{WaitMode, WaitResult};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock},
    world::{pause, thread, until},
};

fn owner(kit: &IoKit) -> (ServiceRef, Arc<WorkLoop>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    (owner, work_loop)
}

fn wl9_the_gate_is_no_part_of_what_a_sleeper_waits_for(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let other = WorkLoop::new(&owner);
        let event = kit.kernel().new_event();
        let asleep = Arc::new(AtomicBool::new(false));
        let (seen, its) = (asleep.clone(), work_loop.clone());
        let sleeper = thread(kit, move |_| {
            its.run_action(|| {
                seen.store(true, Ordering::SeqCst);
                let woken = its.sleep_gate(event, WaitMode::Uninterruptible, None);
                assert_eq!(woken, WaitResult::Awakened);
            });
        });
        until(kit, &asleep);
        // Whoever gets the gate after the flag was set finds the wait asserted.
        work_loop.run_action(|| {});
        other.wakeup_gate(event, true);
        sleeper.join(kit.kernel());
    });
}

fn wl9_a_wakeup_of_one_wakes_one(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let (event, woken) = (kit.kernel().new_event(), Arc::new(AtomicU32::new(0)));
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                let (its, counted) = (work_loop.clone(), woken.clone());
                thread(kit, move |_| {
                    its.run_action(|| its.sleep_gate(event, WaitMode::Uninterruptible, None));
                    counted.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        pause(kit, 10_000_000);
        work_loop.wakeup_gate(event, true);
        pause(kit, 10_000_000);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        work_loop.wakeup_gate(event, false);
        sleepers.iter().for_each(|s| s.join(kit.kernel()));
    });
}

fn wl10_a_loop_that_ignores_the_interruption_spins_with_the_gate_shut(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        let (event, stop) = (kit.kernel().new_event(), Arc::new(AtomicBool::new(false)));
        let turns = Arc::new(AtomicU32::new(0));
        let (its, stopped, counted) = (work_loop.clone(), stop.clone(), turns.clone());
        let killed = thread(kit, move |_| {
            its.run_action(|| {
                while !stopped.load(Ordering::SeqCst) {
                    its.sleep_gate(event, WaitMode::Interruptible, None);
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        pause(kit, 10_000_000);
        assert_eq!(turns.load(Ordering::SeqCst), 0, "asleep");
        killed.abort(kit.kernel());
        while turns.load(Ordering::SeqCst) == 0 {
            pause(kit, 10_000);
        }
        let got_in = Arc::new(AtomicBool::new(false));
        let (seen, its) = (got_in.clone(), work_loop.clone());
        let other = thread(kit, move |_| its.run_action(|| seen.store(true, Ordering::SeqCst)));
        let before = turns.load(Ordering::SeqCst);
        pause(kit, 200_000);
        assert!(turns.load(Ordering::SeqCst) > before, "it spins");
        assert!(!got_in.load(Ordering::SeqCst), "and nobody else gets in");
        stop.store(true, Ordering::SeqCst);
        killed.join(kit.kernel());
        other.join(kit.kernel());
    });
}

fn wl11_run_action_asks_no_source_and_stalls_for_none(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (owner, work_loop) = owner(kit);
        let gate = CommandGate::new(&owner);
        work_loop.add_event_source(&gate).unwrap();
        gate.disable();
        assert_eq!(work_loop.run_action(|| (7, work_loop.in_gate())), (7, true));
        work_loop.disable_all_event_sources();
        assert_eq!(work_loop.run_action(|| 8), 8);
        work_loop.remove_event_source(&gate).unwrap();
        assert_eq!(work_loop.run_action(|| 9), 9);
    });
    assert!(runs.iter().all(|r| r.lines(&[Kind::CommandSleep]).is_empty()));
}

fn wl14_what_opens_in_time_is_not_reported_and_sleep_does_not_count(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop) = owner(kit);
        work_loop.set_maximum_lock_time(Some(5_000_000));
        let event = kit.kernel().new_event();
        work_loop.run_action(|| {
            let deadline = kit.kernel().now() + 20_000_000;
            work_loop.sleep_gate(event, WaitMode::Uninterruptible, Some(deadline));
        });
        work_loop.set_maximum_lock_time(None);
        work_loop.run_action(|| kit.kernel().delay(20_000_000));
    });
}

fn wl14_a_sleep_opens_the_gate_too_and_the_report_has_a_backtrace(lab: &Lab<'_>) {
    let runs = lab.violating(&["WL14"], |kit| {
        let (_owner, work_loop) = owner(kit);
        work_loop.set_maximum_lock_time(Some(2_000_000));
        let event = kit.kernel().new_event();
        work_loop.run_action(|| {
            kit.kernel().delay(4_000_000);
            let deadline = kit.kernel().now() + 1_000_000;
            work_loop.sleep_gate(event, WaitMode::Uninterruptible, Some(deadline));
        });
    });
    for run in runs {
        let reported = |line: &String| line.contains("WL14") && line.contains("backtrace");
        assert!(run.console.iter().any(reported), "{:?}", run.console);
    }
}

fn wl14_it_may_be_a_panic(lab: &Lab<'_>) {
    lab.panicking(&["WL14"], |kit| {
        let (_owner, work_loop) = owner(kit);
        work_loop.panic_beyond_lock_time(5_000_000);
        work_loop.run_action(|| {});
        work_loop.run_action(|| kit.kernel().delay(6_000_000));
    });
}

table! {
    wl9_the_gate_is_no_part_of_what_a_sleeper_waits_for,
    wl9_a_wakeup_of_one_wakes_one,
    wl10_a_loop_that_ignores_the_interruption_spins_with_the_gate_shut,
    wl11_run_action_asks_no_source_and_stalls_for_none,
    wl14_what_opens_in_time_is_not_reported_and_sleep_does_not_count,
    wl14_a_sleep_opens_the_gate_too_and_the_report_has_a_backtrace,
    wl14_it_may_be_a_panic,
}
