//! T3–T6: what a cancel can and cannot do, by era and by kind of timer.

use crate::prelude::*;
use crate::sync::{
    Arc, Shared,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use iokit::{
    IoKit, ServiceRef,
    work_loop::{InterruptSource, TimerPriority, TimerSource, WorkLoop},
};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock},
    world::{Run, pause, shared, until},
};

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
    let timer = TimerSource::new(&owner, priority, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    work_loop.add_event_source(&timer).unwrap();
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

/// The deadline passes while the gate is held; then the timer is cancelled, in the gate.
fn cancelled_too_late(kit: &IoKit) {
    let b = bench(kit, TimerPriority::ThreadCall);
    b.work_loop.run_action(|| {
        b.timer.set_timeout(10_000_000).unwrap();
        pause(kit, 50_000_000);
        b.timer.cancel_timeout();
    });
    pause(kit, 100_000_000);
    b.end();
}

fn t3_the_same_cancel_is_too_late_in_10_3_and_exact_ever_since(lab: &Lab<'_>) {
    for (era, fires) in [("10.3", 1), ("10.4", 0), ("10.5", 0), ("modern", 0)] {
        for run in lab.everywhere_in(&format!("era={era}"), cancelled_too_late) {
            assert_eq!(run.lines(&[Kind::TimerFire]).len(), fires, "era {era}, seed {}", run.seed);
        }
    }
}

fn t3_in_10_3_the_flag_is_looked_at_before_the_gate_is_closed(lab: &Lab<'_>) {
    lab.everywhere_in("era=10.3", |kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        // Disabled before the deadline: the callout sees it. Disabled after it: the callout has passed its test.
        for (deadline, fires) in [(30_000_000, 0), (10_000_000, 1)] {
            b.timer.enable();
            b.work_loop.run_action(|| {
                b.timer.set_timeout(deadline).unwrap();
                pause(kit, 20_000_000);
                b.timer.disable();
            });
            pause(kit, 50_000_000);
            assert_eq!(b.fired(), fires);
            b.timer.cancel_timeout();
        }
        b.end();
    });
}

fn t4_a_cancel_outside_the_gate_can_return_while_the_action_runs(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let inside = Arc::new(AtomicBool::new(false));
        let running = inside.clone();
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, move |me, _| {
            running.store(true, Ordering::SeqCst);
            me.kernel().delay(500_000);
            running.store(false, Ordering::SeqCst);
        });
        work_loop.add_event_source(&timer).unwrap();
        timer.set_timeout(1_000).unwrap();
        until(kit, &inside);
        timer.cancel_timeout();
        if inside.load(Ordering::SeqCst) {
            owner.trace(Kind::IoDone, None, 0);
        }
        // With the gate, nothing is left of it.
        work_loop.run_action(|| timer.cancel_timeout());
        assert!(!inside.load(Ordering::SeqCst));
        work_loop.remove_event_source(&timer).unwrap();
    });
    let beside = runs.iter().filter(|r| !r.lines(&[Kind::IoDone]).is_empty()).count();
    assert!(!lab.tries_many() || beside * 2 > runs.len(), "{beside} of {}", runs.len());
}

fn t4_every_arm_cancel_and_disable_takes_the_callout_before_it_back(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::ThreadCall);
        let takes_back: [fn(&TimerSource); 3] = [
            |timer| timer.set_timeout(400_000_000).unwrap(),
            TimerSource::cancel_timeout,
            TimerSource::disable,
        ];
        for take_back in takes_back {
            b.work_loop.run_action(|| {
                b.timer.enable();
                b.timer.set_timeout(1_000_000).unwrap();
                // The callout is due, and waits for the gate.
                pause(kit, 10_000_000);
                take_back(&b.timer);
            });
            pause(kit, 10_000_000);
            assert_eq!(b.fired(), 0);
        }
        b.end();
    });
}

/// A timer and an interrupt source of one loop, which say in which order they were called.
struct Pair {
    _owner: ServiceRef,
    work_loop: Arc<WorkLoop>,
    timer: Arc<TimerSource>,
    source: Arc<InterruptSource>,
    order: Shared<Vec<&'static str>>,
}

impl Pair {
    fn new(kit: &IoKit) -> Self {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let order = shared(kit, Vec::new());
        let (mine, its) = (order.clone(), order.clone());
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, move |_, _| {
            mine.lock().push("timer");
        });
        let source = InterruptSource::new(&owner, None, 0, move |_, _| its.lock().push("action")).unwrap();
        work_loop.add_event_source(&timer).unwrap();
        work_loop.add_event_source(&source).unwrap();
        pause(kit, 10_000_000);
        Self { _owner: owner, work_loop, timer, source, order }
    }

    fn timer_was_first(&self, kit: &IoKit) {
        pause(kit, 10_000_000);
        assert_eq!(*self.order.lock(), ["timer", "action"]);
        self.work_loop.remove_event_source(&self.timer).unwrap();
    }
}

fn fired_on_a_thread_calls_thread(run: &Run) {
    let fire = run.events.iter().find(|e| e.kind == Kind::TimerFire).expect("it fired");
    let calls = run.all_threads_called("thread call");
    assert!(calls.contains(&(fire.thread, 93)), "{calls:?}");
}

/// One CPU, which something more important keeps busy until both are due.
fn t5_due_together_behind_something_more_important_the_timer_is_first(lab: &Lab<'_>) {
    let runs = lab.on_one_cpu(|kit| {
        let pair = Pair::new(kit);
        let (soon, signalled, seen) = (pair.timer.clone(), pair.source.clone(), pair.order.clone());
        let busy = move |kernel: &mach::KernelRef| {
            soon.set_timeout(1_000_000).unwrap();
            signalled.interrupt_occurred();
            let end = kernel.now() + 3_000_000;
            while kernel.now() < end {
                kernel.relax();
            }
            assert!(seen.lock().is_empty());
        };
        let busy = kit.kernel().spawn("busy", band::REAL_TIME, Policy::Fixed, busy).unwrap();
        busy.join(kit.kernel());
        pair.timer_was_first(kit);
    });
    runs.iter().for_each(fired_on_a_thread_calls_thread);
}

/// One CPU: both fall due while interrupts are masked, and are taken, the interrupt first, before any thread runs. They are taken by hand, as the machine
/// does: that the instruction which unmasks lets them in is not every host's promise.
fn t5_due_together_the_timer_is_before_the_interrupt(lab: &Lab<'_>) {
    let runs = lab.on_one_cpu(|kit| {
        let kernel = kit.kernel();
        let pair = Pair::new(kit);
        // A thread call's thread is made now, not when the time has come.
        pair.timer.set_timeout(200_000).unwrap();
        {
            let _masked = kernel.masked();
            let end = kernel.now() + 400_000;
            while kernel.now() < end {
                kernel.relax();
            }
            pair.source.interrupt_occurred();
            assert!(kernel.interrupt(mach::seam::TIMER_VECTOR), "somebody more important has woken");
            kernel.preempt();
        }
        pair.timer_was_first(kit);
    });
    runs.iter().for_each(fired_on_a_thread_calls_thread);
}

fn t5_arming_inside_the_action_defers_even_if_the_time_is_past(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let owner = Mock::new(&DRIVER).service(kit, "D");
        let work_loop = WorkLoop::new(&owner);
        let (inside, fired) = (AtomicBool::new(false), Arc::new(AtomicU32::new(0)));
        let counted = fired.clone();
        let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, move |me, timer| {
            assert!(!inside.swap(true, Ordering::SeqCst), "called inside itself");
            if counted.fetch_add(1, Ordering::SeqCst) < 3 {
                timer.wake_at(1).unwrap();
                me.kernel().delay(100_000);
            }
            inside.store(false, Ordering::SeqCst);
        });
        work_loop.add_event_source(&timer).unwrap();
        timer.set_timeout(1_000).unwrap();
        pause(kit, 50_000_000);
        assert_eq!(fired.load(Ordering::SeqCst), 4);
        work_loop.remove_event_source(&timer).unwrap();
    });
}

fn t6_after_a_cancel_that_returned_no_action_begins(lab: &Lab<'_>) {
    for era in ["era=10.3", "era=modern"] {
        lab.everywhere_in(era, |kit| {
            let b = bench(kit, TimerPriority::WorkLoop);
            b.timer.set_timeout(20_000).unwrap();
            kit.kernel().sleep_until(kit.kernel().now() + 19_000);
            b.timer.cancel_timeout();
            // An action that began before is over when the gate can be had.
            let before = b.work_loop.run_action(|| b.fired());
            pause(kit, 10_000_000);
            assert_eq!(b.fired(), before);
            b.end();
        });
    }
}

fn t6_a_callout_that_was_overtaken_does_not_run_the_action(lab: &Lab<'_>) {
    let runs: Vec<Run> = lab.everywhere(|kit| {
        let b = bench(kit, TimerPriority::WorkLoop);
        b.work_loop.run_action(|| {
            b.timer.set_timeout(1_000_000).unwrap();
            pause(kit, 10_000_000);
            b.timer.set_timeout(50_000_000).unwrap();
        });
        pause(kit, 10_000_000);
        assert_eq!(b.fired(), 0);
        pause(kit, 100_000_000);
        assert_eq!(b.fired(), 1);
        assert!(b.owner.provider().is_none());
        b.end();
    });
    for run in runs {
        let fire = run.events.iter().find(|e| e.kind == Kind::TimerFire).unwrap();
        assert_eq!(run.threads_called("IOWorkLoop"), [(fire.thread, 81)], "seed {}", run.seed);
    }
}

table! {
    t3_the_same_cancel_is_too_late_in_10_3_and_exact_ever_since,
    t3_in_10_3_the_flag_is_looked_at_before_the_gate_is_closed,
    t4_a_cancel_outside_the_gate_can_return_while_the_action_runs,
    t4_every_arm_cancel_and_disable_takes_the_callout_before_it_back,
    t5_due_together_behind_something_more_important_the_timer_is_first,
    t5_due_together_the_timer_is_before_the_interrupt,
    t5_arming_inside_the_action_defers_even_if_the_time_is_past,
    t6_after_a_cancel_that_returned_no_action_begins,
    t6_a_callout_that_was_overtaken_does_not_run_the_action,
}
