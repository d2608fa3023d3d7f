//! What the machine itself costs: a point, a change of CPU, a context switch, a block and wake in turns, and a whole (empty) machine.

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use devices::fault::plan::Plan;
use mach::seam::{Bdf, Machine, Point, Width};
use sim::{Ended, Limits, Sim, chooser::Plain};
use trace::{Event, Kind};

/// Runs `body` as the first thread of a machine and answers the time that it took there.
fn inside(sim: Sim<'_>, body: impl FnOnce(&Arc<toy::Toy>) + Send + 'static) -> Duration {
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let place = took.clone();
    let outcome = toy::run(sim.limits(Limits::NONE), &mut |_| {}, move |toy| {
        let start = Instant::now();
        body(toy);
        *place.lock().unwrap() = start.elapsed();
        toy.machine.trace(Event::new(Kind::Done));
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

fn devices(c: &mut Criterion) {
    let plan = Plan::parse("bench.plan", "plug edu0 edu slot=1\n").unwrap();
    let mut group = c.benchmark_group("device");
    group.bench_function("register read", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)).plan(&plan), move |toy| {
                let card = Bdf { bus: 1, device: 0, function: 0 };
                toy.machine.config_write(card, 4, Width::B2, 6);
                let bar = u64::from(toy.machine.config_read(card, 0x10, Width::B4) & !0xf);
                for _ in 0..n {
                    black_box(toy.machine.reg_read(bar, Width::B4));
                }
            })
        });
    });
    group.bench_function("memory, 8 bytes", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)), move |toy| {
                let (memory, _) = toy.machine.dma_region();
                let mut bytes = [0; 8];
                for _ in 0..n {
                    toy.machine.dma_write(memory, &bytes);
                    toy.machine.dma_read(memory, black_box(&mut bytes));
                }
            })
        });
    });
    group.bench_function("trace event", |b| {
        b.iter_custom(|n| {
            inside(Sim::builder().chooser(Box::new(Plain)), move |toy| {
                for n in 0..n {
                    toy.machine.trace(Event::new(Kind::Wake).arg(n));
                }
            })
        });
    });
    group.finish();
}

fn machines(c: &mut Criterion) {
    c.bench_function("a machine from start to end", |b| {
        b.iter(|| toy::run(Sim::builder().cpus(2).seed(1), &mut |_| {}, |toy| toy.yield_now()));
    });
}

criterion_group!(benches, points, threads, devices, machines);
criterion_main!(benches);
