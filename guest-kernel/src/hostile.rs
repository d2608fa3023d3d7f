//! `hostile=COUNT` on the command line: user tasks that mean no good come one after another, each with a seed of its own, and are killed
//! sooner or later. What is left of them is told, so that a test can read it: it has to be nothing.

use alloc::format;
use mach::KernelRef;
use mach::task::TaskPlan;
use user::start::{info, program};

/// Longest life of a task, in ns of machine time.
const LIFE: u64 = 30_000_000;
/// Steps of each of its threads.
const ROUNDS: u64 = 40;

/// Starts `count` tasks.
pub fn run(kernel: &KernelRef, count: u64) {
    let Some(program) = kernel.user_program() else {
        crate::kprintln!("hostile: no user programs");
        return;
    };
    let (mut refused, mut ended) = (0, 0);
    for seed in 0..count {
        let mut plan = TaskPlan::new(&format!("hostile{seed}"), program.clone());
        plan.info[info::PROGRAM as usize] = program::HOSTILE;
        plan.info[info::SEED as usize] = seed;
        plan.info[info::ROUNDS as usize] = ROUNDS;
        let Ok(task) = kernel.create_task(plan) else {
            refused += 1;
            continue;
        };
        let end = kernel.now() + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % LIFE;
        while kernel.now() < end && !task.is_terminating() {
            kernel.delay(LIFE / 16);
        }
        ended += u64::from(!task.terminate(kernel));
        task.wait_gone(kernel);
    }
    // Threads on their way out still have their task.
    kernel.delay(LIFE);
    crate::kprintln!("hostile: {count} tasks, {refused} refused, {ended} ended before they were killed");
    let left = kernel.resources().map(|(name, count)| format!("{name} {count}")).join(", ");
    crate::kprintln!("hostile: left: {left}");
}
