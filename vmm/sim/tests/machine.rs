//! The machine under a toy kernel: determinism, endings, and that nothing is left behind.

mod toy;

use std::sync::{Arc, Mutex};

use mach::seam::Machine;
use sim::{Ended, Limits, Outcome, Sim, StartError};
use trace::Event;

/// Four threads count in turns while the machine does what it likes.
fn busy(seed: u64, cpus: usize) -> (Outcome, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = toy::run(Sim::builder().cpus(cpus).seed(seed), &mut |e| events.push(*e), |toy| {
        let me = toy.machine.thread() as usize;
        let left = Arc::new(Mutex::new(4));
        for _ in 0..4 {
            let left = left.clone();
            toy.spawn(Box::new(move |toy| {
                for _ in 0..50 {
                    toy.yield_now();
                }
                *left.lock().unwrap() -= 1;
                toy.wake(me);
            }));
        }
        while *left.lock().unwrap() > 0 {
            toy.block();
        }
    });
    (outcome, events)
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for cpus in [1, 2, 8] {
        let (first, events) = busy(7, cpus);
        assert_eq!(first.ended, Ended::Done, "{first:?}");
        assert!(events.len() > 200);
        assert_eq!(events.len() as u64, first.events);
        let (second, again) = busy(7, cpus);
        assert_eq!(first, second);
        assert_eq!(events, again);
    }
    assert_ne!(busy(7, 2).0.trace_hash, busy(8, 2).0.trace_hash);
}

#[test]
fn machines_side_by_side_do_not_meet() {
    let alone: Vec<_> = (0..4).map(|seed| busy(seed, 2).0).collect();
    let threads: Vec<_> = (0..4).map(|seed| std::thread::spawn(move || busy(seed, 2).0)).collect();
    let beside: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(alone, beside);
}

#[test]
fn every_seed_ends() {
    for seed in 0..200 {
        let (outcome, _) = busy(seed, 1 + seed as usize % 8);
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {outcome:?}");
        assert_eq!(outcome.abandoned, 0);
    }
}

#[test]
fn all_idle_is_a_deadlock() {
    let outcome = toy::run(Sim::builder().cpus(2), &mut |_| {}, |toy| toy.block());
    assert_eq!(outcome.ended, Ended::Deadlock);
    assert_eq!(outcome.waiting.len(), 1);
}

#[test]
fn a_masked_spin_is_stuck() {
    let limits = Limits { spins: 100_000, ..Limits::default() };
    let outcome = toy::run(Sim::builder().cpus(2).limits(limits), &mut |_| {}, |toy| {
        toy.machine.mask();
        loop {
            toy.machine.relax();
        }
    });
    let Ended::Stuck { reason } = &outcome.ended else { panic!("{outcome:?}") };
    assert!(reason.contains("with interrupts masked"), "{reason}");
}

#[test]
fn a_panic_ends_the_run_only() {
    let outcome = toy::run(Sim::builder().cpus(2), &mut |_| {}, |toy| {
        toy.machine.console("before\n");
        let (one, other) = (toy.machine.now(), toy.machine.now() + 1);
        assert!(one == other, "a driver's mistake");
    });
    let Ended::Fatal { message } = &outcome.ended else { panic!("{outcome:?}") };
    assert!(message.starts_with("a driver's mistake (") && message.contains("machine.rs"), "{message}");
    assert_eq!(outcome.console, ["before"]);
    assert_eq!(busy(1, 2).0.ended, Ended::Done);
}

#[test]
fn fatal_ends_the_run() {
    let outcome = toy::run(Sim::builder(), &mut |_| {}, |toy| toy.machine.fatal(format_args!("no {}", 7)));
    assert_eq!(outcome.ended, Ended::Fatal { message: "no 7".to_owned() });
    assert_eq!(outcome.console, ["no 7"]);
}

#[test]
fn breaking_the_rules_of_the_machine_is_told() {
    let outcome = toy::run(Sim::builder(), &mut |_| {}, |toy| {
        toy.machine.mask();
        let me = mach::seam::ContextId(1);
        toy.machine.switch(me, mach::seam::ContextId(77), 5);
    });
    let Ended::Fatal { message } = &outcome.ended else { panic!("{outcome:?}") };
    assert!(message.contains("switch to ContextId(77)"), "{message}");
}

#[test]
fn time_jumps_to_the_timer_and_stays_exact_when_idle() {
    let outcome = toy::run(Sim::builder().chooser(Box::new(sim::chooser::Plain)), &mut |_| {}, |toy| {
        toy.machine.mask();
        toy.machine.arm(Some(1_000_000_000));
        toy.machine.unmask();
        while toy.machine.now() < 1_000_000_000 {
            let me = toy.machine.thread() as usize;
            toy.spawn(Box::new(move |toy| toy.wake(me)));
            toy.block();
            toy.machine.mask();
            toy.machine.idle();
        }
    });
    assert_eq!(outcome.ended, Ended::Done);
    assert!((1_000_000_000..1_000_100_000).contains(&outcome.virtual_time), "{outcome:?}");
}

#[test]
fn everything_is_freed() {
    struct Counted(Arc<()>);
    let count = Arc::new(());
    for seed in 0..50 {
        let held = Counted(count.clone());
        let body = move |toy: &Arc<toy::Toy>| {
            let held = held;
            let inner = Counted(held.0.clone());
            toy.spawn(Box::new(move |toy| {
                let _inner = inner;
                toy.block();
            }));
            for _ in 0..seed % 7 {
                toy.yield_now();
            }
            if seed % 3 == 0 {
                panic!("half-way");
            }
            if seed % 3 == 1 {
                toy.block();
            }
        };
        let outcome = toy::run(Sim::builder().cpus(2).seed(seed), &mut |_| {}, body);
        assert_eq!(outcome.abandoned, 0);
        assert_eq!(Arc::strong_count(&count), 1, "seed {seed}: {outcome:?}");
    }
    assert!(sim::pooled_stacks() < 16, "{}", sim::pooled_stacks());
}

#[test]
#[should_panic(expected = "was called from an OS thread that does not run it")]
fn a_foreign_call_panics() {
    let kept = Arc::new(Mutex::new(None));
    let place = kept.clone();
    toy::run(Sim::builder(), &mut |_| {}, move |toy| *place.lock().unwrap() = Some(toy.machine.clone()));
    let machine = kept.lock().unwrap().take().unwrap();
    machine.now();
}

#[test]
fn a_sink_that_panics_leaves_nothing_behind() {
    let count = Arc::new(());
    let held = count.clone();
    let run = std::panic::AssertUnwindSafe(|| {
        let mut events = 0;
        let mut sink = |_: &Event| {
            events += 1;
            assert!(events < 700, "enough");
        };
        toy::run(Sim::builder().cpus(2), &mut sink, move |toy| {
            let _held = held;
            loop {
                toy.yield_now();
            }
        })
    });
    let message = *std::panic::catch_unwind(run).unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "enough");
    assert_eq!(Arc::strong_count(&count), 1);
    assert_eq!(busy(1, 2).0.ended, Ended::Done);
}

#[test]
fn a_machine_in_a_machine_is_refused() {
    let inner = Arc::new(Mutex::new(None));
    let place = inner.clone();
    toy::run(Sim::builder(), &mut |_| {}, move |_| {
        let result = Sim::builder().run_upcalls(|_| unreachable!("refused before"), &mut |_| {});
        *place.lock().unwrap() = Some(result);
    });
    assert_eq!(inner.lock().unwrap().take(), Some(Err(StartError::Nested)));
    let result = Sim::builder().cpus(9).run_upcalls(|_| unreachable!("refused before"), &mut |_| {});
    assert_eq!(result, Err(StartError::Cpus(9)));
}
