//! T5: what is due at one instant.

use std::sync::{Arc, Mutex};

use conformance::{
    mock::{DRIVER, Mock},
    world::pause,
};
use iokit::{
    BootArgs,
    work_loop::{InterruptSource, TimerPriority, TimerSource, WorkLoop},
};
use sim::{Ended, Sim};
use trace::Kind;

use crate::SEEDS;

/// One CPU: while interrupts are masked both fall due.
#[test]
fn t5_due_together_the_timer_is_before_the_interrupt() {
    for seed in 0..SEEDS {
        let (outcome, events) = sim::harness::traced(Sim::builder().seed(seed), |kernel| {
            let kit = &iokit::start(kernel, &BootArgs::default());
            let owner = Mock::new(&DRIVER).service(kit, "D");
            let work_loop = WorkLoop::new(&owner);
            let order = Arc::new(Mutex::new(Vec::new()));
            let (mine, its) = (order.clone(), order.clone());
            let timer = TimerSource::new(&owner, TimerPriority::ThreadCall, move |_, _| {
                mine.lock().unwrap().push("timer");
            });
            let source =
                InterruptSource::new(&owner, None, 0, move |_, _| its.lock().unwrap().push("action"));
            let source = source.unwrap();
            work_loop.add_event_source(&timer).unwrap();
            work_loop.add_event_source(&source).unwrap();
            pause(kit, 10_000_000);
            // A thread call's thread is made now, not when the time has come.
            timer.set_timeout(1_000_000).unwrap();
            {
                let _masked = kernel.masked();
                let end = kernel.now() + 2_000_000;
                while kernel.now() < end {
                    kernel.relax();
                }
                source.interrupt_occurred();
            }
            pause(kit, 10_000_000);
            assert_eq!(*order.lock().unwrap(), ["timer", "action"]);
            work_loop.remove_event_source(&timer).unwrap();
        });
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {outcome:#?}");
        let fire = events.iter().find(|e| e.kind == Kind::TimerFire).expect("it fired");
        let on_calls = |e: &&trace::Event| e.kind == Kind::ThreadStart && e.text_str() == "thread call";
        let calls: Vec<_> = events.iter().filter(on_calls).map(|e| (e.object, e.arg)).collect();
        assert!(calls.contains(&(fire.thread, 93)), "{calls:?}");
    }
}
