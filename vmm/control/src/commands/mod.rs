//! The commands: what a client is told of them (the table), what a request is checked against, and what it becomes.

mod check;
mod command;
mod table;

pub use check::check;
pub(crate) use check::shorten;
pub use command::{Command, Until, View, command};
pub use table::{Argument, COMMANDS, Spec, Type, find};
