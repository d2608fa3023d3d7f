//! What a plan says.

use std::collections::BTreeMap;

/// Machine time in nanoseconds.
pub type Nanos = u64;

/// Where a word stands in the plan's text. Compares equal to any other: two plans that say the same are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Byte offset of the first character.
    pub start: usize,
    /// Byte offset behind the last character.
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Span {}

/// A whole plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Name of the file, for messages.
    pub name: String,
    /// Processors, 1–8. Default 2.
    pub cpus: usize,
    /// Guest memory in bytes. Default 64 MiB.
    pub memory: u64,
    /// Semantics era; default [`Era::Modern`].
    pub era: Era,
    /// Devices plugged in before boot, in order of statements.
    pub plugs: Vec<Plug>,
    /// Workloads.
    pub loads: Vec<Load>,
    /// Triggered actions, in order of statements.
    pub rules: Vec<Rule>,
    /// What must hold.
    pub expects: Vec<Expect>,
    /// How long the plan runs. Default 100 ms.
    pub run_for: Nanos,
    /// The text as lines with comments, for printing without loss.
    pub lines: Vec<Line>,
}

/// One line of the text: the statement (if any) by reference, and the comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What stands on this line.
    pub item: Option<Item>,
    /// Comment text behind `#`, without it.
    pub comment: Option<String>,
}

/// Which statement a line holds: an index into the plan's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `machine`
    Machine,
    /// `plug`
    Plug(usize),
    /// `load`
    Load(usize),
    /// A triggered action.
    Rule(usize),
    /// `expect`
    Expect(usize),
    /// `run`
    Run,
}

/// `era=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Era {
    /// 10.3
    E103,
    /// 10.4
    E104,
    /// 10.5
    E105,
    /// modern
    #[default]
    Modern,
}

/// `plug NAME MODEL slot=N [key=value …]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plug {
    /// The plan's name of the device.
    pub name: String,
    /// Model word: `edu`, `virtio-blk` …
    pub model: String,
    /// Root port number, 1–31.
    pub slot: u32,
    /// Further options, by key (`size`, `file`, `irq`, `driver` …), canonical value text.
    pub options: BTreeMap<String, String>,
    /// Where the statement stands.
    pub span: Span,
}

/// `load NAME clients=N depth=N`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Device name.
    pub device: String,
    /// Client threads, 1–64.
    pub clients: u32,
    /// Requests in flight per client, 1–256.
    pub depth: u32,
    /// Where the statement stands.
    pub span: Span,
}

/// A trigger and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// When.
    pub trigger: Trigger,
    /// What.
    pub action: Action,
    /// Where the statement stands.
    pub span: Span,
}

/// When a rule acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// `at TIME`: once, at plan time.
    At(Nanos),
    /// `every TIME`: again and again, first after one period.
    Every(Nanos),
    /// `on NAME.SITE #N`: at the n-th occurrence (from 1).
    Nth {
        /// Device name in the plan.
        device: String,
        /// Site, dotted: `mmio.write`, `irq.raise`, `gate.close`, `willTerminate` …
        site: String,
        /// Which occurrence, from 1.
        count: u64,
    },
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `unplug NAME`: surprise removal.
    Unplug(String),
    /// `eject NAME`: orderly removal by the attention button.
    Eject(String),
    /// `replug NAME`: the device comes back into its slot.
    Replug(String),
    /// `plug NAME`: a device that was declared with `absent=yes` is plugged in for the first time.
    Plug(String),
    /// `storm NAME rate=F for=TIME`: the device raises its interrupt with nothing to say.
    Storm {
        /// Device name.
        device: String,
        /// Interrupts per second of machine time.
        rate_hz: u64,
        /// How long.
        duration: Nanos,
    },
}

/// `expect …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `expect offline within=TIME`: after each removal, all requests in flight to it have come back within the time.
    Offline(Nanos, Span),
    /// `expect quiet within=TIME`: after each removal, the stack's busy count is back to zero within the time.
    Quiet(Nanos, Span),
    /// `expect no-leaks`: at the end no class of a driver has instances left.
    NoLeaks(Span),
}
