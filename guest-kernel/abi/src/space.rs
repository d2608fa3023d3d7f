//! Where user memory is.

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// The first user address: one slot of the top page table.
pub const USER_BASE: u64 = 0x5000_0000_0000;
/// Bytes of user address space: 512 GiB.
pub const USER_BYTES: u64 = 512 << 30;
/// One past the last user address.
pub const USER_END: u64 = USER_BASE + USER_BYTES;
/// Where a task's program is linked to begin.
pub const PROGRAM_BASE: u64 = USER_BASE + (4 << 20);
/// Where the kernel looks for room first.
pub const ANYWHERE_BASE: u64 = USER_BASE + (4 << 30);
/// One past the first thread's stack.
pub const STACK_TOP: u64 = USER_BASE + (2 << 30);
/// Bytes of the first thread's stack.
pub const STACK_BYTES: u64 = 64 << 10;
/// Numbers that a task can be started with, see [`Trap::TaskInfo`](crate::Trap::TaskInfo).
pub const INFO_WORDS: usize = 8;

/// What may be done with memory, a bit each (`VM_PROT_…`).
pub mod protection {
    /// Nothing.
    pub const NONE: u64 = 0;
    /// Read.
    pub const READ: u64 = 1;
    /// Write.
    pub const WRITE: u64 = 2;
    /// Execute.
    pub const EXECUTE: u64 = 4;
    /// All there are.
    pub const ALL: u64 = READ | WRITE | EXECUTE;
}

/// Flags of [`Trap::VmAllocate`](crate::Trap::VmAllocate).
pub mod flag {
    /// Wherever there is room (`VM_FLAGS_ANYWHERE`).
    pub const ANYWHERE: u64 = 1;
}
