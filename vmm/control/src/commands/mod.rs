//! The commands: what a client is told of them (the table), what a request is checked against, and what it becomes.

mod check;
mod command;
mod table;

pub use check::check;
pub(crate) use check::shorten;
pub use command::{Command, Until, View, command};
pub use table::{Argument, COMMANDS, Spec, Type, find};

/// A request as it comes from a client, for the tests of the parts.
#[cfg(test)]
fn request(name: &str, arguments: serde_json::Value) -> crate::message::Request {
    let serde_json::Value::Object(arguments) = arguments else { panic!("an object") };
    crate::message::Request { name: name.to_owned(), arguments, id: None }
}
