//! The commands that find bugs, make them small and show them again: `explore`, `fuzz`, `shrink`, `replay`, `merge`.

pub mod bug;
mod explore;
mod fuzz;
mod keeper;
mod kvm_image;
pub mod lcov;
mod libfuzzer;
mod live;
mod merge;
mod replay;
mod shrink;
mod stop;

pub use explore::{explore, stopper_with};
pub use fuzz::{check_driver, fuzz};
pub use merge::merge;
pub use replay::replay;
pub use shrink::shrink;
