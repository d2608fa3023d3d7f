//! As `teardown`, but removals and faults come when everything is at work.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("steady", bytes));
