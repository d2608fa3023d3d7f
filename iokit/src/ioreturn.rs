//! `IOReturn`: why something did not work.

use core::fmt;

macro_rules! returns {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// An error code, with the numbers of macOS (`0xe0000000 | code`). Success is `Ok`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum IOReturn { $($(#[$doc])* $name = $code,)* }

        impl IOReturn {
            /// Every code.
            pub const ALL: &'static [IOReturn] = &[$(IOReturn::$name,)*];

            /// The code with this number.
            pub fn from_code(code: u32) -> Option<IOReturn> {
                match code { $($code => Some(IOReturn::$name),)* _ => None }
            }
        }

        impl fmt::Display for IOReturn {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(IOReturn::$name => $text,)* })
            }
        }
    };
}

returns! {
    /// General failure.
    Error = 0xe000_02bc, "general failure";
    /// No memory.
    NoMemory = 0xe000_02bd, "no memory";
    /// Something that is in short supply ran out.
    NoResources = 0xe000_02be, "no resources";
    /// Generic absence, defined by the family.
    NoDevice = 0xe000_02c0, "no such device";
    /// Privilege violation.
    NotPrivileged = 0xe000_02c1, "not privileged";
    /// An argument is wrong.
    BadArgument = 0xe000_02c2, "bad argument";
    /// Somebody else holds it exclusively.
    ExclusiveAccess = 0xe000_02c5, "exclusive access held by another";
    /// Not supported.
    Unsupported = 0xe000_02c7, "unsupported";
    /// The lock is held by another and the caller does not wait.
    CannotLock = 0xe000_02cc, "cannot lock";
    /// Not open.
    NotOpen = 0xe000_02cd, "not open";
    /// Not writable.
    NotWritable = 0xe000_02cf, "not writable";
    /// An address or length is not a multiple of what it must be.
    NotAligned = 0xe000_02d0, "not aligned";
    /// Still open.
    StillOpen = 0xe000_02d2, "still open";
    /// Busy.
    Busy = 0xe000_02d5, "busy";
    /// It took too long.
    Timeout = 0xe000_02d6, "timed out";
    /// The device went away.
    Offline = 0xe000_02d7, "offline";
    /// The object is not set up: no work loop, unprepared DMA.
    NotReady = 0xe000_02d8, "not ready";
    /// Not attached.
    NotAttached = 0xe000_02d9, "not attached";
    /// More than there is room for.
    NoSpace = 0xe000_02db, "no space";
    /// More than fits into a message, or than a device can address.
    MessageTooLarge = 0xe000_02e1, "message too large";
    /// Not permitted.
    NotPermitted = 0xe000_02e2, "not permitted";
    /// Beyond the end of what there is.
    Overrun = 0xe000_02e8, "overrun";
    /// No completion routine.
    NoCompletion = 0xe000_02ea, "no completion routine";
    /// Aborted.
    Aborted = 0xe000_02eb, "aborted";
    /// The device does not answer.
    NotResponding = 0xe000_02ed, "not responding";
    /// Not found.
    NotFound = 0xe000_02f0, "not found";
    /// The device refused by a STALL handshake (IOUSBFamily's kIOUSBPipeStalled).
    PipeStalled = 0xe000_404f, "the pipe is stalled";
    /// The bus was reset since the generation that the request is of (IOFireWireFamily's kIOFireWireBusReset).
    BusReset = 0xe000_8020, "the bus was reset";
    /// A port's queue is full and the sender does not wait (Mach's MACH_SEND_TIMED_OUT).
    SendTimedOut = 0x1000_0004, "the port's queue is full";
    /// A call to a connection whose port is gone (Mach's MACH_SEND_INVALID_DEST, seen by clients only).
    DeadPort = 0x1000_0003, "the port is dead";
}

impl IOReturn {
    /// The number.
    pub const fn code(self) -> u32 {
        self as u32
    }
}

impl core::error::Error for IOReturn {}

impl From<mach::seam::OutOfMemory> for IOReturn {
    fn from(_: mach::seam::OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// What most of IOKit returns.
pub type IOResult<T = ()> = Result<T, IOReturn>;

/// The number that a result has on the wire: 0 for success.
pub fn code_of<T>(result: &IOResult<T>) -> u32 {
    match result {
        Ok(_) => 0,
        Err(e) => e.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_offline_is_2d7() {
        for &r in IOReturn::ALL {
            assert_eq!(IOReturn::from_code(r.code()), Some(r));
        }
        assert_eq!(IOReturn::Offline.code(), 0xe000_02d7);
        assert_eq!(code_of(&Ok::<(), _>(())), 0);
    }
}
