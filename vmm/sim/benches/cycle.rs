//! Cycles of plug, I/O, unplug, finalize through the whole house: kernel, IOKit, driver, device model, plan. The throughput is cycles
//! per second on one core.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use devices::fault::plan::Plan;
use trace::Kind;

/// A card that goes after each request that came back, and comes back when its nub is finalized (the third after client and driver).
fn plan(cpus: usize, cycles: u64) -> Plan {
    let mut text =
        format!("machine cpus={cpus}\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=15ms\n");
    for n in 1..=cycles {
        text += &format!("on edu0.io.done #{n} unplug edu0\non edu0.finalize #{} replug edu0\n", 3 * n);
    }
    Plan::parse("cycle.plan", &text).expect("the plan is right")
}

/// Cycles that a run of `plan` makes.
fn cycles(plan: &Plan, seed: u64) -> u64 {
    let mut finalized = 0;
    let count = &mut |event: &trace::Event| finalized += u64::from(event.kind == Kind::Finalize);
    sim::run(plan, seed, count).expect("the plan runs");
    finalized / 3
}

fn cycle(c: &mut Criterion) {
    let mut group = c.benchmark_group("plug, I/O, unplug, finalize");
    for cpus in [1, 2] {
        let plan = plan(cpus, 150);
        group.throughput(Throughput::Elements(cycles(&plan, 1)));
        group.bench_function(format!("{cpus} cpus"), |b| {
            b.iter_batched(|| (), |()| sim::run(&plan, 1, &mut |_| {}), BatchSize::SmallInput);
        });
    }
    group.finish();
    let smallest = Plan::parse("smallest.plan", "machine cpus=1\nplug edu0 edu slot=1\nrun for=1ms\n");
    let smallest = smallest.expect("the plan is right");
    c.bench_function("the smallest plan from start to end", |b| {
        b.iter(|| sim::run(&smallest, 1, &mut |_| {}))
    });
}

criterion_group!(benches, cycle);
criterion_main!(benches);
