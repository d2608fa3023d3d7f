//! Small plans of plugs, loads, removals and faults: correct drivers bear them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("teardown", bytes));
