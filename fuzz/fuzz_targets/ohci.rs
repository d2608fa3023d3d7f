//! A FireWire controller whose registers, contexts and descriptors hold anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("ohci", bytes));
