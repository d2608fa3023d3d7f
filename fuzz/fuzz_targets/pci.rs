//! A hostile guest at the platform.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: workgate_fuzz::pci::Script| workgate_fuzz::pci::check(&script));
