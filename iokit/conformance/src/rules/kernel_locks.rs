//! WL9, WL10, S7: what the gate is made of.

use crate::prelude::*;
use crate::sync::Arc;
use crate::threads::{Counter, SETTLE, holder, spawn};

use mach::{RecursiveLock, RwLock, WaitMode, WaitResult, band};

/// WL9: sleeping drops every level, and brings them all back.
fn wl9_sleep_drops_all_levels_and_restores_them(lab: &Lab<'_>) {
    lab.kernel(2, 200, |kernel| {
        let event = kernel.new_event();
        let lock = Arc::new(RecursiveLock::new(kernel));
        let (flag, theirs) = (Counter::default(), lock.clone());
        let seen = flag.clone();
        let sleeper = spawn(kernel, "sleeper", band::KERNEL, move |kernel| {
            (0..3).for_each(|_| theirs.lock(kernel));
            while seen.get() == 0 {
                let result = theirs.sleep(kernel, event, WaitMode::Uninterruptible, None);
                assert_eq!(result, WaitResult::Awakened);
                assert_eq!(theirs.levels(kernel), 3);
            }
            (0..3).for_each(|_| _ = theirs.unlock(kernel));
        });
        kernel.delay(5_000);
        lock.lock(kernel);
        flag.set(1);
        kernel.wakeup(event);
        lock.unlock(kernel);
        sleeper.join(kernel);
        assert_eq!(lock.owner(), 0);
    });
}

/// WL10: an abort stays until it is cleared; a loop that ignores the result does not sleep, and does not drop the lock.
fn wl10_an_abort_ends_this_wait_and_all_later_ones(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (event, results) = (kernel.new_event(), Counter::default());
        let lock = Arc::new(RecursiveLock::new(kernel));
        let theirs = results.clone();
        let victim = spawn(kernel, "victim", band::DEFAULT, move |kernel| {
            lock.lock(kernel);
            assert_eq!(lock.sleep(kernel, event, WaitMode::Interruptible, None), WaitResult::Interrupted);
            for _ in 0..3 {
                let now = kernel.now() + 1_000;
                let result = lock.sleep(kernel, event, WaitMode::AbortSafe, Some(now));
                assert_eq!(result, WaitResult::Interrupted);
            }
            let deadline = Some(kernel.now() + 1_000);
            let result = lock.sleep(kernel, event, WaitMode::Uninterruptible, deadline);
            assert_eq!(result, WaitResult::TimedOut, "an uninterruptible wait is not cut short");
            kernel.current().clear_abort(kernel);
            let deadline = Some(kernel.now() + 1_000);
            assert_eq!(lock.sleep(kernel, event, WaitMode::Interruptible, deadline), WaitResult::TimedOut);
            lock.unlock(kernel);
            theirs.add();
        });
        kernel.delay(10_000_000);
        victim.abort(kernel);
        victim.join(kernel);
        assert_eq!(results.get(), 1);
    });
}

/// S7 to the one who writes, as for any lock; readers have nobody to push.
fn s7_a_writer_is_pushed_by_readers_and_writers_and_capped(lab: &Lab<'_>) {
    lab.kernel(2, 50, |kernel| {
        let (lock, said, go) = (Arc::new(RwLock::new(kernel, 0)), Counter::default(), kernel.new_event());
        let owner = holder(kernel, 10, &lock, true, &said, go);
        let reader = holder(kernel, 40, &lock, false, &said, go);
        assert_eq!(owner.priority(kernel), 40);
        let writer = holder(kernel, band::REAL_TIME, &lock, true, &said, go);
        assert_eq!(owner.priority(kernel), band::KERNEL_MAX, "capped at 95");
        kernel.wakeup(go);
        kernel.delay(SETTLE);
        assert_eq!(lock.writer(), writer.id(), "the most important first");
        kernel.wakeup(go);
        kernel.delay(SETTLE);
        let late = holder(kernel, 60, &lock, true, &said, go);
        assert_eq!((reader.priority(kernel), said.get()), (40, 3), "readers are not pushed");
        while !late.is_dead() {
            kernel.wakeup(go);
            kernel.delay(SETTLE);
        }
        [owner, reader, writer].iter().for_each(|thread| thread.join(kernel));
    });
}

table! {
    wl9_sleep_drops_all_levels_and_restores_them,
    wl10_an_abort_ends_this_wait_and_all_later_ones,
    s7_a_writer_is_pushed_by_readers_and_writers_and_capped,
}
