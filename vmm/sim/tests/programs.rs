//! The user programs in the simulator: those that mean no good leave nothing behind.

use mach::KernelRef;
use mach::task::{Task, TaskPlan};
use sim::Ended;
use sim::harness::{for_seeds, run_kernel};
use std::sync::Arc;
use user::start::{info, program};

/// A hostile task whose acts follow from `seed`.
fn hostile(kernel: &KernelRef, seed: u64, rounds: u64) -> Arc<Task> {
    let program = kernel.user_program().unwrap_or_else(user::native::program);
    let mut plan = TaskPlan::new("hostile", program);
    plan.info[info::PROGRAM as usize] = program::HOSTILE;
    plan.info[info::SEED as usize] = seed;
    plan.info[info::ROUNDS as usize] = rounds;
    kernel.create_task(plan).expect("memory for a task")
}

/// Nothing of any task is left, once threads on their way out have let go of theirs.
fn assert_clean(kernel: &KernelRef) {
    kernel.delay(10_000_000);
    let left: Vec<_> = kernel.resources().into_iter().filter(|(_, count)| *count != 0).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(kernel.tasks().is_empty());
}

/// Tasks that are killed at any moment, one after another.
fn one_after_another(kernel: &KernelRef, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let task = hostile(kernel, seed, 30);
        kernel.delay(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 3_000_000);
        task.terminate(kernel);
        task.wait_gone(kernel);
        drop(task);
        assert_clean(kernel);
    }
}

#[test]
fn hostile_tasks_leave_nothing_under_any_schedule() {
    for_seeds(1, 0..20, |kernel| one_after_another(kernel, 0..10));
    for_seeds(2, 20..40, |kernel| one_after_another(kernel, 10..20));
}

/// Many at once, which know nothing of each other and compete for everything.
#[test]
fn a_crowd_of_hostile_tasks_leaves_nothing() {
    for_seeds(2, 0..10, |kernel| {
        let tasks: Vec<_> = (0..8).map(|seed| hostile(kernel, seed, 60)).collect();
        kernel.delay(5_000_000);
        tasks.iter().for_each(|task| _ = task.terminate(kernel));
        tasks.iter().for_each(|task| _ = task.wait_gone(kernel));
        drop(tasks);
        assert_clean(kernel);
    });
}

/// 10,000 deaths in one machine's life.
#[test]
fn ten_thousand_deaths_leave_nothing() {
    let outcome = run_kernel(2, 1, |kernel| {
        for batch in 0..1_250 {
            let tasks: Vec<_> = (0..8).map(|n| hostile(kernel, batch * 8 + n, 12)).collect();
            kernel.delay(batch.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000);
            tasks.iter().for_each(|task| _ = task.terminate(kernel));
            tasks.iter().for_each(|task| _ = task.wait_gone(kernel));
        }
        assert_clean(kernel);
    });
    assert_eq!(outcome.ended, Ended::Done, "{outcome:#?}");
    assert_eq!(outcome.kernel_references, 0);
}

/// Cards under hostile tasks, which are killed and started again while cards come and go.
const CARDS: &str = "machine cpus=2 memory=32M
plug edu0 edu slot=1
plug disk0 virtio-blk slot=2 size=1M
plug daq0 daq slot=3 period=100us
at 4ms unplug edu0
at 6ms replug edu0
at 7ms unplug disk0
at 9ms unplug daq0
expect quiet within=1s
expect no-leaks
run for=14ms
";

/// Tasks that mean no good open every service and call it with anything. Drivers, IOKit and kernel bear it: no oracle finds anything, nothing is left.
#[test]
fn drivers_bear_hostile_tasks() {
    let plan = devices::fault::plan::Plan::parse("hostile.plan", CARDS).expect("a plan");
    for seed in 1..=20 {
        let mut verifier = verdict::Verifier::new(&plan);
        let outcome =
            sim::run_with(&plan, seed, move |kit| harass(kit, seed), &mut |event| verifier.event(event));
        let outcome = outcome.expect("a machine");
        assert_eq!(outcome.ended, Ended::Done, "seed {seed}: {outcome:#?}");
        let verdict = verifier.finish(verdict::Ended::Done);
        assert!(verdict.passed, "seed {seed}\n{}", verdict::render(&verdict));
    }
}

/// A thread that starts hostile tasks and kills them, until the last card has gone.
fn harass(kit: &iokit::IoKit, seed: u64) {
    kit.open_to_tasks();
    let body = move |kernel: &KernelRef| {
        while kernel.now() < 12_000_000 {
            let tasks = [0, 1, 2].map(|n| hostile(kernel, seed * 1000 + kernel.now() + n, 40));
            kernel.delay(1_500_000);
            tasks.iter().for_each(|task| _ = task.terminate(kernel));
            tasks.iter().for_each(|task| _ = task.wait_gone(kernel));
        }
    };
    let policy = mach::Policy::Fixed;
    kit.kernel().spawn("harasser", mach::band::KERNEL, policy, body).expect("memory for a thread");
}
