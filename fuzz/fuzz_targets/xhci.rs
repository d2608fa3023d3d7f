//! A USB controller whose rings and contexts hold anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("xhci", bytes));
