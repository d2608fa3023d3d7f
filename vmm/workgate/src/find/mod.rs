//! The commands that find bugs, make them small and show them again: `explore`, `shrink`, `replay`.

mod bug;
mod explore;
pub mod lcov;
mod live;
mod page;
mod replay;
mod shrink;

pub use explore::explore;
pub use replay::replay;
pub use shrink::shrink;
