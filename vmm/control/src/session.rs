//! One client's conversation, without any I/O: bytes in, messages out, and commands for the machine.
//!
//! Commands are carried out one after another, as QEMU does: what a client sends while one of its commands is being carried out waits, and
//! the server reads no more from it. So a client has at most one order at the machine, and the order of its answers is that of its
//! requests.

use crate::commands::{self, COMMANDS, Command};
use crate::framer::{Frame, Framer};
use crate::message::{self, Answer, Class, Failure, Request};
use crate::schema::schema;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this.
    Say(Value),
    /// Let the machine carry this out; [`Session::answered`] takes the answer.
    Ask(Command),
}

/// The state of a conversation.
#[derive(Debug, Default)]
pub struct Session {
    framer: Framer,
    input: VecDeque<u8>,
    negotiated: bool,
    /// A command is at the machine; the mark of its answer.
    waiting: Option<Option<Value>>,
}

impl Session {
    /// What is said first.
    pub fn greeting() -> Value {
        message::greeting()
    }

    /// Takes what the client sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Whether more may be read from the client: what was read before has been dealt with.
    pub fn wants_input(&self) -> bool {
        self.waiting.is_none() && self.input.is_empty()
    }

    /// Events are for clients that have ended the negotiation.
    pub fn hears_events(&self) -> bool {
        self.negotiated
    }

    /// The next step; `None`: nothing until more comes in, or the machine answers.
    pub fn step(&mut self) -> Option<Step> {
        if self.waiting.is_some() {
            return None;
        }
        loop {
            let byte = self.input.pop_front()?;
            if let Some(frame) = self.framer.push(byte) {
                return Some(self.take(frame));
            }
        }
    }

    /// The machine has carried out the command: what is to be sent.
    pub fn answered(&mut self, answer: Answer) -> Value {
        message::answer(answer, self.waiting.take().flatten())
    }

    fn take(&mut self, frame: Frame) -> Step {
        let refuse = |what: &str| Step::Say(message::answer(Err(Failure::generic(what)), None));
        let text = match frame {
            Frame::Text(text) => text,
            Frame::TooLong => return refuse("JSON parse error, the message is too long"),
            Frame::Broken => return refuse("JSON parse error, expecting an object"),
        };
        match Request::read(&text) {
            Ok(request) => self.request(request),
            Err(refused) => Step::Say(message::answer(Err(refused.failure), refused.id)),
        }
    }

    fn request(&mut self, mut request: Request) -> Step {
        let id = request.id.take();
        match self.carry_out(request) {
            Ok(Done::Here(value)) => Step::Say(message::answer(Ok(value), id)),
            Ok(Done::ByMachine(command)) => {
                self.waiting = Some(id);
                Step::Ask(command)
            }
            Err(failure) => Step::Say(message::answer(Err(failure), id)),
        }
    }

    fn carry_out(&mut self, request: Request) -> Result<Done, Failure> {
        let negotiates = request.name == "qmp_capabilities";
        if !self.negotiated && !negotiates {
            let what = "Expecting capabilities negotiation with 'qmp_capabilities'";
            return Err(Failure::new(Class::CommandNotFound, what));
        }
        if self.negotiated && negotiates {
            let what = "Capabilities negotiation is already complete, command ignored";
            return Err(Failure::new(Class::CommandNotFound, what));
        }
        commands::check(&request)?;
        Ok(Done::Here(match request.name.as_str() {
            "qmp_capabilities" => self.negotiate(&request)?,
            "query-version" => message::version(),
            "query-commands" => COMMANDS.iter().map(|spec| json!({"name": spec.name})).collect(),
            "query-qmp-schema" => schema(),
            _ => match commands::command(request)? {
                Some(command) => return Ok(Done::ByMachine(command)),
                None => return Err(Failure::generic("nobody carries this command out")),
            },
        }))
    }

    fn negotiate(&mut self, request: &Request) -> Answer {
        let wanted =
            request.arguments.get("enable").and_then(Value::as_array).and_then(|words| words.first());
        if let Some(word) = wanted.and_then(Value::as_str) {
            let word = commands::shorten(word);
            return Err(Failure::generic(format_args!("Capability '{word}' is not available")));
        }
        self.negotiated = true;
        Ok(json!({}))
    }
}

enum Done {
    Here(Value),
    ByMachine(Command),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(session: &mut Session, text: &str) -> Vec<Step> {
        session.feed(text.as_bytes());
        std::iter::from_fn(|| session.step()).collect()
    }

    fn ready() -> Session {
        let mut session = Session::default();
        says(&mut session, r#"{"execute":"qmp_capabilities"}"#);
        assert!(session.hears_events());
        session
    }

    fn class(step: &Step) -> &str {
        let Step::Say(value) = step else { panic!("{step:?}") };
        value["error"]["class"].as_str().unwrap_or("")
    }

    #[test]
    fn nothing_but_the_negotiation_comes_first_and_it_comes_once() {
        let mut session = Session::default();
        let steps = says(&mut session, r#"{"execute":"query-status"}"#);
        assert_eq!(class(&steps[0]), "CommandNotFound");
        let steps = says(&mut session, r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#);
        assert_eq!(class(&steps[0]), "GenericError");
        assert!(!session.hears_events());
        let steps =
            says(&mut session, r#"{"execute":"qmp_capabilities","id":1}{"execute":"qmp_capabilities"}"#);
        assert_eq!(steps[0], Step::Say(json!({"return": {}, "id": 1})));
        assert_eq!(class(&steps[1]), "CommandNotFound");
    }

    #[test]
    fn a_second_command_waits_for_the_answer_to_the_first() {
        let mut session = ready();
        let steps = says(&mut session, r#"{"execute":"stop","id":"a"}{"execute":"cont","id":"b"}"#);
        assert_eq!(steps, [Step::Ask(Command::Stop)]);
        assert!(!session.wants_input() && session.step().is_none());
        assert_eq!(session.answered(Ok(json!({}))), json!({"return": {}, "id": "a"}));
        assert_eq!(session.step(), Some(Step::Ask(Command::Cont)));
        assert_eq!(session.answered(Ok(json!({}))), json!({"return": {}, "id": "b"}));
        assert!(session.wants_input());
    }

    #[test]
    fn broken_input_is_answered_and_the_conversation_goes_on() {
        let mut session = ready();
        for text in
            ["x \n", "{]", "{\"execute\":\"stop\"\u{7}}", "{\"a\n", "[1]", "{\"execute\":\"\\ud800\"}"]
        {
            let steps = says(&mut session, text);
            assert_eq!((steps.len(), class(&steps[0])), (1, "GenericError"), "{text}: {steps:?}");
        }
        let steps = says(&mut session, r#"{"execute":"query-version"}"#);
        assert_eq!(steps, [Step::Say(json!({"return": message::version()}))]);
    }
}
