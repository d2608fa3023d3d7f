//! Configuration space under any accesses.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::libfuzzer::check("pci_config", bytes));
