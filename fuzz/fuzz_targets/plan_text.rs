//! Bytes as a plan.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("plan_text", bytes));
