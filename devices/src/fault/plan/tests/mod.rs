//! Tests of the plan language.

mod documents;
mod language;
mod mistakes;
mod property;
