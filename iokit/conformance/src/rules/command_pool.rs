//! CP1: command pools.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{IoKit, ServiceRef, io::CommandPool, work_loop::WorkLoop};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{DRIVER, Mock},
    world::shared,
};

fn pool(kit: &IoKit, commands: u32) -> (ServiceRef, Arc<WorkLoop>, Arc<CommandPool<u32>>) {
    let owner = Mock::new(&DRIVER).service(kit, "D");
    let work_loop = WorkLoop::new(&owner);
    let pool = Arc::new(CommandPool::new(&owner, &work_loop).unwrap());
    (0..commands).for_each(|n| pool.return_command(n).unwrap());
    (owner, work_loop, pool)
}

fn cp1_last_in_first_out_and_empty_without_blocking_is_none(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, pool) = pool(kit, 3);
        assert_eq!([pool.get_command(false), pool.get_command(true)], [Some(2), Some(1)]);
        pool.return_command(7).unwrap();
        let taken: Vec<_> = core::iter::from_fn(|| pool.get_command(false)).collect();
        assert_eq!((taken, pool.available()), (vec![7, 0], 0));
        assert_eq!(pool.get_command(false), None);
        drop(pool);
        assert_eq!(work_loop.source_count(), 0);
    });
}

fn cp1_it_is_gated(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, work_loop, pool) = pool(kit, 1);
        let taken = shared(kit, None);
        let (place, mine) = (taken.clone(), pool.clone());
        let thread = work_loop.run_action(|| {
            let body = move |_: &mach::KernelRef| {
                let command = mine.get_command(false);
                *place.lock() = command;
            };
            let thread = kit.kernel().spawn("taker", band::KERNEL, Policy::Fixed, body).unwrap();
            kit.kernel().delay(100_000);
            assert_eq!(*taken.lock(), None, "the gate is closed");
            assert_eq!(pool.get_command(false), Some(0), "for its holder it is not");
            pool.return_command(5).unwrap();
            thread
        });
        thread.join(kit.kernel());
        assert_eq!(*taken.lock(), Some(5));
    });
}

fn cp1_each_return_wakes_one_and_the_sleep_is_in_a_predicate_loop(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, _work_loop, pool) = pool(kit, 0);
        let taken = shared(kit, Vec::new());
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                let (pool, taken) = (pool.clone(), taken.clone());
                let body = move |_: &mach::KernelRef| {
                    let command = pool.get_command(true).unwrap();
                    taken.lock().push(command);
                };
                kit.kernel().spawn("sleeper", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        kit.kernel().sleep_until(kit.kernel().now() + 500_000);
        for n in 0..3 {
            pool.return_command(n).unwrap();
            // A thief: it may be faster than the one that was woken, who must then sleep again.
            if let Some(stolen) = pool.get_command(false) {
                kit.kernel().delay(10_000);
                pool.return_command(stolen).unwrap();
            }
            kit.kernel().sleep_until(kit.kernel().now() + 500_000);
            assert_eq!(taken.lock().len(), n as usize + 1, "one return, one thread");
        }
        sleepers.iter().for_each(|t| {
            t.join(kit.kernel());
        });
        let mut all = taken.lock().clone();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

fn cp1_many_threads_share_few_commands_and_none_is_lost_or_doubled(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let (_owner, _work_loop, pool) = pool(kit, 2);
        let held = shared(kit, [false; 2]);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (pool, held) = (pool.clone(), held.clone());
                let body = move |kernel: &mach::KernelRef| {
                    for _ in 0..4 {
                        let command = pool.get_command(true).unwrap();
                        assert!(!core::mem::replace(&mut held.lock()[command as usize], true));
                        kernel.delay(1_000);
                        held.lock()[command as usize] = false;
                        pool.return_command(command).unwrap();
                    }
                };
                kit.kernel().spawn("worker", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        for thread in threads {
            thread.join(kit.kernel());
        }
        assert_eq!(pool.available(), 2);
    });
}

fn cp1_a_return_wakes_nobody_else(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        let (_owner, _work_loop, pool) = pool(kit, 0);
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                let pool = pool.clone();
                let body = move |_: &mach::KernelRef| assert!(pool.get_command(true).is_some());
                kit.kernel().spawn("sleeper", band::DEFAULT, Policy::Fixed, body).unwrap()
            })
            .collect();
        kit.kernel().sleep_until(kit.kernel().now() + 500_000);
        for n in 0..3 {
            pool.return_command(n).unwrap();
            kit.kernel().sleep_until(kit.kernel().now() + 500_000);
        }
        sleepers.iter().for_each(|t| {
            t.join(kit.kernel());
        });
    });
    for run in runs {
        let count = |kind| run.events.iter().filter(|e| e.kind == kind).count();
        assert_eq!((count(Kind::CommandSleep), count(Kind::CommandResume)), (3, 3), "seed {}", run.seed);
    }
}

table! {
    cp1_last_in_first_out_and_empty_without_blocking_is_none,
    cp1_it_is_gated,
    cp1_each_return_wakes_one_and_the_sleep_is_in_a_predicate_loop,
    cp1_many_threads_share_few_commands_and_none_is_lost_or_doubled,
    cp1_a_return_wakes_nobody_else,
}
