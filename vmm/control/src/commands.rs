//! The commands, as one table: what a client is told of them, what its arguments are checked against, and what they become.

use crate::message::{Class, Failure, Request};
use serde_json::{Map, Value};

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    Text,
    /// A whole number that is not negative.
    Number,
    /// A list of strings.
    Words,
    /// True or false.
    Flag,
}

impl Type {
    /// Its name in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Type::Text => "string",
            Type::Number => "integer",
            Type::Words => "array",
            Type::Flag => "boolean",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Type::Text => value.is_string(),
            Type::Number => value.is_u64(),
            Type::Flag => value.is_boolean(),
            Type::Words => value.as_array().is_some_and(|words| words.iter().all(Value::is_string)),
        }
    }
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub is: Type,
    /// It may be left out.
    pub optional: bool,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// One line about it.
    pub about: &'static str,
}

const fn needed(name: &'static str, is: Type) -> Argument {
    Argument { name, is, optional: false }
}

const fn optional(name: &'static str, is: Type) -> Argument {
    Argument { name, is, optional: true }
}

const fn spec(name: &'static str, arguments: &'static [Argument], about: &'static str) -> Spec {
    Spec { name, arguments, about }
}

/// Every command, in the order of the documentation.
pub const COMMANDS: &[Spec] = &[
    spec(
        "qmp_capabilities",
        &[optional("enable", Type::Words)],
        "ends the negotiation; there is no capability to enable",
    ),
    spec("query-version", &[], "the version of Workgate"),
    spec("query-commands", &[], "the names of all commands"),
    spec("query-qmp-schema", &[], "commands, arguments and events as QEMU describes its own"),
    spec("query-name", &[], "the name of the plan"),
    spec("query-status", &[], "whether the machine runs, and its time"),
    spec("stop", &[], "the machine stands still until `cont`"),
    spec("cont", &[], "the machine goes on"),
    spec("quit", &[], "the machine ends at once, without a verdict"),
    spec("system_reset", &[], "the reset line: the machine ends, as with QEMU's -no-reboot"),
    spec(
        "system_powerdown",
        &[],
        "the guest is asked to end in order; the verdict is that of the run so far",
    ),
    spec("query-cpus-fast", &[], "the processors"),
    spec("query-pci", &[], "what software would find on the PCI buses"),
    spec(
        "device_add",
        &[needed("driver", Type::Text), needed("id", Type::Text)],
        "a device of the plan that is out goes (back) into its slot or port",
    ),
    spec(
        "device_del",
        &[needed("id", Type::Text)],
        "the guest is asked to let a device go; DEVICE_DELETED tells when it has",
    ),
    spec(
        "dump-guest-memory",
        &[
            needed("protocol", Type::Text),
            optional("paging", Type::Flag),
            optional("detach", Type::Flag),
            optional("format", Type::Text),
        ],
        "an ELF core of the machine with every kernel thread, into a file",
    ),
    spec("inject-nmi", &[], "a non-maskable interrupt to every processor"),
    spec(
        "human-monitor-command",
        &[needed("command-line", Type::Text), optional("cpu-index", Type::Number)],
        "a line for people, answered as text; `help` lists them",
    ),
    spec(
        "x-workgate-fault",
        &[needed("statement", Type::Text)],
        "an action of the plan language, done now, or a whole rule, added to the plan's",
    ),
    spec(
        "x-workgate-until",
        &[
            optional("time", Type::Text),
            optional("event", Type::Text),
            optional("device", Type::Text),
            optional("count", Type::Number),
        ],
        "the machine will stop at a plan time, or at the N-th event of a kind from now on",
    ),
    spec("x-workgate-threads", &[], "every thread: where it is, since when, and what it has entered"),
    spec("x-workgate-registry", &[], "the IOKit registry as a tree"),
    spec("x-workgate-classcount", &[], "classes, and how many instances each has"),
    spec(
        "x-workgate-top",
        &[],
        "threads, gates, interrupts and wake-up latencies, as counters that only grow",
    ),
    spec(
        "x-workgate-trace",
        &[optional("since", Type::Number)],
        "the events of the trace from a number on; without it, the number of the next one",
    ),
    spec("x-workgate-sites", &[], "how often each site of each device was passed"),
    spec("x-workgate-ledger", &[], "what became of the requests to each device"),
    spec("x-workgate-findings", &[], "the rules that were found broken so far"),
    spec("x-workgate-devices", &[], "the devices of the plan, and which are in"),
    spec("x-workgate-console", &[], "the guest's last console lines"),
    spec("x-workgate-showallstacks", &[], "the guest's kernel prints every thread's stack on its console"),
];

/// The command called `name`.
pub fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| spec.name == name)
}

/// What is known of a run from its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Threads.
    Threads,
    /// The registry.
    Registry,
    /// Instances by class.
    Classes,
    /// The ledger.
    Ledger,
    /// Findings.
    Findings,
    /// Counters of threads, gates, interrupts and latencies.
    Top,
    /// Events from this number on; `None`: those that are still to come.
    Trace(Option<u64>),
}

/// Where to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// At a plan time, as plans write it.
    Time(String),
    /// At an event.
    Event {
        /// Its word.
        word: String,
        /// Of this device; `None` = of any.
        device: Option<String>,
        /// Which one from now on, from 1.
        count: u64,
    },
}

/// A command that needs the machine, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `query-name`
    Name,
    /// `query-status`
    Status,
    /// `stop`
    Stop,
    /// `cont`
    Cont,
    /// `quit`
    Quit,
    /// `system_reset`
    Reset,
    /// `system_powerdown`
    PowerDown,
    /// `query-cpus-fast`
    Cpus,
    /// `query-pci`
    Pci,
    /// `device_add`
    Add {
        /// The model's word.
        driver: String,
        /// The plan's name of the device.
        id: String,
    },
    /// `device_del`
    Delete {
        /// The plan's name of the device.
        id: String,
    },
    /// `dump-guest-memory`
    Dump {
        /// Where the core goes: `file:PATH`.
        protocol: String,
        /// Answer first, write then.
        detach: bool,
        /// The kind of file.
        format: Option<String>,
    },
    /// `inject-nmi`
    Nmi,
    /// `human-monitor-command`
    Monitor(String),
    /// `x-workgate-fault`
    Fault(String),
    /// `x-workgate-until`
    Until(Until),
    /// A view of the trace.
    View(View),
    /// `x-workgate-sites`
    Sites,
    /// `x-workgate-devices`
    Devices,
    /// `x-workgate-console`
    Console,
    /// `x-workgate-showallstacks`
    Stacks,
}

/// The arguments of a request that has passed [`check`].
struct Taken(Map<String, Value>);

impl Taken {
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    fn needed(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    fn flag(&mut self, name: &str) -> bool {
        self.0.remove(name).as_ref().and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        self.0.remove(name).as_ref().and_then(Value::as_u64)
    }
}

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

/// What a checked request asks of the machine; `None`: it needs none.
///
/// # Errors
/// Arguments that do not go together.
pub fn command(request: Request) -> Result<Option<Command>, Failure> {
    let mut taken = Taken(request.arguments);
    Ok(Some(match request.name.as_str() {
        "query-name" => Command::Name,
        "query-status" => Command::Status,
        "stop" => Command::Stop,
        "cont" => Command::Cont,
        "quit" => Command::Quit,
        "system_reset" => Command::Reset,
        "system_powerdown" => Command::PowerDown,
        "query-cpus-fast" => Command::Cpus,
        "query-pci" => Command::Pci,
        "device_add" => Command::Add { driver: taken.needed("driver"), id: taken.needed("id") },
        "device_del" => Command::Delete { id: taken.needed("id") },
        "dump-guest-memory" => Command::Dump {
            protocol: taken.needed("protocol"),
            detach: taken.flag("detach"),
            format: taken.text("format"),
        },
        "inject-nmi" => Command::Nmi,
        "human-monitor-command" => Command::Monitor(taken.needed("command-line")),
        "x-workgate-fault" => Command::Fault(taken.needed("statement")),
        "x-workgate-until" => Command::Until(until(&mut taken)?),
        "x-workgate-threads" => Command::View(View::Threads),
        "x-workgate-registry" => Command::View(View::Registry),
        "x-workgate-classcount" => Command::View(View::Classes),
        "x-workgate-ledger" => Command::View(View::Ledger),
        "x-workgate-findings" => Command::View(View::Findings),
        "x-workgate-top" => Command::View(View::Top),
        "x-workgate-trace" => Command::View(View::Trace(taken.number("since"))),
        "x-workgate-sites" => Command::Sites,
        "x-workgate-devices" => Command::Devices,
        "x-workgate-console" => Command::Console,
        "x-workgate-showallstacks" => Command::Stacks,
        _ => return Ok(None),
    }))
}

fn until(taken: &mut Taken) -> Result<Until, Failure> {
    let (time, word, device) = (taken.text("time"), taken.text("event"), taken.text("device"));
    let count = taken.number("count");
    match (time, word) {
        (Some(time), None) if device.is_none() && count.is_none() => Ok(Until::Time(time)),
        (None, Some(word)) => {
            let count = count.unwrap_or(1);
            if count == 0 {
                return Err(Failure::generic("Parameter 'count' expects a number from 1"));
            }
            Ok(Until::Event { word, device, count })
        }
        _ => {
            let what = "expected either 'time', such as \"5ms\", or 'event', such as \"willTerminate\", with 'device' and 'count' if wanted";
            Err(Failure::generic(what))
        }
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
    use super::*;
    use serde_json::json;

    fn request(name: &str, arguments: Value) -> Request {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        Request { name: name.to_owned(), arguments, id: None }
    }

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

    #[test]
    fn where_to_stop_is_a_time_or_an_event() {
        let until = |arguments| command(request("x-workgate-until", arguments));
        assert_eq!(until(json!({"time": "5ms"})), Ok(Some(Command::Until(Until::Time("5ms".to_owned())))));
        let event = Until::Event { word: "stop".to_owned(), device: None, count: 1 };
        assert_eq!(until(json!({"event": "stop"})), Ok(Some(Command::Until(event))));
        for wrong in [
            json!({}),
            json!({"time": "5ms", "event": "stop"}),
            json!({"time": "5ms", "count": 2}),
            json!({"event": "stop", "count": 0}),
        ] {
            assert!(until(wrong).is_err());
        }
    }
}
