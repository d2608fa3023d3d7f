//! Virtual memory of tasks: pages, objects, maps.
//!
//! A **page** is page-aligned kernel memory, made of atomic words, because user code on another CPU may write to it at any time. An
//! **object** is the pages of a region; a **map** is a task's regions. Pages come when they are touched, filled with zeros.
//!
//! *Copy-on-write.* To copy memory is to share its pages. A page that more than one object has is not written to: whoever writes gets a
//! page of its own first, its shadow. Who else has a page is told by its reference count, so there are no chains of shadow objects that would have
//! to be collapsed, and the last one to have a page writes to it in place.
//!
//! *Shared memory* ([`SharedMemory`]) is the exception: its pages are the same for the kernel and all tasks that map it, and a copy of it
//! is a copy at once.
//!
//! *Hardware.* On a machine with a user mode a map has an address space there, which is a cache of it: pages are entered by faults, and removed
//! whenever what they may do, or which page it is, changes. On others user memory is reached through [`Map::read`] and [`Map::write`] only.
//!
//! *Locks.* A map has a blocking lock. No spin lock is held while it is taken, and none is taken inside but the scheduler's.
//!
//! *Limits.* [`REGIONS_MAX`] regions and [`PAGES_MAX`] pages a map.

mod copy;
mod map;
mod object;
mod page;
mod region;
mod shared;

pub(crate) use copy::MemoryCopy;
pub use map::{Access, Map};
pub use shared::SharedMemory;

/// Regions of one map at the most.
pub const REGIONS_MAX: usize = 256;
/// Pages of one map at the most: 16 MiB.
pub const PAGES_MAX: usize = 4096;
