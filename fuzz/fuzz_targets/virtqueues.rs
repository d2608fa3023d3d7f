//! A disk whose rings hold anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("virtqueues", bytes));
