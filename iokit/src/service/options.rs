//! Option bits and states of a service.

use bitflags::bitflags;

bitflags! {
    /// Options of terminate, open, close and register.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Options: u32 {
        /// The termination is not optional (the device is gone).
        const REQUIRED = 1;
        /// Wait: terminate for busy = 0 (15 s), register for the end of matching.
        const SYNCHRONOUS = 2;
        /// Set by terminate itself.
        const TERMINATE = 4;
        /// Open: ask the owner to close first.
        const SEIZE = 8;
    }
}

bitflags! {
    /// Where a service is in its life (IOService.cpp's two state words in one).
    ///
    /// Written with the arbitration lock held; may be read without.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct State: u32 {
        /// Terminated: phase 1 was here.
        const INACTIVE = 1;
        /// `register_service` was called and matching took it up.
        const REGISTERED = 1 << 1;
        /// Matching came to an end.
        const MATCHED = 1 << 2;
        /// FirstPublish was notified.
        const FIRST_PUBLISH = 1 << 3;
        /// FirstMatch was notified.
        const FIRST_MATCH = 1 << 4;
        /// Registered (again) and not yet taken up by matching.
        const NEED_CONFIG = 1 << 8;
        /// A matching thread works on it.
        const CONFIG = 1 << 9;
        /// That matching can still be told to repeat.
        const CONFIG_RUNNING = 1 << 15;
        /// Its own `start` is running.
        const STARTING = 1 << 10;
        /// The root of a termination whose phase 1 is not over.
        const TERM_PHASE_1 = 1 << 11;
        /// It is inactive, and phase 1 is still on its way below it (or elsewhere): phase 2 must not overtake it here.
        const TERM_PHASE_1_BELOW = 1 << 17;
        /// Phase 2 took it up.
        const TERM_PHASE_2 = 1 << 12;
        /// Phase 2 came while matching or a client's start was running: to be scheduled again at the end of that.
        const TERM_PHASE_2_LATER = 1 << 16;
        /// All wills are done; dids begin.
        const TERM_PHASE_3 = 1 << 13;
        /// `finalize` was called.
        const FINALIZED = 1 << 14;
    }
}
