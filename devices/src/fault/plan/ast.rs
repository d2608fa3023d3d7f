//! What a plan says.

use super::chance::Chance;
use super::faults::{DeviceFault, GuestFault};
use super::threads::ThreadSpec;
use std::collections::BTreeMap;

/// The option that names the controller or hub that a device is plugged into.
pub const ON: &str = "on";
/// The option that names the port there.
pub const PORT: &str = "port";

/// Machine time in nanoseconds.
pub type Nanos = u64;

/// Where a word stands in the plan's text. Compares equal to any other: two plans that say the same are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Byte offset of the first character.
    pub start: usize,
    /// Byte offset behind the last character.
    pub end: usize,
    /// Line of the first character, from 1; 0 = not from a text.
    pub line: usize,
    /// Column of the first character, in characters from 1; 0 = not from a text.
    pub column: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Span {}

/// Where the words of one statement stand, by role (`name`, `model`, `device`, `site`, or the key of an option). Compares
/// equal to any other, as [`Span`] does. A plan made by a program has none.
#[derive(Clone, Debug, Default)]
pub struct Marks(pub BTreeMap<String, Span>);

impl PartialEq for Marks {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Marks {}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the file, for messages.
    pub name: String,
    /// Processors, 1–8. Default 2.
    pub cpus: usize,
    /// Guest memory in bytes. Default 64 MiB.
    pub memory: u64,
    /// Semantics era; default [`Era::Modern`].
    pub era: Era,
    /// Which kernel code a waking thread preempts (S2); default [`Preemption::Tasks`].
    pub preemption: Preemption,
    /// Whoever waits for a lock lends its priority to the owner (S7). Default true.
    pub push: bool,
    /// How long a thread whose priority does not sink may compute (S6). Default: as the era has it.
    pub fail_safe: Option<Nanos>,
    /// How long an action may take before it is named (OV1); 0 = as long as it likes. Default: 1 ms.
    pub overstay: Option<Nanos>,
    /// How long a new USB connection must be stable before it is looked at (TATTDB; USB 2.0, 7.1.7.3). Default: 100 ms.
    pub debounce: Option<Nanos>,
    /// Devices plugged in before boot, in order of statements.
    pub plugs: Vec<Plug>,
    /// Workloads.
    pub loads: Vec<Load>,
    /// Threads of the plan's own.
    pub threads: Vec<ThreadSpec>,
    /// Triggered actions, in order of statements.
    pub rules: Vec<Rule>,
    /// What must hold.
    pub expects: Vec<Expect>,
    /// How long the plan runs. Default 100 ms.
    pub run_for: Nanos,
    /// The text as lines with comments, for printing without loss.
    pub lines: Vec<Line>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: String::new(),
            cpus: super::limits::DEFAULT_CPUS,
            memory: super::limits::DEFAULT_MEMORY,
            era: Era::default(),
            preemption: Preemption::default(),
            push: true,
            fail_safe: None,
            overstay: None,
            debounce: None,
            plugs: Vec::new(),
            loads: Vec::new(),
            threads: Vec::new(),
            rules: Vec::new(),
            expects: Vec::new(),
            run_for: super::limits::DEFAULT_RUN,
            lines: Vec::new(),
        }
    }
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
    /// `thread`
    Thread(usize),
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

/// `preemption=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preemption {
    /// Not that of tasks; kernel threads are preempted like user code.
    #[default]
    Tasks,
    /// None, but for what is urgent.
    Strict,
    /// All.
    Full,
}

/// `plug NAME MODEL slot=N [key=value …]`, or `plug NAME MODEL on=CONTROLLER port=N [key=value …]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plug {
    /// The plan's name of the device.
    pub name: String,
    /// Model word: `edu`, `virtio-blk` …
    pub model: String,
    /// Root port number, 1–31. What is plugged in behind a controller has no root port: it gets a number that no card has
    /// ([`Plan::number`]), by which trace and guest know it.
    pub slot: u32,
    /// Further options, by key (`on`, `port`, `size`, `file`, `irq`, `driver`, `absent` …), canonical value text.
    pub options: BTreeMap<String, String>,
    /// Where the statement stands.
    pub span: Span,
    /// Where its words stand.
    pub marks: Marks,
}

/// `load NAME clients=N depth=N [size=BYTES] [as=tasks]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Device name.
    pub device: String,
    /// Client threads, 1–64.
    pub clients: u32,
    /// Requests in flight per client, 1–256.
    pub depth: u32,
    /// Bytes of one request of a disk; what the workload thinks right if not said.
    pub size: Option<u32>,
    /// Each client is a user task, not kernel threads.
    pub tasks: bool,
    /// Where the statement stands.
    pub span: Span,
    /// Where its words stand.
    pub marks: Marks,
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
    /// Where its words stand.
    pub marks: Marks,
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
    /// `on NAME.SITE p=P`: at each occurrence, with this probability, by the run's seed.
    Chance {
        /// Device name in the plan.
        device: String,
        /// Site, as for [`Trigger::Nth`].
        site: String,
        /// How probable.
        chance: Chance,
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
    /// A fault of the hardware: `spurious`, `drop`, `delay` …
    Fault {
        /// Device name.
        device: String,
        /// Which fault.
        fault: DeviceFault,
    },
    /// `race NAME timer=before|after`: the device's next interrupt waits for the next timer of its driver.
    Race {
        /// Device name.
        device: String,
        /// The timer's interrupt comes first.
        timer_first: bool,
    },
    /// `kill NAME`: a client of the device dies inside a call.
    Kill(String),
    /// A fault of the processor or the memory: `stall`, `clock-jump`, `preempt`, `fail-alloc`.
    Guest(GuestFault),
}

/// `expect …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `expect offline within=TIME`: after each removal, all requests in flight to it have come back within the time.
    Offline(Nanos, Span),
    /// `expect quiet within=TIME`: after each removal, the stack's busy count is back to zero within the time.
    Quiet(Nanos, Span),
    /// `expect turn NAME within=TIME`: each turn of a thread of the plan is done within the time after it was due.
    Turn {
        /// The thread.
        thread: String,
        /// The time.
        within: Nanos,
        /// Where the statement stands.
        span: Span,
        /// Where its words stand.
        marks: Marks,
    },
    /// `expect no-leaks`: at the end no class of a driver has instances left.
    NoLeaks(Span),
}

impl Plug {
    /// Where the word with this role stands: `name`, `model`, `slot` or an option's key. The whole statement if the role is unknown.
    pub fn span_of(&self, role: &str) -> Span {
        self.marks.0.get(role).copied().unwrap_or(self.span)
    }
}

impl Load {
    /// Where the word with this role stands: `device`, `clients`, `depth`, `size` or `as`. The whole statement if the role is unknown.
    pub fn span_of(&self, role: &str) -> Span {
        self.marks.0.get(role).copied().unwrap_or(self.span)
    }
}

impl Rule {
    /// Where the word with this role stands: `when`, `site`, `action`, `device`, `rate` or `for`. The whole statement if the role is unknown.
    pub fn span_of(&self, role: &str) -> Span {
        self.marks.0.get(role).copied().unwrap_or(self.span)
    }
}

impl Plug {
    /// Declared with `absent=yes`: not in its slot at boot, a rule plugs it in.
    pub fn absent(&self) -> bool {
        self.options.get("absent").is_some_and(|v| v == "yes")
    }
}

/// Behind a controller or a hub.
impl Plug {
    /// The name of the controller or hub that this is plugged into; `None`: it is a card in a slot.
    pub fn on(&self) -> Option<&str> {
        self.options.get(ON).map(String::as_str)
    }

    /// The port of [`Plug::on`], from 1; 0 if it has none.
    pub fn port(&self) -> u8 {
        self.options.get(PORT).and_then(|port| port.parse().ok()).unwrap_or(0)
    }
}

impl Action {
    /// The plan's name of the device that the action is done to; `None`: it is done to the guest.
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::Unplug(device)
            | Self::Eject(device)
            | Self::Replug(device)
            | Self::Plug(device)
            | Self::Storm { device, .. }
            | Self::Fault { device, .. }
            | Self::Race { device, .. }
            | Self::Kill(device) => Some(device),
            Self::Guest(_) => None,
        }
    }

    /// The action's word, as in the plan and in the trace.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unplug(_) => "unplug",
            Self::Eject(_) => "eject",
            Self::Replug(_) => "replug",
            Self::Plug(_) => "plug",
            Self::Storm { .. } => "storm",
            Self::Fault { fault, .. } => fault.word(),
            Self::Race { .. } => "race",
            Self::Kill(_) => "kill",
            Self::Guest(fault) => fault.word(),
        }
    }
}

impl Era {
    /// The word of `era=`.
    pub fn word(self) -> &'static str {
        match self {
            Self::E103 => "10.3",
            Self::E104 => "10.4",
            Self::E105 => "10.5",
            Self::Modern => "modern",
        }
    }
}

impl Preemption {
    /// The word of `preemption=`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Strict => "strict",
            Self::Full => "full",
        }
    }
}

impl Plan {
    /// Gives what is plugged in behind controllers its numbers: from the highest slot down, in the order of statements, those that no card
    /// has. Beyond the last one it is 0, which no plan may have.
    pub fn number(&mut self) {
        let cards: Vec<u32> = self.cards().map(|plug| plug.slot).collect();
        let mut free = (1..=*super::limits::SLOTS.end() as u32).rev().filter(|slot| !cards.contains(slot));
        for plug in self.plugs.iter_mut().filter(|plug| plug.on().is_some()) {
            plug.slot = free.next().unwrap_or(0);
        }
    }

    /// The rule that the plan is there to show broken, as a comment of it says: `# finds: RULE`. `None`: what the plan does is borne.
    pub fn finds(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.comment.as_deref()?.trim_start().strip_prefix("finds: "))
    }

    /// The devices that are cards in slots, in the order of statements.
    pub fn cards(&self) -> impl Iterator<Item = &Plug> {
        self.plugs.iter().filter(|plug| plug.on().is_none())
    }

    /// The devices behind controllers, in the order of statements.
    pub fn behind(&self) -> impl Iterator<Item = &Plug> {
        self.plugs.iter().filter(|plug| plug.on().is_some())
    }

    /// The way to a device: the slot of the card, then the ports on the way down, each from 1. `None` if the way does not begin at a card.
    pub fn path(&self, plug: &Plug) -> Option<(u32, Vec<u8>)> {
        let mut ports = Vec::new();
        let mut at = plug;
        while let Some(on) = at.on() {
            if ports.len() > super::limits::TIERS {
                return None;
            }
            ports.push(at.port());
            at = self.plug_named(on)?;
        }
        ports.reverse();
        Some((at.slot, ports))
    }

    /// The declaration of the device with this name.
    pub fn plug_named(&self, name: &str) -> Option<&Plug> {
        self.plugs.iter().find(|p| p.name == name)
    }
}
