//! The plan: readable text, one line a statement, parsed and printed without loss.
//!
//! [`Plan::parse`] reads text and collects every mistake as a [`PlanError`]; `Display` prints the canonical form, with
//! the comments where they were. What words mean to a device model (does it have that site? that option?) is checked by the
//! catalogue of models, not here.

pub mod ast;
pub mod chance;
mod command_line;
pub mod error;
pub mod faults;
mod lex;
pub mod limits;
pub mod nearest;
mod parse;
mod print;
mod structure;
pub mod threads;
pub mod units;
pub mod words;

#[cfg(test)]
pub(crate) mod tests;

pub use ast::*;
pub use chance::Chance;
pub use error::{PlanError, render};
pub use faults::{DeviceFault, GuestFault, Scarcity, What};
pub use parse::Spoken;
pub use threads::ThreadSpec;
