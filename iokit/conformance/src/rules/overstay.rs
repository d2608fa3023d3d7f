//! OV1: whoever keeps others waiting is named.

use super::lines::Message;
use crate::prelude::*;
use crate::sync::Arc;

use iokit::{
    IoKit, ServiceRef,
    work_loop::{CommandGate, InterruptSource, TimerPriority, TimerSource, WorkLoop},
};
use mach::{KernelRef, WaitMode};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock, NUB},
    world::{Run, interrupt, pause},
};

/// Longer than an action may take, even if it stalls now and then.
const TOO_LONG: u64 = 3_000_000;

fn owner(kit: &IoKit, name: &str) -> (ServiceRef, Arc<WorkLoop>) {
    let owner = Mock::new(&DRIVER).service(kit, name);
    let work_loop = WorkLoop::new(&owner);
    (owner, work_loop)
}

/// Computes for `ns`, without giving way: legal at interrupt level.
fn compute(kernel: &KernelRef, ns: u64) {
    let end = kernel.now() + ns;
    while kernel.now() < end {
        kernel.relax();
    }
}

/// Who was named, and for what.
fn named(run: &Run) -> Vec<(String, String)> {
    let names = run.lines(&[Kind::Overstay]);
    let words = run.events.iter().filter(|e| e.kind == Kind::Overstay).map(|e| e.text_str().to_owned());
    names.into_iter().zip(words).collect()
}

fn assert_named(runs: &[Run], name: &str, word: &str) {
    for run in runs {
        let found = named(run);
        let expected = (format!("{name}.overstay"), word.to_owned());
        assert_eq!(found, [expected], "seed {}", run.seed);
        let took = run.events.iter().find(|e| e.kind == Kind::Overstay).unwrap().arg;
        assert!((TOO_LONG..10 * TOO_LONG).contains(&took), "seed {}: {took}", run.seed);
    }
}

fn ov1_an_interrupt_action_that_overstays_is_named(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (slow, work_loop) = owner(kit, "slow");
        let quick = Mock::new(&DRIVER).service(kit, "quick");
        let quick_source = InterruptSource::new(&quick, None, 0, |_, _| {}).unwrap();
        let source = InterruptSource::new(&slow, None, 0, |me, _| compute(me.kernel(), TOO_LONG)).unwrap();
        work_loop.add_event_source(&quick_source).unwrap();
        work_loop.add_event_source(&source).unwrap();
        quick_source.interrupt_occurred();
        source.interrupt_occurred();
        pause(kit, 20_000_000);
    });
    assert_named(&runs, "slow", "action");
}

fn ov1_a_timer_that_overstays_is_named(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (slow, work_loop) = owner(kit, "slow");
        let action = |me: &ServiceRef, _: &Arc<TimerSource>| me.kernel().delay(TOO_LONG);
        let timer = TimerSource::new(&slow, TimerPriority::ThreadCall, action);
        work_loop.add_event_source(&timer).unwrap();
        timer.set_timeout(1_000).unwrap();
        pause(kit, 20_000_000);
        work_loop.remove_event_source(&timer).unwrap();
    });
    assert_named(&runs, "slow", "timer");
}

fn ov1_a_filter_that_overstays_is_named(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (slow, work_loop) = owner(kit, "slow");
        let message = Arc::new(Message::new(kit.kernel()));
        let vector = message.vector();
        let mut nub = Mock::new(&NUB);
        nub.interrupts = Some(message);
        let nub = nub.service(kit, "N");
        let filter = |me: &ServiceRef, _: &iokit::work_loop::Signal<'_>| {
            compute(me.kernel(), TOO_LONG);
            true
        };
        let source = InterruptSource::with_filter(&slow, &nub, 0, |_, _| {}, filter).unwrap();
        work_loop.add_event_source(&source).unwrap();
        source.enable();
        interrupt(kit.kernel(), vector);
        pause(kit, 20_000_000);
        work_loop.remove_event_source(&source).unwrap();
    });
    assert_named(&runs, "slow", "filter");
}

fn ov1_a_gated_action_that_overstays_is_named_and_its_sleep_does_not_count(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (slow, work_loop) = owner(kit, "slow");
        let gate = CommandGate::new(&slow);
        work_loop.add_event_source(&gate).unwrap();
        let event = kit.kernel().new_event();
        let sleep = || {
            let deadline = kit.kernel().now() + 10 * TOO_LONG;
            gate.command_sleep(event, WaitMode::Uninterruptible, Some(deadline));
        };
        gate.run_action(|| {
            sleep();
            Ok(())
        })
        .unwrap();
        gate.run_action(|| {
            sleep();
            kit.kernel().delay(TOO_LONG);
            sleep();
            Ok(())
        })
        .unwrap();
        // Too long in all, but nobody was kept out for long.
        gate.run_action(|| {
            for _ in 0..8 {
                kit.kernel().delay(TOO_LONG / 15);
                sleep();
            }
            Ok(())
        })
        .unwrap();
        work_loop.remove_event_source(&gate).unwrap();
    });
    assert_named(&runs, "slow", "gated action");
}

fn ov1_the_limit_can_be_set_and_switched_off(lab: &Lab<'_>) {
    for (args, found) in [("overstay=100000000", 0), ("overstay=0", 0), ("overstay=500000", 1)] {
        let runs = lab.everywhere_in(args, |kit| {
            let (slow, work_loop) = owner(kit, "slow");
            let gate = CommandGate::new(&slow);
            work_loop.add_event_source(&gate).unwrap();
            gate.run_action(|| {
                kit.kernel().delay(TOO_LONG);
                Ok(())
            })
            .unwrap();
            work_loop.remove_event_source(&gate).unwrap();
        });
        assert!(runs.iter().all(|r| named(r).len() == found), "{args}");
    }
}

table! {
    ov1_an_interrupt_action_that_overstays_is_named,
    ov1_a_timer_that_overstays_is_named,
    ov1_a_filter_that_overstays_is_named,
    ov1_a_gated_action_that_overstays_is_named_and_its_sleep_does_not_count,
    ov1_the_limit_can_be_set_and_switched_off,
}
