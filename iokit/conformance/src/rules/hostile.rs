//! HT1: tasks that mean no good. Their program (`user::programs::hostile`) calls everything with anything, and is killed at any instruction: in ring 3 on KVM, at any
//! trap or access to memory in the simulator.

use crate::prelude::*;
use crate::sync::Arc;
use abi::start::{info, program};
use iokit::Options;
use mach::{
    KernelRef,
    task::{Task, TaskPlan},
};

use super::task_clients::{end, everywhere, stack};
use crate::user::assert_nothing_left;

/// Longest life of a task, ns.
const LIFE: u64 = 1_000_000;
/// Steps of each of its threads.
const ROUNDS: u64 = 30;
/// Tasks of a run where many schedules are tried, and where one is.
const FEW: u64 = 2;
const MANY: u64 = 12;

/// Another number, which looks like any.
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// A task whose acts follow from `seed`.
fn hostile(kernel: &KernelRef, seed: u64) -> Arc<Task> {
    let mut plan = TaskPlan::new("hostile", kernel.user_program().expect("the machine has user programs"));
    plan.info[info::PROGRAM as usize] = program::HOSTILE;
    plan.info[info::SEED as usize] = seed;
    plan.info[info::ROUNDS as usize] = ROUNDS;
    kernel.create_task(plan).expect("memory for a task")
}

/// Kills `tasks`, and waits until they are gone.
fn kill(kernel: &KernelRef, tasks: Vec<Arc<Task>>) {
    tasks.iter().for_each(|task| _ = task.terminate(kernel));
    tasks.iter().for_each(|task| _ = task.wait_gone(kernel));
}

/// One after the other, each killed at some moment. What they do follows from the time, and so from the schedule.
fn ht1_whatever_a_task_does_and_whenever_it_dies_nothing_of_it_is_left(lab: &Lab<'_>) {
    let count = if lab.tries_many() { FEW } else { MANY };
    for cpus in [1, 2] {
        lab.kernel(cpus, 1, move |kernel| {
            for n in 0..count {
                let task = hostile(kernel, mixed(kernel.now() + n));
                kernel.delay(mixed(kernel.now()) % LIFE);
                kill(kernel, vec![task]);
                assert_nothing_left(kernel, 0);
            }
            assert!(kernel.tasks().is_empty());
        });
    }
}

/// Many at once, which know nothing of each other and compete for everything.
fn ht1_a_crowd_of_tasks_leaves_nothing(lab: &Lab<'_>) {
    lab.kernel(2, 1, |kernel| {
        let tasks: Vec<_> = (0..4).map(|n| hostile(kernel, mixed(kernel.now() + n))).collect();
        kernel.delay(LIFE);
        kill(kernel, tasks);
        assert_nothing_left(kernel, 0);
    });
}

/// Services behind ports, which they find, open and call with anything, and which go meanwhile.
fn ht1_nor_with_services_behind_ports(lab: &Lab<'_>) {
    everywhere(lab, |kit| {
        let (nub, driver, _closed) = stack(kit);
        let tasks: Vec<_> = (0..3).map(|n| hostile(kit.kernel(), mixed(kit.kernel().now() + n))).collect();
        kit.kernel().delay(LIFE / 2);
        driver.terminate(Options::empty());
        drop(driver);
        kit.kernel().delay(LIFE / 2);
        tasks.iter().for_each(|task| _ = task.terminate(kit.kernel()));
        end(kit, &nub, tasks);
    });
}

table! {
    ht1_whatever_a_task_does_and_whenever_it_dies_nothing_of_it_is_left,
    ht1_a_crowd_of_tasks_leaves_nothing,
    ht1_nor_with_services_behind_ports,
}
