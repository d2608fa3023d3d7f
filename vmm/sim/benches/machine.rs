//! What the machine itself costs: a point, a change of CPU, a context switch, a block and wake in turns, and a whole (empty) machine.

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use mach::seam::{Machine, Point};
use sim::{Ended, Limits, Sim, chooser::Plain};

/// Runs `body` as the first thread of a machine and answers the time that it took there.
fn inside(sim: Sim<'_>, body: impl FnOnce(&Arc<toy::Toy>) + Send + 'static) -> Duration {
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let place = took.clone();
    let outcome = toy::run(sim.limits(Limits::NONE), &mut |_| {}, move |toy| {
        let start = Instant::now();
        body(toy);
        *place.lock().unwrap() = start.elapsed();
    });
    assert_eq!(outcome.ended, Ended::Done);
    *took.lock().unwrap()
}

fn points(c: &mut Criterion) {
    let mut group = c.benchmark_group("point");
    group.bench_function("plain, 1 cpu", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)), move |toy| {
                for _ in 0..n {
                    toy.machine.point(black_box(Point::Lock));
                }
            })
        });
    });
    group.bench_function("seeded, 2 cpus", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().cpus(2).seed(1), move |toy| {
                for _ in 0..n {
                    toy.machine.point(black_box(Point::Lock));
                }
            })
        });
    });
    group.bench_function("mask and unmask", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)), move |toy| {
                for _ in 0..n {
                    black_box(toy.machine.mask());
                    toy.machine.unmask();
                }
            })
        });
    });
    group.finish();
}

fn threads(c: &mut Criterion) {
    c.bench_function("switch and back", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)), move |toy| {
                toy.spawn(Box::new(move |toy| (0..n).for_each(|_| toy.yield_now())));
                for _ in 0..n {
                    toy.yield_now();
                }
            })
        });
    });
    c.bench_function("wake and block, 2 cpus", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().cpus(2).seed(1), move |toy| {
                let me = toy.machine.thread() as usize;
                let other = toy.spawn(Box::new(move |toy| {
                    for _ in 0..n {
                        toy.block();
                        toy.wake(me);
                    }
                }));
                for _ in 0..n {
                    toy.wake(other);
                    toy.block();
                }
            })
        });
    });
}

fn machines(c: &mut Criterion) {
    c.bench_function("a machine from start to end", |b| {
        b.iter(|| toy::run(Sim::builder().cpus(2).seed(1), &mut |_| {}, |toy| toy.yield_now()));
    });
}

criterion_group!(benches, points, threads, machines);
criterion_main!(benches);
