//! CG1–CG6.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{
    IOReturn, ServiceRef,
    work_loop::{CommandGate, WorkLoop},
};
use mach::{Policy, WaitMode, WaitResult, band};

use crate::{
    mock::{DRIVER, Mock},
    world::shared,
};

fn gate(kit: &iokit::IoKit) -> (ServiceRef, Arc<WorkLoop>, Arc<CommandGate>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    let gate = CommandGate::new(&owner);
    work_loop.add_event_source(&gate).unwrap();
    (owner, work_loop, gate)
}

fn pause(kit: &iokit::IoKit, ns: u64) {
    kit.kernel().sleep_until(kit.kernel().now() + ns);
}

/// Runs `f` on another thread; what it answered.
fn elsewhere<T: Send + 'static>(
    kit: &iokit::IoKit,
    f: impl FnOnce() -> T + Send + 'static,
) -> (Arc<mach::Thread>, crate::world::Shared<Option<T>>) {
    let answer = shared(kit, None);
    let mine = answer.clone();
    let body = move |_: &mach::KernelRef| mine.set(Some(f()));
    (kit.kernel().spawn("caller", band::DEFAULT, Policy::Fixed, body).unwrap(), answer)
}

fn cg1_no_action_no_loop_and_the_result(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (owner, work_loop, gate) = gate(kit);
        assert_eq!(gate.run_command([0; 4]), Err(IOReturn::BadArgument));
        assert_eq!(gate.attempt_command([0; 4]), Err(IOReturn::BadArgument));
        assert_eq!(gate.run_action(|| Err::<(), _>(IOReturn::NotFound)), Err(IOReturn::NotFound));
        let command =
            CommandGate::with_action(&owner, |_, a| if a[0] == 7 { Ok(()) } else { Err(IOReturn::Error) });
        assert_eq!(command.run_command([7, 0, 0, 0]), Err(IOReturn::NotReady));
        work_loop.add_event_source(&command).unwrap();
        assert_eq!(command.run_command([7, 0, 0, 0]), Ok(()));
        work_loop.remove_event_source(&command).unwrap();
        work_loop.remove_event_source(&gate).unwrap();
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::NotReady));
        assert_eq!(gate.attempt_action(|| Ok(())), Err(IOReturn::NotReady));
    });
}

fn cg2_enable_wakes_all_stalled_callers(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        gate.disable();
        let callers: Vec<_> = (0..3)
            .map(|n| {
                let gate = gate.clone();
                elsewhere(kit, move || gate.run_action(|| Ok(n)))
            })
            .collect();
        pause(kit, 100_000_000);
        assert!(callers.iter().all(|(_, a)| a.lock().is_none()));
        gate.enable();
        for (n, (thread, answer)) in callers.iter().enumerate() {
            thread.join(kit.kernel());
            assert_eq!(*answer.lock(), Some(Ok(n)));
        }
        work_loop.remove_event_source(&gate).unwrap();
    });
}

fn cg1_an_interrupted_stall_is_aborted(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, _work_loop, gate) = gate(kit);
        gate.disable();
        let stalled = gate.clone();
        let (thread, answer) = elsewhere(kit, move || stalled.run_action(|| Ok(())));
        pause(kit, 100_000_000);
        thread.abort(kit.kernel());
        thread.join(kit.kernel());
        assert_eq!(*answer.lock(), Some(Err(IOReturn::Aborted)));
    });
}

fn cg3_in_era_10_4_a_disabled_gate_is_not_permitted(lab: &Lab<'_>) {
    lab.everywhere_in("era=10.4", |kit| {
        let (_owner, _work_loop, gate) = gate(kit);
        gate.disable();
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::NotPermitted));
    });
}

fn cg4_attempt_action_never_blocks(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        assert_eq!(gate.attempt_action(|| Ok(5)), Ok(5));
        let other = gate.clone();
        work_loop.run_action(|| {
            let (thread, answer) = elsewhere(kit, move || other.attempt_action(|| Ok(())));
            thread.join(kit.kernel());
            assert_eq!(*answer.lock(), Some(Err(IOReturn::CannotLock)));
        });
        gate.disable();
        assert_eq!(gate.attempt_action(|| Ok(())), Err(IOReturn::NotPermitted));
    });
}

fn cg5_removal_aborts_stalled_callers_and_waits_for_them(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        gate.disable();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                elsewhere(kit, move || gate.run_action(|| Ok(())))
            })
            .collect();
        pause(kit, 100_000_000);
        work_loop.remove_event_source(&gate).unwrap();
        for (thread, answer) in callers {
            thread.join(kit.kernel());
            assert_eq!(*answer.lock(), Some(Err(IOReturn::Aborted)));
        }
    });
}

fn cg5_with_an_action_asleep_detachment_waits_for_its_return_and_does_not_wake_it(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        let event = kit.kernel().new_event();
        let sleeper = gate.clone();
        let (thread, answer) = elsewhere(kit, move || {
            let inner = sleeper.clone();
            sleeper.run_action(|| Ok(inner.command_sleep(event, WaitMode::Uninterruptible, None)))
        });
        pause(kit, 100_000_000);
        work_loop.remove_event_source(&gate).unwrap();
        assert_eq!(work_loop.source_count(), 0);
        pause(kit, 100_000_000);
        assert!(answer.lock().is_none(), "still asleep");
        gate.command_wakeup(event, true);
        thread.join(kit.kernel());
        assert_eq!(*answer.lock(), Some(Ok(WaitResult::Awakened)));
        assert_eq!(gate.run_action(|| Ok(())), Err(IOReturn::NotReady), "detached by the last to return");
    });
}

fn cg6_command_sleep_off_the_gate_panics(lab: &Lab<'_>) {
    lab.panicking(&["CG6"], |kit| {
        let (_owner, _work_loop, gate) = gate(kit);
        gate.command_sleep(kit.kernel().new_event(), WaitMode::AbortSafe, None);
    });
}

fn cg6_sleepers_are_woken_through_a_predicate_that_the_gate_protects(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, gate) = gate(kit);
        let event = kit.kernel().new_event();
        let ready = Arc::new(iokit::work_loop::Gated::new(&work_loop, false));
        let (sleeper, predicate) = (gate.clone(), ready.clone());
        let (thread, answer) = elsewhere(kit, move || {
            sleeper.run_action(|| {
                let mut sleeps = 0;
                while !predicate.with(|r| *r) {
                    sleeper.command_sleep(event, WaitMode::Uninterruptible, None);
                    sleeps += 1;
                }
                Ok(sleeps)
            })
        });
        pause(kit, 50_000_000);
        gate.command_wakeup(event, false);
        pause(kit, 50_000_000);
        assert!(answer.lock().is_none());
        gate.run_action(|| {
            ready.with(|r| *r = true);
            gate.command_wakeup(event, false);
            Ok(())
        })
        .unwrap();
        thread.join(kit.kernel());
        assert_eq!(*answer.lock(), Some(Ok(2)));
    });
}

table! {
    cg1_no_action_no_loop_and_the_result,
    cg2_enable_wakes_all_stalled_callers,
    cg1_an_interrupted_stall_is_aborted,
    cg3_in_era_10_4_a_disabled_gate_is_not_permitted,
    cg4_attempt_action_never_blocks,
    cg5_removal_aborts_stalled_callers_and_waits_for_them,
    cg5_with_an_action_asleep_detachment_waits_for_its_return_and_does_not_wake_it,
    cg6_command_sleep_off_the_gate_panics,
    cg6_sleepers_are_woken_through_a_predicate_that_the_gate_protects,
}
