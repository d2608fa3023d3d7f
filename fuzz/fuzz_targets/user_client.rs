//! External methods with any selector and sizes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("user_client", bytes));
