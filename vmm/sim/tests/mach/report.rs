//! `show_all_threads`: who waits for what.

use mach::{RecursiveLock, WaitMode, band};
use sim::harness::for_seeds;
use std::sync::Arc;

use super::spawn;

#[test]
fn every_thread_is_listed_with_what_it_waits_for() {
    for_seeds(2, 0..20, |kernel| {
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
