//! The table: what a client is told of each command, and what its arguments are checked against.

use serde_json::Value;

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

    pub(super) fn takes(self, value: &Value) -> bool {
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
