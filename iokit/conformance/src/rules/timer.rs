//! T1–T7.

use crate::prelude::*;
use crate::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use iokit::{
    IOReturn, IoKit, ServiceRef,
    work_loop::{TimerPriority, TimerSource, WorkLoop},
};
use trace::Kind;

use crate::mock::{DRIVER, Mock};

// Times are in milliseconds: the chooser may stall a CPU for half of one.

struct Bench {
    owner: ServiceRef,
    work_loop: Arc<WorkLoop>,
    timer: Arc<TimerSource>,
    fired: Arc<AtomicU32>,
}

fn bench(kit: &IoKit, priority: TimerPriority) -> Bench {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    let fired = Arc::new(AtomicU32::new(0));
    let counted = fired.clone();
    let gate = Arc::downgrade(&work_loop);
    let timer = TimerSource::new(&owner, priority, move |_, _| {
        assert!(gate.upgrade().is_none_or(|l| l.in_gate()));
        counted.fetch_add(1, Ordering::SeqCst);
    });
    Bench { owner, work_loop, timer, fired }
}

impl Bench {
    fn fired(&self) -> u32 {
        self.fired.load(Ordering::SeqCst)
    }
    fn end(self) {
        self.work_loop.remove_event_source(&self.timer).unwrap();
    }
}

fn pause(kit: &IoKit, ns: u64) {
    kit.kernel().sleep_until(kit.kernel().now() + ns);
}

fn t1_no_action_no_repeat_zero_is_unarmed_and_rearming_replaces(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        assert_eq!(TimerSource::without_action(&b.owner).set_timeout(1), Err(IOReturn::NoResources));
        b.work_loop.add_event_source(&b.timer).unwrap();
        b.timer.wake_at(0).unwrap();
        assert!(!b.timer.is_armed());
        b.timer.set_timeout(10_000_000).unwrap();
        b.timer.set_timeout(300_000_000).unwrap();
        pause(kit, 150_000_000);
        assert_eq!(b.fired(), 0);
        pause(kit, 1_000_000_000);
        assert_eq!(b.fired(), 1);
        b.end();
    });
}

fn t1_a_deadline_set_while_detached_or_disabled_arms_later_and_a_past_one_fires_at_once(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        b.timer.set_timeout(10_000_000).unwrap();
        pause(kit, 100_000_000);
        assert_eq!(b.fired(), 0);
        b.timer.disable();
        b.work_loop.add_event_source(&b.timer).unwrap();
        pause(kit, 100_000_000);
        assert_eq!(b.fired(), 0);
        b.timer.enable();
        pause(kit, 100_000_000);
        assert_eq!(b.fired(), 1);
        b.end();
    });
}

fn t2_t7_an_armed_timer_keeps_itself_and_the_loop_and_can_fire_for_a_dead_owner(lab: &Lab<'_>) {
    lab.violating(&["T7"], |kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        b.work_loop.add_event_source(&b.timer).unwrap();
        b.timer.set_timeout(200_000_000).unwrap();
        let (timer, work_loop) = (Arc::downgrade(&b.timer), Arc::downgrade(&b.work_loop));
        drop(b);
        assert!(timer.upgrade().is_some() && work_loop.upgrade().is_some());
        pause(kit, 1_000_000_000);
        assert!(timer.upgrade().is_none() && work_loop.upgrade().is_none());
    });
}

fn t4_cancel_with_the_gate_held_is_exact(lab: &Lab<'_>) {
    for priority in [TimerPriority::ThreadCall, TimerPriority::WorkLoop] {
        lab.everywhere(move |kit| {
            let b = bench(kit, priority);
            b.work_loop.add_event_source(&b.timer).unwrap();
            b.timer.set_timeout(20_000_000).unwrap();
            pause(kit, 15_000_000);
            let before = b.work_loop.run_action(|| {
                kit.kernel().delay(10_000_000);
                b.timer.cancel_timeout();
                b.fired()
            });
            pause(kit, 200_000_000);
            assert_eq!(b.fired(), before);
            b.end();
        });
    }
}

fn t4_a_timer_rearmed_in_the_gate_fires_once(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        b.work_loop.add_event_source(&b.timer).unwrap();
        b.work_loop.run_action(|| {
            b.timer.set_timeout(10_000_000).unwrap();
            kit.kernel().delay(30_000_000);
            b.timer.set_timeout(50_000_000).unwrap();
        });
        assert_eq!(b.fired(), 0);
        pause(kit, 300_000_000);
        assert_eq!(b.fired(), 1);
        b.end();
    });
}

fn t5_an_action_may_rearm_its_own_timer(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let fired = Arc::new(AtomicU32::new(0));
        let counted = fired.clone();
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, move |_, timer| {
            if counted.fetch_add(1, Ordering::SeqCst) < 4 {
                timer.set_timeout(10_000_000).unwrap();
            }
        });
        work_loop.add_event_source(&timer).unwrap();
        timer.set_timeout(10_000_000).unwrap();
        pause(kit, 2_000_000_000);
        assert_eq!(fired.load(Ordering::SeqCst), 5);
        work_loop.remove_event_source(&timer).unwrap();
    });
}

fn t6_a_work_loop_timer_runs_on_the_loops_thread(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::WorkLoop);
        b.work_loop.add_event_source(&b.timer).unwrap();
        b.timer.set_timeout(10_000_000).unwrap();
        pause(kit, 200_000_000);
        assert_eq!(b.fired(), 1);
        b.end();
    });
    for run in runs {
        let fire = run.events.iter().find(|e| e.kind == Kind::TimerFire).unwrap();
        let named = |e: &&trace::Event| e.kind == Kind::ThreadStart && e.text_str() == "IOWorkLoop";
        assert_eq!(run.events.iter().find(named).unwrap().object, fire.thread);
    }
}

fn a_timer_never_fires_after_its_removal(lab: &Lab<'_>) {
    for priority in [TimerPriority::ThreadCall, TimerPriority::WorkLoop] {
        lab.everywhere(move |kit| {
            let b = bench(kit, priority);
            b.work_loop.add_event_source(&b.timer).unwrap();
            b.timer.set_timeout(20_000_000).unwrap();
            pause(kit, 18_000_000);
            b.work_loop.remove_event_source(&b.timer).unwrap();
            let before = b.fired();
            pause(kit, 200_000_000);
            assert_eq!(b.fired(), before);
        });
    }
}

fn t3_in_era_10_3_a_cancel_in_the_gate_can_come_too_late(lab: &Lab<'_>) {
    let runs = lab.everywhere_in("era=10.3", |kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        b.work_loop.add_event_source(&b.timer).unwrap();
        b.work_loop.run_action(|| {
            b.timer.set_timeout(10_000_000).unwrap();
            kit.kernel().sleep_until(kit.kernel().now() + 50_000_000);
            b.timer.cancel_timeout();
        });
        pause(kit, 200_000_000);
        b.end();
    });
    let late = runs.iter().filter(|r| !r.lines(&[Kind::TimerFire]).is_empty()).count();
    assert_eq!(late, runs.len(), "the callout passed its test before the gate opened");
}

table! {
    t1_no_action_no_repeat_zero_is_unarmed_and_rearming_replaces,
    t1_a_deadline_set_while_detached_or_disabled_arms_later_and_a_past_one_fires_at_once,
    t2_t7_an_armed_timer_keeps_itself_and_the_loop_and_can_fire_for_a_dead_owner,
    t4_cancel_with_the_gate_held_is_exact,
    t4_a_timer_rearmed_in_the_gate_fires_once,
    t5_an_action_may_rearm_its_own_timer,
    t6_a_work_loop_timer_runs_on_the_loops_thread,
    a_timer_never_fires_after_its_removal,
    t3_in_era_10_3_a_cancel_in_the_gate_can_come_too_late,
}
