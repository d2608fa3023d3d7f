//! What the machine itself costs: a point, a change of CPU, a context switch, a block and wake in turns, and a whole (empty) machine.

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use devices::fault::plan::Plan;
use mach::{
    KernelRef, Policy, WaitEvent, WaitMode, band,
    seam::{Bdf, Machine, Point, Width},
};
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

/// Runs `body` on the first thread of mach's kernel and answers the time that it took there.
fn in_kernel(cpus: usize, body: impl FnOnce(&KernelRef) + Send + 'static) -> Duration {
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let place = took.clone();
    let timed = move |kernel: &KernelRef| {
        let start = Instant::now();
        body(kernel);
        *place.lock().unwrap() = start.elapsed();
    };
    let sim = Sim::builder().cpus(cpus).seed(1).limits(Limits::NONE);
    assert_eq!(sim.run_kernel(timed, &mut |_| {}).unwrap().ended, Ended::Done);
    *took.lock().unwrap()
}

/// Waits until `ready`; whoever makes it so wakes `event`.
fn wait(kernel: &KernelRef, event: WaitEvent, ready: impl Fn() -> bool) {
    loop {
        kernel.assert_wait(event, WaitMode::Uninterruptible, None);
        if ready() {
            return kernel.clear_own_wait();
        }
        kernel.block();
    }
}

fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("mach");
    for cpus in [1, 2] {
        group.bench_function(format!("wake and block, {cpus} cpus"), |b| {
            b.iter_custom(|n| {
                in_kernel(cpus, move |kernel| {
                    let turn = Arc::new(AtomicU64::new(0));
                    let (ping, pong) = (kernel.new_event(), kernel.new_event());
                    let theirs = turn.clone();
                    let other = move |kernel: &KernelRef| {
                        for i in 0..n {
                            wait(kernel, ping, || theirs.load(Ordering::Relaxed) == 2 * i + 1);
                            theirs.store(2 * i + 2, Ordering::Relaxed);
                            kernel.wakeup(pong);
                        }
                    };
                    kernel.spawn("pong", band::KERNEL, Policy::Fixed, other).unwrap();
                    for i in 0..n {
                        turn.store(2 * i + 1, Ordering::Relaxed);
                        kernel.wakeup(ping);
                        wait(kernel, pong, || turn.load(Ordering::Relaxed) == 2 * i + 2);
                    }
                })
            });
        });
    }
    group.bench_function("spawn and join", |b| {
        b.iter_custom(|n| {
            in_kernel(1, move |kernel| {
                for _ in 0..n {
                    kernel.spawn("short", band::KERNEL, Policy::Fixed, |_| {}).unwrap().join(kernel);
                }
            })
        });
    });
    group.finish();
    c.bench_function("mach from start to end, 2 cpus", |b| b.iter(|| in_kernel(2, |_| {})));
}

fn machines(c: &mut Criterion) {
    c.bench_function("a machine from start to end", |b| {
        b.iter(|| toy::run(Sim::builder().cpus(2).seed(1), &mut |_| {}, |toy| toy.yield_now()));
    });
}

criterion_group!(benches, points, threads, devices, machines, kernels);
criterion_main!(benches);
