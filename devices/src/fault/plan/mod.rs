//! The plan: readable text, one line a statement, parsed and printed without loss.

pub mod ast;

pub use ast::*;
