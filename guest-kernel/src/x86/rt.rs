//! The names of unwinding that core refers to.

/// Named by precompiled core; never called, since panics abort.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by precompiled core; never called, since panics abort.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    super::cpu::halt_forever()
}

/// Called for each module of an image that counts its code (`WORKGATE_COVERAGE`), by constructors that nobody runs: the host reads the
/// counters where they are.
#[cfg(feature = "coverage")]
#[unsafe(no_mangle)]
pub extern "C" fn __sanitizer_cov_8bit_counters_init(_begin: *mut u8, _end: *mut u8) {}
