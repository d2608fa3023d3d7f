//! `query-qmp-schema`: the table of commands in the form in which QEMU describes its own (QEMU, `qapi/introspect.json`).

use crate::commands::{COMMANDS, Spec, Type};
use serde_json::{Value, json};

/// The events that a client may get, with the members of their data.
pub const EVENTS: &[(&str, &[(&str, &str)])] = &[
    ("STOP", &[]),
    ("RESUME", &[]),
    ("POWERDOWN", &[]),
    ("RESET", &[("guest", "bool"), ("reason", "str")]),
    ("SHUTDOWN", &[("guest", "bool"), ("reason", "str")]),
    ("DEVICE_DELETED", &[("device", "str"), ("path", "str")]),
    (
        "X_WORKGATE_TRACE",
        &[("first", "int"), ("next", "int"), ("lost", "int"), ("waiting", "int"), ("events", "[str]")],
    ),
    ("X_WORKGATE_VERDICT", &[("passed", "bool"), ("verdict", "str"), ("findings", "int")]),
];

/// The whole schema.
pub fn schema() -> Value {
    let mut entries: Vec<Value> = vec![
        json!({"name": "str", "meta-type": "builtin", "json-type": "string"}),
        json!({"name": "int", "meta-type": "builtin", "json-type": "int"}),
        json!({"name": "bool", "meta-type": "builtin", "json-type": "boolean"}),
        json!({"name": "any", "meta-type": "builtin", "json-type": "value"}),
        json!({"name": "[str]", "meta-type": "array", "element-type": "str"}),
        json!({"name": "0", "meta-type": "object", "members": []}),
    ];
    for spec in COMMANDS {
        command(spec, &mut entries);
    }
    for (name, members) in EVENTS {
        event(name, members, &mut entries);
    }
    Value::Array(entries)
}

fn command(spec: &Spec, entries: &mut Vec<Value>) {
    let kind = match spec.arguments {
        [] => "0".to_owned(),
        arguments => {
            let kind = format!("{}-arg", spec.name);
            let members: Vec<Value> = arguments
                .iter()
                .map(|argument| match argument.optional {
                    true => json!({"name": argument.name, "type": type_of(argument.is), "default": null}),
                    false => json!({"name": argument.name, "type": type_of(argument.is)}),
                })
                .collect();
            entries.push(json!({"name": kind, "meta-type": "object", "members": members}));
            kind
        }
    };
    entries.push(json!({"name": spec.name, "meta-type": "command", "arg-type": kind, "ret-type": "any"}));
}

fn event(name: &str, members: &[(&str, &str)], entries: &mut Vec<Value>) {
    let kind = match members {
        [] => "0".to_owned(),
        members => {
            let kind = format!("{name}-arg");
            let members: Vec<Value> =
                members.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
            entries.push(json!({"name": kind, "meta-type": "object", "members": members}));
            kind
        }
    };
    entries.push(json!({"name": name, "meta-type": "event", "arg-type": kind}));
}

fn type_of(is: Type) -> &'static str {
    match is {
        Type::Text => "str",
        Type::Number => "int",
        Type::Words => "[str]",
        Type::Flag => "bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_type_that_is_named_is_there() {
        let schema = schema();
        let entries = schema.as_array().expect("a list");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let names: BTreeSet<String> = entries.iter().filter_map(|entry| text(&entry["name"])).collect();
        assert_eq!(names.len(), entries.len(), "a name stands twice");
        for entry in entries {
            let used = ["arg-type", "ret-type", "element-type"].iter().filter_map(|key| text(&entry[key]));
            let members = entry["members"].as_array().into_iter().flatten();
            for name in used.chain(members.filter_map(|member| text(&member["type"]))) {
                assert!(names.contains(&name), "{name} in {entry}");
            }
        }
        assert!(names.contains("x-workgate-fault") && names.contains("DEVICE_DELETED"));
    }
}
