//! Waiting: events, modes, results, by the numbers of the semantics.

/// What a thread waits for: a key in the kernel's global wait hash. Zero is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaitEvent(pub u64);

/// Whether a wait can be cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum WaitMode {
    /// By nothing but its event and its deadline.
    Uninterruptible = 0,
    /// By the thread's death.
    Interruptible = 1,
    /// By any signal.
    AbortSafe = 2,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum WaitResult {
    /// It has not: the thread must block.
    Waiting = -1,
    /// The event was woken.
    Awakened = 0,
    /// The deadline came.
    TimedOut = 1,
    /// The thread was aborted.
    Interrupted = 2,
    /// Start again.
    Restart = 3,
}
