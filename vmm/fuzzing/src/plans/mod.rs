//! Bytes as plans, and plans as bytes.

pub mod act;
pub mod case;
mod encode;
pub mod scenarios;
pub mod tempo;

pub use act::Act;
pub use case::Case;
