//! Real time (S5): the earliest deadline within a level.

use crate::prelude::*;
use crate::sync::Arc;
use mach::{Policy, QUANTUM, SpinLock, WaitMode, band};

use crate::threads::{Counter, hog, spawn_as};

fn due(deadline: u64) -> (u8, Policy) {
    (band::REAL_TIME, Policy::RealTime { deadline })
}

fn s5_the_earliest_deadline_of_a_level_goes_first_and_equals_in_order(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let boss = kernel.current();
        boss.set_priority(kernel, 120);
        let threads =
            [(300, 'c'), (100, 'a'), (u64::MAX, 'd'), (200, 'b'), (100, 'A')].map(|(deadline, name)| {
                let order = order.clone();
                spawn_as(kernel, "rt", due(deadline), move |kernel| order.lock(kernel).push(name))
            });
        let theirs = order.clone();
        let none = spawn_as(kernel, "fixed", (band::REAL_TIME, Policy::Fixed), move |kernel| {
            theirs.lock(kernel).push('z');
        });
        let theirs = order.clone();
        let above = spawn_as(kernel, "above", (band::REAL_TIME + 1, Policy::Fixed), move |kernel| {
            theirs.lock(kernel).push('0');
        });
        boss.set_priority(kernel, band::KERNEL);
        threads.iter().chain([&none, &above]).for_each(|thread| thread.join(kernel));
        assert_eq!(
            *order.lock(kernel),
            ['0', 'a', 'A', 'b', 'c', 'd', 'z'],
            "the level goes before the deadline"
        );
    });
}

fn s5_a_waking_thread_with_an_earlier_deadline_preempts_a_later_one(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let (stop, event) = (Counter::default(), kernel.new_event());
        let boss = kernel.current();
        boss.set_priority(kernel, 120);
        let runs = Counter::default();
        let woken = [10, 1_000].map(|deadline| {
            let runs = runs.clone();
            spawn_as(kernel, "woken", due(deadline), move |kernel| {
                kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                kernel.block();
                runs.add();
            })
        });
        kernel.delay(QUANTUM);
        let running = hog(kernel, due(500), &stop);
        kernel.delay(QUANTUM / 2);
        kernel.wakeup(event);
        kernel.delay(5 * QUANTUM);
        assert_eq!(runs.get(), 1, "the earlier one at once; the later one not even when quanta end");
        stop.set(1);
        woken.iter().chain([&running]).for_each(|thread| thread.join(kernel));
        assert_eq!(runs.get(), 2);
    });
}

fn s5_a_new_deadline_moves_a_thread_in_its_queue(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let boss = kernel.current();
        boss.set_priority(kernel, 120);
        let threads = ['a', 'b', 'c'].map(|name| {
            let order = order.clone();
            spawn_as(kernel, "rt", due(name as u64), move |kernel| order.lock(kernel).push(name))
        });
        threads[2].set_policy(kernel, due(0).1);
        threads[0].set_policy(kernel, Policy::Fixed);
        boss.set_priority(kernel, band::KERNEL);
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(*order.lock(kernel), ['c', 'b', 'a']);
    });
}

table! {
    s5_the_earliest_deadline_of_a_level_goes_first_and_equals_in_order,
    s5_a_waking_thread_with_an_earlier_deadline_preempts_a_later_one,
    s5_a_new_deadline_moves_a_thread_in_its_queue,
}
