//! The messages of the QEMU Machine Protocol (QEMU, `docs/interop/qmp-spec.rst`): requests in, answers and events out.

use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of a command.
pub type Answer = Result<Value, Failure>;

/// The classes of errors that the protocol has (`QapiErrorClass`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anything that has no class of its own.
    GenericError,
    /// No such command, or not now.
    CommandNotFound,
    /// The device is not in a state for it.
    DeviceNotActive,
    /// No such device.
    DeviceNotFound,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 4] =
        [Class::GenericError, Class::CommandNotFound, Class::DeviceNotActive, Class::DeviceNotFound];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Class::GenericError => "GenericError",
            Class::CommandNotFound => "CommandNotFound",
            Class::DeviceNotActive => "DeviceNotActive",
            Class::DeviceNotFound => "DeviceNotFound",
        }
    }
}

/// A command that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub class: Class,
    /// For people: what was wrong, and what was expected.
    pub what: String,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: Class, what: impl Display) -> Self {
        Self { class, what: what.to_string() }
    }

    /// A failure that has no class of its own.
    pub fn generic(what: impl Display) -> Self {
        Self::new(Class::GenericError, what)
    }
}

/// A request that has the form of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The command's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// What the answer is to be marked with.
    pub id: Option<Value>,
}

/// A message that is no request; the answer to it has its `id` all the same, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Why.
    pub failure: Failure,
    /// The message's `id`.
    pub id: Option<Value>,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// It is no JSON, or not the object that the protocol asks for.
    pub fn read(text: &[u8]) -> Result<Self, Box<Refused>> {
        let refused = |what: String, id| Box::new(Refused { failure: Failure::generic(what), id });
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| refused(format!("JSON parse error, {error}"), None))?;
        let Value::Object(mut members) = value else {
            return Err(refused("QMP input must be a JSON object".to_owned(), None));
        };
        let id = members.remove("id");
        match Self::members(members, id.clone()) {
            Ok(request) => Ok(request),
            Err(what) => Err(refused(what, id)),
        }
    }

    fn members(mut members: Map<String, Value>, id: Option<Value>) -> Result<Self, String> {
        let name = match members.remove("execute") {
            Some(Value::String(name)) => name,
            Some(_) => return Err("QMP input member 'execute' must be a string".to_owned()),
            None if members.contains_key("exec-oob") => {
                return Err("QMP input member 'exec-oob' is unexpected".to_owned());
            }
            None => return Err("QMP input lacks member 'execute'".to_owned()),
        };
        let arguments = match members.remove("arguments") {
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err("QMP input member 'arguments' must be an object".to_owned()),
            None => Map::new(),
        };
        match members.keys().next() {
            Some(other) => Err(format!("QMP input member '{other}' is unexpected")),
            None => Ok(Self { name, arguments, id }),
        }
    }
}

/// What greets a client.
pub fn greeting() -> Value {
    json!({"QMP": {"version": version(), "capabilities": []}})
}

/// The answer to `query-version`. The protocol has a place for QEMU's version, which clients read; this program's own stands there, and its name
/// beside it.
pub fn version() -> Value {
    let part = |text: Option<&str>| text.and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
    let mut parts = env!("CARGO_PKG_VERSION").split('.');
    let (major, minor, micro) = (part(parts.next()), part(parts.next()), part(parts.next()));
    json!({
        "qemu": {"major": major, "minor": minor, "micro": micro},
        "package": concat!("workgate-", env!("CARGO_PKG_VERSION")),
    })
}

/// An answer as it is sent.
pub fn answer(answer: Answer, id: Option<Value>) -> Value {
    let mut message = match answer {
        Ok(value) => json!({"return": value}),
        Err(failure) => json!({"error": {"class": failure.class.word(), "desc": failure.what}}),
    };
    if let (Some(id), Value::Object(members)) = (id, &mut message) {
        members.insert("id".to_owned(), id);
    }
    message
}

/// An event as it is sent. `time`: the host's clock; before 1970 it reads as zero.
pub fn event(name: &str, data: Value, time: SystemTime) -> Value {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = json!({"seconds": since.as_secs(), "microseconds": since.subsec_micros()});
    match data {
        Value::Null => json!({"event": name, "timestamp": stamp}),
        data => json!({"event": name, "data": data, "timestamp": stamp}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, Option<Value>) {
        let refused = Request::read(text.as_bytes()).expect_err(text);
        assert_eq!(refused.failure.class, Class::GenericError);
        (refused.failure.what, refused.id)
    }

    #[test]
    fn a_request_is_read_with_its_id_of_any_kind() {
        let read =
            Request::read(br#"{"id":{"n":1},"execute":"stop","arguments":{"a":[1]}}"#).expect("a request");
        assert_eq!((read.name.as_str(), read.id), ("stop", Some(json!({"n": 1}))));
        assert_eq!(read.arguments["a"], json!([1]));
    }

    #[test]
    fn what_is_no_request_is_refused_in_the_protocols_words() {
        let cases = [
            ("[]", "QMP input must be a JSON object"),
            ("{}", "QMP input lacks member 'execute'"),
            (r#"{"execute":1}"#, "QMP input member 'execute' must be a string"),
            (r#"{"execute":"stop","arguments":[]}"#, "QMP input member 'arguments' must be an object"),
            (r#"{"execute":"stop","more":1}"#, "QMP input member 'more' is unexpected"),
            (r#"{"exec-oob":"stop"}"#, "QMP input member 'exec-oob' is unexpected"),
        ];
        for (text, what) in cases {
            assert_eq!(refused(text), (what.to_owned(), None));
        }
        assert_eq!(refused(r#"{"id":7}"#).1, Some(json!(7)));
        assert!(refused(r#"{"execute":stop}"#).0.starts_with("JSON parse error"));
        assert!(
            refused(&"[".repeat(5_000)).0.starts_with("JSON parse error"),
            "deep nesting is no stack overflow"
        );
    }

    #[test]
    fn an_event_without_data_has_none() {
        let at = UNIX_EPOCH + std::time::Duration::from_micros(2_000_003);
        let stamp = json!({"seconds": 2, "microseconds": 3});
        assert_eq!(event("STOP", Value::Null, at), json!({"event": "STOP", "timestamp": stamp}));
        assert_eq!(event("X", json!({"a": 1}), at)["data"]["a"], 1);
    }
}
