//! What the targets of cargo-fuzz do with their bytes.

use crate::target::{Features, Target};
use crate::targets;
use std::cell::OnceCell;

/// Runs `input` in the target called `name`.
///
/// # Panics
/// If something broke: libFuzzer then keeps the input. The story is printed before.
pub fn check(name: &str, input: &[u8]) {
    thread_local! {
        static TARGET: OnceCell<Box<dyn Target>> = const { OnceCell::new() };
    }
    TARGET.with(|cell| {
        let target = cell.get_or_init(|| {
            targets::of(name, targets::Setting::default()).unwrap_or_else(|error| panic!("{error}"))
        });
        if let Some(trouble) = target.run(input, &mut Features::default()) {
            eprintln!("--- input\n{}\n--- trouble\n{}", target.describe(input), trouble.told);
            panic!("{}: {}", target.name(), trouble.cause);
        }
    });
}
