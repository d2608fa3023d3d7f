//! Hostile tasks in a whole simulated kernel.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| workgate_fuzz::tasks::check(bytes));
