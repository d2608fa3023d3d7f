//! Traps: what a user thread asks of the kernel.
//!
//! Up to six arguments, each a `u64`; the answer is a [`KernReturn`](crate::KernReturn) and a value. In ring 3 a trap is the instruction `ud2`
//! with the number in rax and the arguments in rdi, rsi, rdx, rcx, r8, r9; the code comes back in rax, the value in rdx.
//! All other registers are kept. An argument that a trap does not use is ignored.

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $arguments:literal;)*) => {
        /// A trap.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum Trap { $($(#[$doc])* $name = $number,)* }

        impl Trap {
            /// Every trap, in order of numbers.
            pub const ALL: &'static [Trap] = &[$(Trap::$name,)*];

            /// The trap with this number.
            pub const fn from_number(number: u64) -> Option<Trap> {
                match number { $($number => Some(Trap::$name),)* _ => None }
            }

            /// How many arguments it uses.
            pub const fn arguments(self) -> usize {
                match self { $(Trap::$name => $arguments,)* }
            }
        }
    };
}

traps! {
    /// Sends, receives, or both (in this order): (address of the buffer, [options](crate::message::option), bytes to send, room for the received
    /// message in bytes, name to receive from, timeout in ns). Value: bytes received; of a message that is too large, its bytes.
    Message = 1, 6;
    /// Makes a right: (a [kind](crate::port::Right)): a port with a receive right, an empty set, or a dead name. Value: its name.
    PortAllocate = 2, 1;
    /// Gives back one user reference: (name of a send or send-once right or a dead name).
    PortDeallocate = 3, 1;
    /// Gives up everything that is meant by (name).
    PortDestroy = 4, 1;
    /// Changes user references: (name, [kind](crate::port::Right), signed difference). −1 of a receive right destroys the port, of a set the set.
    PortModReferences = 5, 3;
    /// (name, [kind](crate::port::Right)). Value: user references; 0 if the name means another kind.
    PortGetReferences = 6, 2;
    /// (name). Value: the [kinds](crate::port::Right) that it means, as bits 1 << kind.
    PortType = 7, 1;
    /// Makes a send right of the receive right (name), under the same name.
    PortMakeSend = 8, 1;
    /// Moves a receive right (name) into the set (name); 0 = out of its set.
    PortMoveMember = 9, 2;
    /// Sets how many messages may be queued: (name of a receive right, limit up to [`QUEUE_LIMIT_MAX`](crate::port::QUEUE_LIMIT_MAX)).
    PortSetQueueLimit = 10, 2;
    /// (name of a receive right). Value: messages queued | limit << 32.
    PortStatus = 11, 1;
    /// Asks for a notification: (name, [id](crate::notify), make-send count for no-senders, name that is to be told or 0,
    /// [disposition](crate::Disposition) of that, make- or move-send-once). Value: a name of what was asked for before; 0 = nothing was.
    PortRequestNotification = 12, 5;

    /// Makes memory of zeros: (address or 0, bytes, [flags](crate::space::flag)). Value: its address.
    VmAllocate = 32, 3;
    /// Takes memory away: (address, bytes).
    VmDeallocate = 33, 2;
    /// (address, bytes, [protection](crate::space::protection)).
    VmProtect = 34, 3;
    /// Copies memory, lazily: (from, bytes, to). Both are page-aligned; the target must be there and be writable.
    VmCopy = 35, 3;

    /// Value: a name of a send right to the task itself.
    TaskSelf = 64, 0;
    /// Value: a name of a send right to the kernel's [I/O services](crate::io).
    HostSelf = 65, 0;
    /// Terminates a task: (name of a send right to it; 0 = this one).
    TaskTerminate = 66, 1;
    /// Sets where exceptions go: (name of a send right or 0; a copy is kept).
    TaskSetExceptionPort = 67, 1;
    /// Starts a thread: (entry, stack pointer, argument). Value: its number.
    ThreadCreate = 68, 3;
    /// Ends this thread: (code).
    ThreadExit = 69, 1;
    /// Ends a thread of this task: (number).
    ThreadTerminate = 70, 1;
    /// Value: the number of this thread.
    ThreadSelf = 71, 0;
    /// Gives way to threads of the same priority.
    ThreadSwitch = 72, 0;
    /// Sleeps: (ns; at the most [`Trap::SLEEP_MAX`]).
    Sleep = 73, 1;
    /// Value: machine time in ns.
    Now = 74, 0;
    /// Writes to the kernel's log: (address, bytes up to [`Trap::PRINT_MAX`]); not UTF-8 is shown as �.
    Print = 75, 2;
    /// Value: one of the [`INFO_WORDS`](crate::space::INFO_WORDS) numbers that the task was started with: (index). 0 where there are fewer.
    TaskInfo = 76, 1;
}

impl Trap {
    /// The longest sleep in ns.
    pub const SLEEP_MAX: u64 = 10_000_000_000;
    /// Bytes that one [`Trap::Print`] writes at the most.
    pub const PRINT_MAX: u64 = 256;
}

#[cfg(test)]
mod tests {
    use super::Trap;

    #[test]
    fn numbers_go_there_and_back_and_are_in_order() {
        for pair in Trap::ALL.windows(2) {
            assert!((pair[0] as u64) < pair[1] as u64);
        }
        for &trap in Trap::ALL {
            assert_eq!(Trap::from_number(trap as u64), Some(trap));
            assert!(trap.arguments() <= 6);
        }
        assert_eq!(Trap::from_number(0), None);
    }
}
