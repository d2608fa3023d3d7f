//! One input, with panics caught.

use crate::target::{Features, Target, Trouble};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

thread_local! {
    /// A target runs on this OS thread: panics are its findings.
    static RUNS: Cell<bool> = const { Cell::new(false) };
    /// The last panic: where, and what it said.
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Runs `input`: the features it reached, and what broke.
pub fn attempt(target: &dyn Target, input: &[u8]) -> (Vec<u64>, Option<Trouble>) {
    install_hook();
    let mut features = Features::default();
    RUNS.set(true);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| target.run(input, &mut features)));
    RUNS.set(false);
    let trouble = ran.unwrap_or_else(|_| {
        let (place, message) = PANIC.take().unwrap_or_default();
        Some(Trouble::new(format!("panic at {place}"), format!("{message}\n")))
    });
    (features.into_sorted(), trouble)
}

/// What is said about an input that did not end.
pub fn hung(seconds: u64) -> Trouble {
    Trouble::new("hang", format!("the input had not ended after {seconds} s\n"))
}

/// Puts a panic hook in front of the process's own, once: what a target panics with is recorded and not printed.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !RUNS.get() {
                return previous(info);
            }
            let place =
                info.location().map_or_else(String::new, |at| format!("{}:{}", short(at.file()), at.line()));
            let message = info.payload_as_str().unwrap_or("a panic without a message").to_owned();
            PANIC.set(Some((place, message)));
        }));
    });
}

/// The end of a source file's path: the same on every machine.
fn short(file: &str) -> String {
    let parts: Vec<_> = Path::new(file).iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}
