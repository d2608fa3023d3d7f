//! Return codes.

use core::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// How a trap ended, with Mach's numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum KernReturn { $($(#[$doc])* $name = $code,)* }

        impl KernReturn {
            /// Every code.
            pub const ALL: &'static [KernReturn] = &[$(KernReturn::$name,)*];

            /// The code with this number.
            pub const fn from_code(code: u64) -> Option<KernReturn> {
                match code { $($code => Some(KernReturn::$name),)* _ => None }
            }
        }

        impl fmt::Display for KernReturn {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(KernReturn::$name => $text,)* })
            }
        }
    };
}

codes! {
    /// It is done.
    Success = 0, "success";
    /// There is no memory at the address.
    InvalidAddress = 1, "invalid address";
    /// The memory there does not allow it.
    ProtectionFailure = 2, "protection failure";
    /// No room in the address space, or in the name space.
    NoSpace = 3, "no space";
    /// An argument is wrong, or there is no such trap.
    InvalidArgument = 4, "invalid argument";
    /// Failure without a better name.
    Failure = 5, "failure";
    /// The kernel has no memory for it, or the task has had its share.
    ResourceShortage = 6, "resource shortage";
    /// The port is already in the set.
    AlreadyInSet = 11, "already in the set";
    /// The port is in no set.
    NotInSet = 12, "not in a set";
    /// The name means something already.
    NameExists = 13, "name exists";
    /// The call was cut short.
    Aborted = 14, "aborted";
    /// The name means nothing.
    InvalidName = 15, "invalid name";
    /// The name means no task.
    InvalidTask = 16, "invalid task";
    /// The name means another kind of right.
    InvalidRight = 17, "invalid right";
    /// A number is out of range.
    InvalidValue = 18, "invalid value";
    /// More user references than there can be.
    UrefsOverflow = 19, "too many user references";
    /// The right is good, but what it names is gone or is something else.
    InvalidCapability = 20, "invalid capability";
    /// The task has been terminated: nothing works any more.
    Terminated = 37, "terminated";
    /// Not supported for such an object.
    NotSupported = 46, "not supported";
    /// The time is up.
    OperationTimedOut = 49, "timed out";

    /// Send: a descriptor's type or another field is nonsense.
    SendInvalidData = 0x1000_0002, "send: invalid data";
    /// Send: the destination is no right to send.
    SendInvalidDest = 0x1000_0003, "send: invalid destination";
    /// Send: the queue was full until the time was up.
    SendTimedOut = 0x1000_0004, "send: timed out";
    /// Send: the thread was interrupted.
    SendInterrupted = 0x1000_0007, "send: interrupted";
    /// Send: the message is smaller than its header and descriptors.
    SendMessageTooSmall = 0x1000_0008, "send: message too small";
    /// Send: the reply port is no right of that kind.
    SendInvalidReply = 0x1000_0009, "send: invalid reply port";
    /// Send: a descriptor names no right of that kind.
    SendInvalidRight = 0x1000_000a, "send: invalid right";
    /// Send: out-of-line memory is not all there.
    SendInvalidMemory = 0x1000_000c, "send: invalid memory";
    /// Send: too much of the task's is queued, or no memory.
    SendNoBuffer = 0x1000_000d, "send: no buffer";
    /// Send: more than a message may have.
    SendTooLarge = 0x1000_000e, "send: too large";
    /// Send: no such type of descriptor.
    SendInvalidType = 0x1000_000f, "send: invalid type";
    /// Send: the header is nonsense.
    SendInvalidHeader = 0x1000_0010, "send: invalid header";

    /// Receive: the name is no right to receive, and no set.
    ReceiveInvalidName = 0x1000_4002, "receive: invalid name";
    /// Receive: nothing came until the time was up.
    ReceiveTimedOut = 0x1000_4003, "receive: timed out";
    /// Receive: the buffer is too small; the message stays queued, or is gone, as the options say.
    ReceiveTooLarge = 0x1000_4004, "receive: too large";
    /// Receive: the thread was interrupted.
    ReceiveInterrupted = 0x1000_4005, "receive: interrupted";
    /// Receive: the port was moved into a set, or away, meanwhile.
    ReceivePortChanged = 0x1000_4006, "receive: port changed";
    /// Receive: the buffer is not writable memory; the message is gone.
    ReceiveInvalidData = 0x1000_4008, "receive: invalid data";
    /// Receive: the port or the set died.
    ReceivePortDied = 0x1000_4009, "receive: port died";
    /// Receive: a member of a set is received from through its set.
    ReceiveInSet = 0x1000_400a, "receive: port is in a set";
    /// Receive: the name space or the address space has no room for what the message carries; the rest is there, the names are null.
    ReceiveBodyError = 0x1000_400c, "receive: no room for the body";
}

impl KernReturn {
    /// Whether it is done.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// As a result: `value` if it is done.
    ///
    /// # Errors
    /// Any other code.
    pub fn ok<T>(self, value: T) -> Result<T, Self> {
        if self.is_success() { Ok(value) } else { Err(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::KernReturn;

    #[test]
    fn codes_go_there_and_back() {
        for &code in KernReturn::ALL {
            assert_eq!(KernReturn::from_code(code as u64), Some(code));
        }
        assert_eq!(KernReturn::from_code(u64::MAX), None);
    }
}
