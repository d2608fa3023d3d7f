//! The kernel's threads, published in its memory for whoever looks from outside: a debugger, or a core that the host writes.
//!
//! An image that publishes them has an ELF note of type [`NOTE_ROOT`] and name [`NOTE_NAME`], whose descriptor is the u64 address of a
//! [`Root`]. That leads to the blocks of the processors and to the [`Directory`], and this to an [`Entry`] for each thread. Addresses are the
//! kernel's virtual ones. Everything is little-endian, and every field is written with one store, so that a machine which is stopped between any two
//! instructions has a directory that can be read; what was about to change may be the old or the new value.
//!
//! Who reads it trusts nothing: the machine may have gone wrong, and its memory with it. The bounds are [`CHUNKS`], [`PLACES`], [`CLASSES`].
//!
//! # Where a thread's registers are
//!
//! [`Entry::context`] is the address of a record at the top of the thread's stack: the saved stack pointer ([`Root::stack_pointer_at`]) and
//! a byte that is not zero while a processor runs on the stack ([`Root::busy_at`]). At the saved stack pointer are [`FRAME_REGISTERS`], lowest address
//! first. A thread that a processor runs, as the processor's block says ([`Root::thread_at`]), has that processor's registers; while the processor is
//! in ring 3, the kernel's part of the thread goes on at the stack pointer in the block ([`Root::user_stack_at`]), one word above which the same
//! registers are.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Name of the note in the image.
pub const NOTE_NAME: &str = "Workgate";
/// Type of the note: its descriptor is the address of a [`Root`].
pub const NOTE_ROOT: u32 = 1;
/// First eight bytes of a [`Root`].
pub const ROOT_MAGIC: u64 = u64::from_le_bytes(*b"WGroot\0\0");
/// First eight bytes of a [`Directory`].
pub const DIRECTORY_MAGIC: u64 = u64::from_le_bytes(*b"WGthread");
/// The version of everything here.
pub const VERSION: u32 = 1;
/// Registers where a thread was left, lowest address first. The stack pointer that goes with them is the address behind them.
pub const FRAME_REGISTERS: [&str; 7] = ["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"];
/// Most chunks of a directory.
pub const CHUNKS: usize = 64;
/// Places for threads in a chunk: u64 addresses of entries, 0 = free.
pub const PLACES: usize = 256;
/// Classes of locks at the most; they are numbered from 1.
pub const CLASSES: usize = 64;
/// Bytes of a name at the most; a longer one is cut.
pub const NAME_BYTES: usize = 48;

/// [`Entry::state`]: on a processor.
pub const RUNNING: u8 = 1;
/// [`Entry::state`]: in a run queue.
pub const RUNNABLE: u8 = 2;
/// [`Entry::state`]: blocked.
pub const WAITING: u8 = 3;
/// [`Entry::state`]: ended, and about to be left for good.
pub const DEAD: u8 = 4;

/// What the note leads to, in the image. `B` is the array of the processors' blocks.
#[repr(C)]
#[derive(Debug)]
pub struct Root<B: 'static> {
    /// [`ROOT_MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Blocks of processors: how many.
    pub blocks: u32,
    /// Address of the [`Directory`]; 0 = there is none yet.
    pub directory: AtomicU64,
    /// Address of the first block.
    pub first_block: &'static B,
    /// Bytes from one block to the next.
    pub block_bytes: u32,
    /// Offset in a block of the u32 number of the thread that the processor runs; 0 = none yet.
    pub thread_at: u32,
    /// Offset in a block of the u64 kernel stack pointer with which ring 3 was entered.
    pub user_stack_at: u32,
    /// Offset in a context of the u64 saved stack pointer; 0 there = it has never been left.
    pub stack_pointer_at: u32,
    /// Offset in a context of the byte that is not zero while a processor runs on its stack.
    pub busy_at: u32,
    /// Reserved.
    pub reserved: u32,
    /// Where the region of stacks begins.
    pub stacks: u64,
    /// Bytes from one stack's top to the next one's; tops are at multiples of it behind [`Root::stacks`].
    pub stack_slot: u64,
}

/// Offsets of the fields of a [`Root`], for those who read it as bytes.
pub mod root {
    /// Bytes of a root.
    pub const BYTES: usize = 72;
    /// Offset of [`super::Root::magic`].
    pub const MAGIC: usize = 0;
    /// Offset of [`super::Root::version`].
    pub const VERSION: usize = 8;
    /// Offset of [`super::Root::blocks`].
    pub const BLOCKS: usize = 12;
    /// Offset of [`super::Root::directory`].
    pub const DIRECTORY: usize = 16;
    /// Offset of [`super::Root::first_block`].
    pub const FIRST_BLOCK: usize = 24;
    /// Offset of [`super::Root::block_bytes`].
    pub const BLOCK_BYTES: usize = 32;
    /// Offset of [`super::Root::thread_at`].
    pub const THREAD_AT: usize = 36;
    /// Offset of [`super::Root::user_stack_at`].
    pub const USER_STACK_AT: usize = 40;
    /// Offset of [`super::Root::stack_pointer_at`].
    pub const STACK_POINTER_AT: usize = 44;
    /// Offset of [`super::Root::busy_at`].
    pub const BUSY_AT: usize = 48;
    /// Offset of [`super::Root::stacks`].
    pub const STACKS: usize = 56;
    /// Offset of [`super::Root::stack_slot`].
    pub const STACK_SLOT: usize = 64;
}

/// A name, padded with zeros.
#[repr(C)]
#[derive(Debug)]
pub struct Name([AtomicU64; NAME_BYTES / 8]);

impl Default for Name {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; NAME_BYTES / 8])
    }
}

impl Name {
    /// The name `text`, cut to [`NAME_BYTES`].
    pub fn new(text: &str) -> Self {
        let name = Self::default();
        name.set(text);
        name
    }

    /// Writes it.
    pub fn set(&self, text: &str) {
        let mut bytes = text.bytes().chain(core::iter::repeat(0));
        for word in &self.0 {
            let part = core::array::from_fn(|_| bytes.next().unwrap_or(0));
            word.store(u64::from_le_bytes(part), Ordering::Relaxed);
        }
    }
}

/// All threads of a kernel.
#[repr(C)]
#[derive(Debug)]
pub struct Directory {
    /// [`DIRECTORY_MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Entries of [`Directory::held`].
    pub held_count: AtomicU32,
    /// Address of what threads hold: [`Held`], one after another; 0 = nobody looks at that.
    pub held: AtomicU64,
    /// Address of the names of classes: [`CLASSES`] of [`Name`], the first that of class 1; 0 = there are none.
    pub classes: AtomicU64,
    /// Addresses of chunks of [`PLACES`] places; 0 = there is none.
    pub chunks: [AtomicU64; CHUNKS],
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            magic: DIRECTORY_MAGIC,
            version: VERSION,
            held_count: AtomicU32::new(0),
            held: AtomicU64::new(0),
            classes: AtomicU64::new(0),
            chunks: [const { AtomicU64::new(0) }; CHUNKS],
        }
    }
}

/// Offsets of the fields of a [`Directory`].
pub mod directory {
    /// Bytes of a directory.
    pub const BYTES: usize = 32 + 8 * super::CHUNKS;
    /// Offset of [`super::Directory::version`].
    pub const VERSION: usize = 8;
    /// Offset of [`super::Directory::held_count`].
    pub const HELD_COUNT: usize = 12;
    /// Offset of [`super::Directory::held`].
    pub const HELD: usize = 16;
    /// Offset of [`super::Directory::classes`].
    pub const CLASSES: usize = 24;
    /// Offset of [`super::Directory::chunks`].
    pub const CHUNKS: usize = 32;
}

/// What one thread holds of the locks that belong to a class, gates among them.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Held {
    /// The thread's number; 0 = nobody's.
    pub thread: AtomicU32,
    /// Reserved.
    pub reserved: u32,
    /// Classes, a byte each, the last one taken in the lowest; 0 ends them.
    pub held: AtomicU64,
}

/// Bytes of a [`Held`].
pub const HELD_BYTES: usize = 16;
/// Offset of [`Held::held`].
pub const HELD_AT: usize = 8;

/// A thread.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Entry {
    /// Its number, from 1.
    pub id: AtomicU32,
    /// [`RUNNING`], [`RUNNABLE`], [`WAITING`] or [`DEAD`].
    pub state: AtomicU8,
    /// The priority that holds.
    pub priority: AtomicU8,
    /// The priority that was asked for.
    pub base: AtomicU8,
    /// Class of the lock that it waits for; 0 = none, or of none.
    pub lock_class: AtomicU8,
    /// Where its registers are (see the module); 0 = it has none.
    pub context: AtomicU64,
    /// The event that it waits for; 0 = none.
    pub event: AtomicU64,
    /// The lock that it waits for; 0 = none.
    pub lock: AtomicU64,
    /// The thread that has that lock; 0 = readers.
    pub lock_owner: AtomicU32,
    /// The processor that runs it, or ran it last.
    pub cpu: AtomicU16,
    /// Reserved.
    pub reserved: AtomicU16,
    /// The task that it belongs to; 0 = the kernel.
    pub task: AtomicU32,
    /// Reserved.
    pub reserved_too: AtomicU32,
    /// Its name.
    pub name: Name,
    /// Its task's name.
    pub task_name: Name,
    /// The name of its policy.
    pub policy: Name,
}

/// Offsets of the fields of an [`Entry`].
pub mod entry {
    /// Bytes of an entry.
    pub const BYTES: usize = 48 + 3 * super::NAME_BYTES;
    /// Offset of [`super::Entry::id`].
    pub const ID: usize = 0;
    /// Offset of [`super::Entry::state`].
    pub const STATE: usize = 4;
    /// Offset of [`super::Entry::priority`].
    pub const PRIORITY: usize = 5;
    /// Offset of [`super::Entry::base`].
    pub const BASE: usize = 6;
    /// Offset of [`super::Entry::lock_class`].
    pub const LOCK_CLASS: usize = 7;
    /// Offset of [`super::Entry::context`].
    pub const CONTEXT: usize = 8;
    /// Offset of [`super::Entry::event`].
    pub const EVENT: usize = 16;
    /// Offset of [`super::Entry::lock`].
    pub const LOCK: usize = 24;
    /// Offset of [`super::Entry::lock_owner`].
    pub const LOCK_OWNER: usize = 32;
    /// Offset of [`super::Entry::cpu`].
    pub const CPU: usize = 36;
    /// Offset of [`super::Entry::task`].
    pub const TASK: usize = 40;
    /// Offset of [`super::Entry::name`].
    pub const NAME: usize = 48;
    /// Offset of [`super::Entry::task_name`].
    pub const TASK_NAME: usize = NAME + super::NAME_BYTES;
    /// Offset of [`super::Entry::policy`].
    pub const POLICY: usize = TASK_NAME + super::NAME_BYTES;
}

/// The offsets are those of the structures.
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Root<u8>>() == root::BYTES && offset_of!(Root<u8>, directory) == root::DIRECTORY);
    assert!(offset_of!(Root<u8>, version) == root::VERSION && offset_of!(Root<u8>, blocks) == root::BLOCKS);
    assert!(offset_of!(Root<u8>, first_block) == root::FIRST_BLOCK);
    assert!(offset_of!(Root<u8>, block_bytes) == root::BLOCK_BYTES);
    assert!(offset_of!(Root<u8>, thread_at) == root::THREAD_AT);
    assert!(offset_of!(Root<u8>, user_stack_at) == root::USER_STACK_AT);
    assert!(offset_of!(Root<u8>, stack_pointer_at) == root::STACK_POINTER_AT);
    assert!(offset_of!(Root<u8>, busy_at) == root::BUSY_AT && offset_of!(Root<u8>, stacks) == root::STACKS);
    assert!(offset_of!(Root<u8>, stack_slot) == root::STACK_SLOT);
    assert!(size_of::<Directory>() == directory::BYTES && offset_of!(Directory, held) == directory::HELD);
    assert!(offset_of!(Directory, version) == directory::VERSION);
    assert!(offset_of!(Directory, held_count) == directory::HELD_COUNT);
    assert!(offset_of!(Directory, classes) == directory::CLASSES);
    assert!(offset_of!(Directory, chunks) == directory::CHUNKS);
    assert!(size_of::<Held>() == HELD_BYTES && offset_of!(Held, held) == HELD_AT);
    assert!(size_of::<Entry>() == entry::BYTES && offset_of!(Entry, state) == entry::STATE);
    assert!(offset_of!(Entry, priority) == entry::PRIORITY && offset_of!(Entry, base) == entry::BASE);
    assert!(offset_of!(Entry, lock_class) == entry::LOCK_CLASS);
    assert!(offset_of!(Entry, context) == entry::CONTEXT && offset_of!(Entry, event) == entry::EVENT);
    assert!(offset_of!(Entry, lock) == entry::LOCK && offset_of!(Entry, lock_owner) == entry::LOCK_OWNER);
    assert!(offset_of!(Entry, cpu) == entry::CPU && offset_of!(Entry, task) == entry::TASK);
    assert!(offset_of!(Entry, name) == entry::NAME && offset_of!(Entry, task_name) == entry::TASK_NAME);
    assert!(offset_of!(Entry, policy) == entry::POLICY);
};
