//! Tests of the plan language.

mod documents;
pub(crate) mod faults;
mod language;
mod mistakes;
mod property;
