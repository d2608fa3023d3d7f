//! ES1, IE1, IE2, FI1: what event sources are before and beside their actions.

use super::lines::Message;
use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IoKit, ServiceRef,
    work_loop::{CommandGate, InterruptSource, Signal, TimerPriority, TimerSource, WorkLoop},
};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, NUB},
    world::{interrupt, pause, thread},
};

struct Bench {
    owner: ServiceRef,
    work_loop: Arc<WorkLoop>,
    nub: ServiceRef,
    vector: u8,
}

fn bench(kit: &IoKit) -> Bench {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    let message = Arc::new(Message::new(kit.kernel()));
    let vector = message.vector();
    let mut nub = Mock::new(&NUB);
    nub.interrupts = Some(message);
    Bench { owner, work_loop, nub: nub.service(kit, "N"), vector }
}

fn es1_a_source_does_not_keep_its_owner_and_an_action_for_a_dead_one_is_reported(lab: &Lab<'_>) {
    lab.violating(&["action of a dead owner"], |kit| {
        let b = bench(kit);
        let source = InterruptSource::new(&b.owner, None, 0, |_, _| panic!("for a dead owner")).unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        drop(b.owner);
        assert_eq!(kit.instances("MockDriver"), 0);
        source.interrupt_occurred();
        pause(kit, 10_000_000);
    });
}

fn es1_sources_are_enabled_from_the_beginning_and_disabled_by_their_removal(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit);
        let source = InterruptSource::new(&b.owner, None, 0, |_, _| {}).unwrap();
        let timer = TimerSource::new(&b.owner, TimerPriority::ThreadCall, |_, _| {});
        let gate = CommandGate::new(&b.owner);
        assert!(source.is_enabled() && timer.is_enabled());
        b.work_loop.add_event_source(&source).unwrap();
        b.work_loop.add_event_source(&timer).unwrap();
        b.work_loop.add_event_source(&gate).unwrap();
        assert_eq!(gate.run_action(|| Ok(())), Ok(()));
        b.work_loop.remove_event_source(&source).unwrap();
        b.work_loop.remove_event_source(&timer).unwrap();
        b.work_loop.remove_event_source(&gate).unwrap();
        assert!(!source.is_enabled() && !timer.is_enabled());
        b.work_loop.add_event_source(&timer).unwrap();
        assert!(!timer.is_enabled(), "adding does not enable");
        b.work_loop.remove_event_source(&timer).unwrap();
    });
}

fn ie1_the_handler_is_registered_when_the_source_is_made(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit);
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, |_, _| {}).unwrap();
        let other = InterruptSource::new(&b.owner, Some(&b.nub), 0, |_, _| {});
        assert!(other.is_err(), "its place is taken before any loop has it");
        drop(source);
    });
}

fn ie2_an_edge_is_counted_and_stays_enabled(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit);
        let total = Arc::new(AtomicU32::new(0));
        let counted = total.clone();
        let source = InterruptSource::new(&b.owner, Some(&b.nub), 0, move |_, n| {
            counted.fetch_add(n as u32, Ordering::SeqCst);
        })
        .unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        pause(kit, 10_000_000);
        b.work_loop.run_action(|| (0..3).for_each(|_| interrupt(kit.kernel(), b.vector)));
        pause(kit, 10_000_000);
        assert_eq!(total.load(Ordering::SeqCst), 3);
        b.work_loop.remove_event_source(&source).unwrap();
    });
}

fn fi1_a_filter_runs_at_primary_interrupt_level_without_the_gate_and_beside_the_action(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let b = bench(kit);
        let (acting, handle) = (Arc::new(AtomicBool::new(false)), Arc::downgrade(&b.work_loop));
        let (seen, gate) = (acting.clone(), handle.clone());
        let action = move |me: &ServiceRef, _| {
            assert!(gate.upgrade().is_some_and(|l| l.in_gate()) && !me.kernel().in_interrupt());
            seen.store(true, Ordering::SeqCst);
            (0..20).for_each(|_| me.kernel().machine().point(mach::seam::Point::Lock));
            seen.store(false, Ordering::SeqCst);
        };
        let during = acting.clone();
        let filter = move |me: &ServiceRef, _: &Signal<'_>| {
            assert!(me.kernel().in_interrupt());
            if during.load(Ordering::SeqCst) {
                me.trace(Kind::IoDone, None, 0);
            }
            true
        };
        let source = InterruptSource::with_filter(&b.owner, &b.nub, 0, action, filter).unwrap();
        b.work_loop.add_event_source(&source).unwrap();
        source.enable();
        let vector = b.vector;
        let storm = thread(kit, move |kernel| (0..20).for_each(|_| interrupt(kernel, vector)));
        (0..20).for_each(|_| interrupt(kit.kernel(), vector));
        storm.join(kit.kernel());
        // While the test holds the gate, no action runs, and the filter still does.
        b.work_loop.run_action(|| interrupt(kit.kernel(), vector));
        pause(kit, 10_000_000);
        b.work_loop.remove_event_source(&source).unwrap();
    });
    assert!(runs.iter().all(|r| r.lines(&[Kind::Filter]).len() == 41));
    lab.under_some(&runs, "beside the action", |run| !run.lines(&[Kind::IoDone]).is_empty());
}

table! {
    es1_a_source_does_not_keep_its_owner_and_an_action_for_a_dead_one_is_reported,
    es1_sources_are_enabled_from_the_beginning_and_disabled_by_their_removal,
    ie1_the_handler_is_registered_when_the_source_is_made,
    ie2_an_edge_is_counted_and_stays_enabled,
    fi1_a_filter_runs_at_primary_interrupt_level_without_the_gate_and_beside_the_action,
}
