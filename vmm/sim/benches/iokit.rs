//! What IOKit costs in the simulator: an uncontended `runAction`, a call through a connection, an interrupt to its action, and a whole
//! life from publishing a nub to its last reference.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use conformance::mock::{DRIVER, Mock, NUB, bus_and_nub, make_work_loop, user};
use criterion::{Criterion, criterion_group, criterion_main};
use iokit::{
    BootArgs, Driver, IoKit, Options,
    matching::Personality,
    user_client::Arguments,
    work_loop::{CommandGate, InterruptSource, WorkLoop},
};
use sim::{Ended, Limits, Sim, chooser::Plain};

/// Runs `body` `n` times in a machine with IOKit, and answers the time that it took there.
fn inside(n: u64, setup: impl FnOnce(&IoKit) -> Box<dyn FnMut()> + Send + 'static) -> Duration {
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let place = took.clone();
    let sim = Sim::builder().cpus(2).chooser(Box::new(Plain)).limits(Limits::NONE);
    let body = move |kernel: &mach::KernelRef| {
        let kit = iokit::start(kernel, &BootArgs::default());
        let mut once = setup(&kit);
        let start = Instant::now();
        for _ in 0..n {
            once();
        }
        *place.lock().unwrap() = start.elapsed();
        drop(once);
        kit.shutdown();
    };
    let outcome = sim.run_kernel(body, &mut |_| {}).unwrap();
    assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
    *took.lock().unwrap()
}

fn gates(c: &mut Criterion) {
    let mut group = c.benchmark_group("gate");
    group.bench_function("runAction uncontended", |b| {
        b.iter_custom(|n| {
            inside(n, |kit| {
                let owner = Mock::new(&DRIVER).service(kit, "D");
                let work_loop = WorkLoop::new(&owner);
                let gate = CommandGate::new(&owner);
                work_loop.add_event_source(&gate).unwrap();
                Box::new(move || {
                    let _owner = (&owner, &work_loop);
                    gate.run_action(|| Ok(())).unwrap();
                })
            })
        });
    });
    group.bench_function("interrupt to action", |b| {
        b.iter_custom(|n| {
            inside(n, |kit| {
                let kernel = kit.kernel().clone();
                let owner = Mock::new(&DRIVER).service(kit, "D");
                let work_loop = WorkLoop::new(&owner);
                let event = kernel.new_event();
                let wake = kernel.clone();
                let source = InterruptSource::new(&owner, None, 0, move |_, _| {
                    wake.wakeup(event);
                })
                .unwrap();
                work_loop.add_event_source(&source).unwrap();
                Box::new(move || {
                    let _owner = (&owner, &work_loop);
                    kernel.assert_wait(event, mach::WaitMode::Uninterruptible, None);
                    source.interrupt_occurred();
                    kernel.block();
                })
            })
        });
    });
    group.finish();
}

fn lives(c: &mut Criterion) {
    c.bench_function("publish, match, start, call, terminate, free", |b| {
        b.iter_custom(|n| {
            inside(n, |kit| {
                let make = || {
                    Mock::new(&DRIVER)
                        .start(|me, _| {
                            make_work_loop(me);
                            true
                        })
                        .new_user(|| user().call(|me, _, _| me.work_loop().unwrap().run_action(|| Ok(()))))
                };
                let driver = move |_: &_, _: &_| Some(Box::new(make()) as Box<dyn Driver>);
                kit.catalogue().add(kit, Personality::new("bench", "MockDriver", "MockNub", driver));
                let (bus, _) = bus_and_nub(kit);
                Box::new(move || {
                    let nub = Mock::new(&NUB).under(&bus, "edu0");
                    nub.register_service(Options::empty());
                    nub.wait_quiet(None).unwrap();
                    let driver = nub.clients().pop().unwrap();
                    let connection = driver.open_connection(0).unwrap();
                    drop(driver);
                    connection.call(0, &mut Arguments::default()).unwrap();
                    nub.terminate(Options::SYNCHRONOUS);
                })
            })
        });
    });
}

criterion_group!(benches, gates, lives);
criterion_main!(benches);
