//! What tasks that run a workload are told, and which program they are to be.

/// Places of the numbers that a task is started with ([`Trap::TaskInfo`](crate::Trap::TaskInfo)).
pub mod info {
    /// [Number of the program](super::program).
    pub const PROGRAM: u64 = 0;
    /// Slot of the device.
    pub const SLOT: u64 = 1;
    /// Number of this task among those for the device.
    pub const CLIENT: u64 = 2;
    /// Number of tasks for the device.
    pub const CLIENTS: u64 = 3;
    /// Threads of each task that make requests.
    pub const DEPTH: u64 = 4;
    /// What random numbers follow from.
    pub const SEED: u64 = 5;
    /// Requests of each thread; 0 = as many as it can until the device or the run ends.
    pub const ROUNDS: u64 = 6;
}

/// Numbers of programs.
pub mod program {
    /// Writes to a disk, reads it back and compares.
    pub const BLOCK_TESTER: u64 = 0;
    /// Reads the stream of a data-acquisition card from the queue that it shares with the driver.
    pub const DAQ_READER: u64 = 1;
    /// Means no good.
    pub const HOSTILE: u64 = 2;
}

/// Exit code of a thread that found data that was not what it should be.
pub const EXIT_CORRUPT: u64 = 1;
