//! Requests, held against the table.

use super::table::{Spec, find};
use crate::message::{Class, Failure, Request};

/// Holds a request against the table.
///
/// # Errors
/// There is no such command; an argument is missing, unknown, or not what it must be.
pub fn check(request: &Request) -> Result<&'static Spec, Failure> {
    let Some(spec) = find(&request.name) else {
        let name = shorten(&request.name);
        return Err(Failure::new(
            Class::CommandNotFound,
            format_args!("The command {name} has not been found"),
        ));
    };
    for argument in spec.arguments {
        match request.arguments.get(argument.name) {
            None if argument.optional => {}
            None => return Err(Failure::generic(format_args!("Parameter '{}' is missing", argument.name))),
            Some(value) if argument.is.takes(value) => {}
            Some(_) => {
                let (name, word) = (argument.name, argument.is.word());
                let what = format_args!("Invalid parameter type for '{name}', expected: {word}");
                return Err(Failure::generic(what));
            }
        }
    }
    let known = |name: &&String| spec.arguments.iter().any(|argument| argument.name == name.as_str());
    match request.arguments.keys().find(|name| !known(name)) {
        Some(other) => Err(Failure::generic(format_args!("Parameter '{}' is unexpected", shorten(other)))),
        None => Ok(spec),
    }
}

/// Something of a client's, for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{COMMANDS, command, request};
    use super::*;
    use serde_json::{Map, json};

    #[test]
    fn every_command_of_the_table_is_carried_out_by_somebody() {
        let own = ["qmp_capabilities", "query-version", "query-commands", "query-qmp-schema"];
        for spec in COMMANDS {
            let mut arguments = Map::new();
            for argument in spec.arguments.iter().filter(|a| !a.optional || a.name == "time") {
                arguments.insert(argument.name.to_owned(), json!("x"));
            }
            let request = Request { name: spec.name.to_owned(), arguments, id: None };
            assert_eq!(check(&request).expect(spec.name).name, spec.name);
            let command = command(request).expect(spec.name);
            assert_eq!(command.is_none(), own.contains(&spec.name), "{}", spec.name);
        }
    }

    #[test]
    fn arguments_are_checked_in_qemus_words() {
        let what = |name, arguments| {
            let failure = check(&request(name, arguments)).expect_err(name);
            (failure.class, failure.what)
        };
        let generic = |text: &str| (Class::GenericError, text.to_owned());
        assert_eq!(what("device_del", json!({})), generic("Parameter 'id' is missing"));
        assert_eq!(
            what("device_del", json!({"id": 1})),
            generic("Invalid parameter type for 'id', expected: string")
        );
        assert_eq!(what("stop", json!({"now": 1})), generic("Parameter 'now' is unexpected"));
        assert_eq!(
            what("frobnicate", json!({})),
            (Class::CommandNotFound, "The command frobnicate has not been found".to_owned())
        );
    }
}
