//! Bytes as a plan.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| workgate_fuzz::text::check(bytes));
