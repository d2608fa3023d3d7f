//! Hostile tasks in a whole simulated kernel.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("mach_messages", bytes));
