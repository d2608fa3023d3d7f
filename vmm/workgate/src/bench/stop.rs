//! Ctrl-C: what goes on is brought to its end, what has not begun is reported as not measured.

use std::sync::atomic::{AtomicBool, Ordering};
use vmm_sys_util::signal::register_signal_handler;

static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn request(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // An atomic store is all that a signal handler may safely do here.
    REQUESTED.store(true, Ordering::Relaxed);
}

/// Whether the user wants out.
#[derive(Debug)]
pub struct Stop(());

impl Stop {
    /// Listens for Ctrl-C from now on. Where that is impossible, Ctrl-C ends the process as usual.
    pub fn listen() -> Self {
        let _: Result<(), _> = register_signal_handler(libc::SIGINT, request);
        Self(())
    }

    /// Whether Ctrl-C was pressed.
    pub fn requested(&self) -> bool {
        REQUESTED.load(Ordering::Relaxed)
    }

    /// The reason to measure no more, if there is one.
    ///
    /// # Errors
    /// Ctrl-C was pressed.
    pub fn check(&self) -> Result<(), String> {
        if self.requested() { Err("interrupted".to_owned()) } else { Ok(()) }
    }
}
