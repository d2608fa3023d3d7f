//! Small plans under any schedule: correct drivers pass.
#![no_main]

libfuzzer_sys::fuzz_target!(|case: workgate_fuzz::case::Case| workgate_fuzz::teardown::check(&case));
