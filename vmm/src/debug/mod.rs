//! Looking into a machine that stands still: memory and registers as the crate `inspect` wants them, and cores of them.

mod core;
mod registers;
mod seen;

pub use self::core::{CoreFile, Origin, at_end, live};
pub use registers::cpu;
pub use seen::Seen;
