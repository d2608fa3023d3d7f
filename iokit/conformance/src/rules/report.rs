//! `show_all_threads`: who waits for what.

use crate::prelude::*;
use crate::sync::Arc;
use mach::{Policy, QUANTUM, RecursiveLock, RwLock, WaitMode, band};

use crate::threads::{Counter, hog, spawn, spawn_as};

fn every_thread_is_listed_with_what_it_waits_for(lab: &Lab<'_>) {
    lab.kernel(2, 20, |kernel| {
        let event = kernel.new_event();
        let lock = Arc::new(RecursiveLock::new(kernel));
        lock.lock(kernel);
        let theirs = lock.clone();
        let locked = spawn(kernel, "wants-lock", band::DEFAULT, move |kernel| {
            theirs.lock(kernel);
            theirs.unlock(kernel);
        });
        let waiting = spawn(kernel, "wants-event", band::UTILITY, move |kernel| {
            kernel.assert_wait(event, WaitMode::AbortSafe, None);
            kernel.block();
        });
        kernel.delay(10_000_000);
        let text = kernel.show_all_threads();
        let line = |name: &str| {
            let found = text.lines().find(|line| line.starts_with(name));
            found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        assert!(line("first#").contains("Running priority 81 (base 81"), "{text}");
        assert!(line("wants-lock#").contains("of first#"), "{text}");
        assert!(line("wants-event#").contains("priority 20"), "{text}");
        assert!(line("wants-event#").contains(&format!("event {:#x}", event.0)), "{text}");
        lock.unlock(kernel);
        kernel.wakeup(event);
        locked.join(kernel);
        waiting.join(kernel);
        // Their last steps come after they have told their joiners.
        kernel.delay(10_000_000);
        assert!(!kernel.show_all_threads().contains("wants-"));
    });
}

/// S9: policies, deadlines and demotions; what is held, and who waits for readers.
fn s9_policies_and_locks_are_shown(lab: &Lab<'_>) {
    lab.kernel(3, 10, |kernel| {
        kernel.set_fail_safe(2 * QUANTUM);
        let (stop, event) = (Counter::default(), kernel.new_event());
        let lock = Arc::new(RwLock::in_class(kernel, kernel.lock_class("table"), ()));
        let reading = lock.read(kernel);
        let wanted = lock.clone();
        let writer = spawn(kernel, "writer", band::DEFAULT, move |kernel| drop(wanted.write(kernel)));
        let gate = Arc::new(RecursiveLock::in_class(kernel, kernel.lock_class("Driver gate")));
        let inner = Arc::new(RecursiveLock::in_class(kernel, kernel.lock_class("properties")));
        let acting = spawn_as(kernel, "acting", (band::DEFAULT, Policy::Timeshare), move |kernel| {
            gate.lock(kernel);
            inner.lock(kernel);
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            kernel.block();
            inner.unlock(kernel);
            gate.unlock(kernel);
        });
        let real_time = Policy::RealTime { deadline: 77 };
        let sleeper =
            spawn_as(kernel, "real-time", (band::REAL_TIME, real_time), |kernel| kernel.delay(10 * QUANTUM));
        let runaway = hog(kernel, (60, Policy::Fixed), &stop);
        kernel.delay(4 * QUANTUM);
        let text = kernel.show_all_threads();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        for (name, wanted) in [
            ("first#", "(base 81, fixed) on CPU"),
            ("first#", ", has table"),
            ("writer#", "waits for a lock that readers have"),
            ("acting#", "(base 31, timeshare), waits for event"),
            ("acting#", ", has properties inside of Driver gate"),
            ("real-time#", "(base 97, real time), due at 77 ns, waits for event"),
            ("hog#", "(base 60, fixed), demoted until "),
        ] {
            assert!(line(name).contains(wanted), "{name} {wanted}: {text}");
        }
        // Where the machine has backtraces, that of a thread that waits is below its line.
        let has_backtraces = kernel.machine().backtrace(&mut [0]) != 0;
        let after = text.lines().skip_while(|line| !line.starts_with("acting#")).nth(1).unwrap_or_default();
        assert_eq!(after.starts_with("    0x"), has_backtraces, "{text}");
        drop(reading);
        stop.set(1);
        kernel.wakeup(event);
        [writer, acting, sleeper, runaway].iter().for_each(|thread| thread.join(kernel));
    });
}

table! {
    every_thread_is_listed_with_what_it_waits_for,
    s9_policies_and_locks_are_shown,
}
