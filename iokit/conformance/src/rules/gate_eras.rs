//! CG1, CG3, CG5, CG6: disabled gates, gates that are being removed, and sleeps that are not allowed.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IOReturn, IoKit, ServiceRef,
    work_loop::{CommandGate, InterruptSource, WorkLoop},
};
use mach::{WaitMode, WaitResult};

use crate::{
    mock::{DRIVER, Mock},
    world::{pause, shared, thread, until},
};

fn gate(kit: &IoKit) -> (ServiceRef, Arc<WorkLoop>, Arc<CommandGate>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    let gate = CommandGate::new(&owner);
    work_loop.add_event_source(&gate).unwrap();
    (owner, work_loop, gate)
}

fn cg1_on_the_loops_thread_a_disabled_gate_does_not_stall(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop, gate) = gate(kit);
        let answer = shared(kit, None);
        let (mine, inner) = (answer.clone(), gate.clone());
        let source = InterruptSource::new(&owner, None, 0, move |_, _| {
            let (ran, tried) = (inner.run_action(|| Ok(1)), inner.attempt_action(|| Ok(2)));
            *mine.lock() = Some((ran, tried));
        })
        .unwrap();
        work_loop.add_event_source(&source).unwrap();
        gate.disable();
        source.interrupt_occurred();
        pause(kit, 10_000_000);
        assert_eq!(*answer.lock(), Some((Ok(1), Ok(2))));
        work_loop.remove_event_source(&gate).unwrap();
        work_loop.remove_event_source(&source).unwrap();
    });
}

fn cg1_a_stalled_caller_leaves_the_gate_to_others(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        gate.disable();
        let (going, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (seen, counted, its) = (going.clone(), ran.clone(), gate.clone());
        let caller = thread(kit, move |_| {
            seen.store(true, Ordering::SeqCst);
            its.run_action(|| Ok(counted.fetch_add(1, Ordering::SeqCst))).unwrap();
        });
        until(kit, &going);
        (0..5).for_each(|_| work_loop.run_action(|| assert_eq!(ran.load(Ordering::SeqCst), 0)));
        gate.enable();
        caller.join(kit.kernel());
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        work_loop.remove_event_source(&gate).unwrap();
    });
}

fn cg3_a_disabled_gate_refuses_until_10_4_and_stalls_from_10_5_on(lab: &Lab<'_>) {
    for (era, refuses) in [("10.3", true), ("10.4", true), ("10.5", false), ("modern", false)] {
        lab.everywhere_in(&format!("era={era}"), move |kit| {
            let (_owner, work_loop, gate) = gate(kit);
            gate.disable();
            let answer = shared(kit, None);
            let (mine, its) = (answer.clone(), gate.clone());
            let caller = thread(kit, move |_| *mine.lock() = Some(its.run_action(|| Ok(()))));
            pause(kit, 10_000_000);
            let expected = refuses.then_some(Err(IOReturn::NotPermitted));
            assert_eq!(*answer.lock(), expected);
            gate.enable();
            caller.join(kit.kernel());
            assert!(refuses || *answer.lock() == Some(Ok(())));
            work_loop.remove_event_source(&gate).unwrap();
        });
    }
}

fn cg5_a_caller_that_comes_while_a_removal_waits_for_an_action_is_aborted(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        let event = kit.kernel().new_event();
        let (asleep, its) = (Arc::new(AtomicBool::new(false)), gate.clone());
        let seen = asleep.clone();
        let sleeper = thread(kit, move |_| {
            let slept = its.run_action(|| {
                seen.store(true, Ordering::SeqCst);
                Ok(its.command_sleep(event, WaitMode::Uninterruptible, None))
            });
            assert_eq!(slept, Ok(WaitResult::Awakened));
        });
        until(kit, &asleep);
        work_loop.remove_event_source(&gate).unwrap();
        // Nobody would ever enable it for this caller.
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::Aborted));
        assert_eq!(gate.attempt_action(|| Ok(())), Err(IOReturn::NotPermitted));
        gate.command_wakeup(event, false);
        sleeper.join(kit.kernel());
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::NotReady));
        work_loop.add_event_source(&gate).unwrap();
        gate.enable();
        assert_eq!(gate.run_action(|| Ok(7)), Ok(7), "and it may be added again");
        work_loop.remove_event_source(&gate).unwrap();
    });
}

fn cg5_a_removal_inside_the_gates_own_action_waits_for_its_end(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        let removed = gate.run_action(|| {
            gate.run_action(|| work_loop.remove_event_source(&gate)).unwrap();
            // Still attached: its own action is in progress.
            Ok(gate.try_command_sleep(kit.kernel().new_event(), WaitMode::Uninterruptible, Some(1)))
        });
        assert_eq!(removed, Ok(Ok(WaitResult::TimedOut)));
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::NotReady));
    });
}

fn cg6_in_the_older_eras_a_sleep_off_the_gate_is_not_permitted(lab: &Lab<'_>) {
    for era in ["10.3", "10.4", "10.5"] {
        for run in lab.each(&format!("era={era}"), |kit| {
            let (_owner, work_loop, gate) = gate(kit);
            let event = kit.kernel().new_event();
            let slept = gate.try_command_sleep(event, WaitMode::AbortSafe, None);
            assert_eq!(slept, Err(IOReturn::NotPermitted));
            assert_eq!(gate.command_sleep(event, WaitMode::AbortSafe, None), WaitResult::Interrupted);
            work_loop.remove_event_source(&gate).unwrap();
        }) {
            run.assert_done();
            assert_eq!(run.violations(), ["CG6", "CG6"], "era {era}, seed {}", run.seed);
        }
    }
}

fn cg6_both_forms_of_sleep_and_its_modes(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        let event = kit.kernel().new_event();
        let sleep =
            |mode, deadline| gate.run_action(|| Ok(gate.command_sleep(event, mode, deadline))).unwrap();
        let soon = || Some(kit.kernel().now() + 20_000);
        assert_eq!(sleep(WaitMode::AbortSafe, soon()), WaitResult::TimedOut);
        let me = kit.kernel().current();
        me.abort_safely(kit.kernel());
        assert_eq!(sleep(WaitMode::AbortSafe, None), WaitResult::Interrupted);
        assert_eq!(sleep(WaitMode::Interruptible, soon()), WaitResult::TimedOut, "a signal is no kill");
        me.abort(kit.kernel());
        assert_eq!(sleep(WaitMode::Interruptible, None), WaitResult::Interrupted);
        assert_eq!(sleep(WaitMode::Uninterruptible, soon()), WaitResult::TimedOut);
        me.clear_abort(kit.kernel());
        assert_eq!(sleep(WaitMode::AbortSafe, soon()), WaitResult::TimedOut);
        work_loop.remove_event_source(&gate).unwrap();
    });
}

table! {
    cg1_on_the_loops_thread_a_disabled_gate_does_not_stall,
    cg1_a_stalled_caller_leaves_the_gate_to_others,
    cg3_a_disabled_gate_refuses_until_10_4_and_stalls_from_10_5_on,
    cg5_a_caller_that_comes_while_a_removal_waits_for_an_action_is_aborted,
    cg5_a_removal_inside_the_gates_own_action_waits_for_its_end,
    cg6_in_the_older_eras_a_sleep_off_the_gate_is_not_permitted,
    cg6_both_forms_of_sleep_and_its_modes,
}
