//! The kernel command line.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use mach::Preemption;

/// Slots that a plan can name: root ports 1–31.
const SLOT_MAX: u32 = 31;
/// Ports of a hub that a plan can name.
const PORT_MAX: u32 = 31;
/// Ports on the way to a device: the controller's, and those of five hubs.
const TIERS_MAX: usize = 6;
/// Clients of one workload.
const CLIENTS_MAX: u32 = 64;
/// Requests in flight of one client.
const DEPTH_MAX: u32 = 256;
/// Bytes of a request of a disk.
const SIZE_MIN: u32 = 512;
const SIZE_MAX: u32 = 1 << 20;
/// Threads of a plan.
const THREADS_MAX: u32 = 16;
/// Unknown words that are kept for the log.
const UNKNOWN_MAX: usize = 64;

/// How long an action may take, machine ns, unless the command line says otherwise.
const OVERSTAY: u64 = 1_000_000;
/// What USB 2.0 demands (TATTDB, 7.1.7.3), in machine ns.
const DEBOUNCE: u64 = 100_000_000;

/// `io=` bit: changes to collections that the registry shares are logged, not fatal (kOSRegistryModsMode).
const REGISTRY_MODS_MODE: u64 = 0x4_0000;

/// `io=` bit: IOLog writes to the console at once (kIOLogSynchronous).
const LOG_SYNCHRONOUS: u64 = 0x20_0000;

/// Which age's rules apply where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// 10.3
    E103,
    /// 10.4
    E104,
    /// 10.5
    E105,
    /// macOS 15
    #[default]
    Modern,
}

/// `irq:` of a slot: which kind of interrupt its driver should use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqKind {
    /// Message-signalled.
    Msi,
    /// The line.
    IntX,
    /// MSI-X.
    MsiX,
}

/// `slot.N=name:edu0[,driver:VARIANT][,irq:…][,at:SLOT.PORT…]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotArgs {
    /// Slot number, 1–31.
    pub slot: u32,
    /// What the plan calls the device.
    pub name: String,
    /// Variant of the driver (a deliberately broken one); `None` = the right one.
    pub driver: Option<String>,
    /// Interrupt to use; `None` = the best there is.
    pub irq: Option<IrqKind>,
    /// Of what is behind a controller: the controller's slot, its port, then the port of each hub on the way. Then `slot` is a number only, which
    /// no card has.
    pub at: Option<(u32, Vec<u8>)>,
}

impl SlotArgs {
    /// Whether it is behind the controller in slot `slot`, at the end of these ports.
    pub fn is_at(&self, slot: u32, ports: &[u8]) -> bool {
        self.at.as_ref().is_some_and(|(own, way)| *own == slot && way == ports)
    }
}

/// `load.N=clients:4,depth:8[,size:65536][,as:tasks]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadArgs {
    /// Slot number, 1–31.
    pub slot: u32,
    /// Client threads, 1–64.
    pub clients: u32,
    /// Requests in flight of each, 1–256.
    pub depth: u32,
    /// Bytes of one request of a disk, 512 to 1 MiB.
    pub size: Option<u32>,
    /// Each client is a user task.
    pub tasks: bool,
}

/// How a thread of the plan is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadPolicy {
    /// Its priority does not move.
    Fixed,
    /// It sinks with use (S4).
    Timeshare,
    /// Each turn is to be done by the time at which the next one is due (S5).
    RealTime,
    /// Strict turns.
    RoundRobin,
}

/// `thread.N=name:high,priority:97,policy:real-time,run:NS,every:NS,start:NS,gate:SLOT`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadArgs {
    /// Which of them, 1–16.
    pub number: u32,
    /// What the plan calls it.
    pub name: String,
    /// Base priority, 0–127 (S1).
    pub priority: u8,
    /// How it is scheduled.
    pub policy: ThreadPolicy,
    /// CPU time of one turn, ns; `None` = it never lets go.
    pub run: Option<u64>,
    /// From one turn to the next, ns, at least 1.
    pub every: u64,
    /// The first turn, ns after the plan's zero.
    pub start: u64,
    /// It computes in the gate of this slot's driver.
    pub gate: Option<u32>,
}

/// The parsed command line. Everything has a default; what is not understood is kept in `unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootArgs {
    /// `bench=0xADDR,0xPORT`: physical address of the bench page and doorbell port.
    pub bench: Option<(u64, u16)>,
    /// `tsc_hz=N`: TSC ticks per machine second.
    pub tsc_hz: Option<u64>,
    /// `aperture=0xBASE,0xBYTES`: 32-bit PCI window.
    pub aperture: Option<(u64, u64)>,
    /// `slot.N=…`, in order of appearance; a later one for the same slot replaces the earlier.
    pub slots: Vec<SlotArgs>,
    /// `load.N=…`, likewise.
    pub loads: Vec<LoadArgs>,
    /// `thread.N=…`, likewise.
    pub threads: Vec<ThreadArgs>,
    /// `push=off`: nobody lends its priority to who has its lock (S7).
    pub push_is_off: bool,
    /// `failsafe=NS`: how long a thread whose priority does not sink may compute (S6); `None` = as the era has it.
    pub fail_safe: Option<u64>,
    /// `era=…`
    pub era: Era,
    /// `preemption=…` (S2)
    pub preemption: Preemption,
    /// `seed=N`
    pub seed: u64,
    /// `io=0xBITS`: IOKit's debugging bits, with the numbers of macOS.
    pub io: u64,
    /// `overstay=NS`: how long an action or a filter may take, machine ns (OV1); 0 = as long as it likes.
    pub overstay: u64,
    /// `debounce=NS`: how long a new USB connection must be stable, machine ns (TATTDB; USB 2.0, 7.1.7.3).
    pub debounce: u64,
    /// `finish=NS`: end the run at this machine time.
    pub finish: Option<u64>,
    /// Words that were not understood (the first few), for a log line.
    pub unknown: Vec<String>,
}

impl Default for BootArgs {
    fn default() -> Self {
        Self {
            bench: None,
            tsc_hz: None,
            aperture: None,
            slots: Vec::new(),
            loads: Vec::new(),
            threads: Vec::new(),
            push_is_off: false,
            fail_safe: None,
            era: Era::default(),
            preemption: Preemption::default(),
            seed: 0,
            io: 0,
            overstay: OVERSTAY,
            debounce: DEBOUNCE,
            finish: None,
            unknown: Vec::new(),
        }
    }
}

impl BootArgs {
    /// Reads a command line. Never fails: what is wrong is left out and listed in `unknown`.
    pub fn parse(line: &str) -> Self {
        let mut args = Self::default();
        for word in line.split_ascii_whitespace() {
            if args.word(word).is_none() && args.unknown.len() < UNKNOWN_MAX {
                args.unknown.push(word.to_owned());
            }
        }
        args
    }

    /// Whether changing a collection that the registry shares is logged instead of a panic (R4).
    pub fn registry_modifications_are_logged(&self) -> bool {
        self.io & REGISTRY_MODS_MODE != 0
    }

    /// Whether IOLog waits for the console (S9).
    pub fn log_is_synchronous(&self) -> bool {
        self.io & LOG_SYNCHRONOUS != 0
    }

    /// The options of `slot`.
    pub fn slot(&self, slot: u32) -> Option<&SlotArgs> {
        self.slots.iter().find(|s| s.slot == slot)
    }

    /// The workload of `slot`.
    pub fn load(&self, slot: u32) -> Option<LoadArgs> {
        self.loads.iter().find(|l| l.slot == slot).copied()
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=')?;
        match key {
            "bench" => {
                let (address, port) = pair(value)?;
                self.bench = Some((address, u16::try_from(port).ok()?));
            }
            "tsc_hz" => self.tsc_hz = Some(number(value).filter(|&n| n > 0)?),
            "aperture" => self.aperture = Some(pair(value)?),
            "era" => self.era = era(value)?,
            "preemption" => self.preemption = preemption(value)?,
            "io" => self.io = number(value)?,
            "overstay" => self.overstay = number(value)?,
            "debounce" => self.debounce = number(value)?,
            "push" if value == "off" => self.push_is_off = true,
            "failsafe" => self.fail_safe = Some(number(value).filter(|&n| n > 0)?),
            "seed" => self.seed = number(value)?,
            "finish" => self.finish = Some(number(value)?),
            // What the kernel looks at before there is an IOKit.
            "crash" | "hostile" | "ring3" | "trace" => {}
            _ => return self.indexed(key, value),
        }
        Some(())
    }

    fn indexed(&mut self, key: &str, value: &str) -> Option<()> {
        let (what, index) = key.split_once('.')?;
        if what == "thread" {
            let parsed = thread_args(small(index, THREADS_MAX)?, value)?;
            self.threads.retain(|thread| thread.number != parsed.number);
            self.threads.push(parsed);
            return Some(());
        }
        let slot = small(index, SLOT_MAX)?;
        match what {
            "slot" => {
                let parsed = slot_args(slot, value)?;
                self.slots.retain(|s| s.slot != slot);
                self.slots.push(parsed);
            }
            "load" => {
                let parsed = load_args(slot, value)?;
                self.loads.retain(|l| l.slot != slot);
                self.loads.push(parsed);
            }
            _ => return None,
        }
        Some(())
    }
}

fn slot_args(slot: u32, value: &str) -> Option<SlotArgs> {
    let mut args = SlotArgs { slot, name: String::new(), driver: None, irq: None, at: None };
    for option in value.split(',') {
        match option.split_once(':')? {
            ("name", name) if !name.is_empty() => args.name = name.to_owned(),
            ("driver", variant) if !variant.is_empty() => args.driver = Some(variant.to_owned()),
            ("at", way) => args.at = Some(place(way)?),
            ("irq", "msi") => args.irq = Some(IrqKind::Msi),
            ("irq", "intx") => args.irq = Some(IrqKind::IntX),
            ("irq", "msix") => args.irq = Some(IrqKind::MsiX),
            _ => return None,
        }
    }
    (!args.name.is_empty()).then_some(args)
}

/// `SLOT.PORT[.PORT…]`
fn place(text: &str) -> Option<(u32, Vec<u8>)> {
    let mut numbers = text.split('.');
    let slot = small(numbers.next()?, SLOT_MAX)?;
    let ports: Option<Vec<u8>> =
        numbers.map(|port| small(port, PORT_MAX).and_then(|port| u8::try_from(port).ok())).collect();
    ports.filter(|ports| (1..=TIERS_MAX).contains(&ports.len())).map(|ports| (slot, ports))
}

fn load_args(slot: u32, value: &str) -> Option<LoadArgs> {
    let mut args = LoadArgs { slot, clients: 1, depth: 1, size: None, tasks: false };
    for option in value.split(',') {
        match option.split_once(':')? {
            ("clients", n) => args.clients = small(n, CLIENTS_MAX)?,
            ("depth", n) => args.depth = small(n, DEPTH_MAX)?,
            ("size", n) => args.size = Some(small(n, SIZE_MAX).filter(|&size| size >= SIZE_MIN)?),
            ("as", "tasks") => args.tasks = true,
            _ => return None,
        }
    }
    Some(args)
}

fn thread_args(number_of: u32, value: &str) -> Option<ThreadArgs> {
    let mut args = ThreadArgs {
        number: number_of,
        name: String::new(),
        priority: 0,
        policy: ThreadPolicy::Fixed,
        run: None,
        every: 0,
        start: 0,
        gate: None,
    };
    for option in value.split(',') {
        match option.split_once(':')? {
            ("name", name) if !name.is_empty() => args.name = name.to_owned(),
            ("priority", n) => {
                args.priority = number(n).and_then(|n| u8::try_from(n).ok()).filter(|&n| n <= 127)?
            }
            ("policy", word) => args.policy = thread_policy(word)?,
            ("run", n) => args.run = Some(number(n)?),
            ("every", n) => args.every = number(n)?,
            ("start", n) => args.start = number(n)?,
            ("gate", n) => args.gate = Some(small(n, SLOT_MAX)?),
            _ => return None,
        }
    }
    (!args.name.is_empty() && args.every > 0).then_some(args)
}

fn thread_policy(word: &str) -> Option<ThreadPolicy> {
    Some(match word {
        "fixed" => ThreadPolicy::Fixed,
        "timeshare" => ThreadPolicy::Timeshare,
        "real-time" => ThreadPolicy::RealTime,
        "round-robin" => ThreadPolicy::RoundRobin,
        _ => return None,
    })
}

fn era(value: &str) -> Option<Era> {
    Some(match value {
        "10.3" => Era::E103,
        "10.4" => Era::E104,
        "10.5" => Era::E105,
        "modern" => Era::Modern,
        _ => return None,
    })
}

fn preemption(value: &str) -> Option<Preemption> {
    Some(match value {
        "tasks" => Preemption::Tasks,
        "strict" => Preemption::Strict,
        "full" => Preemption::Full,
        _ => return None,
    })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn small(text: &str, max: u32) -> Option<u32> {
    number(text).and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=max).contains(n))
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (a, b) = text.split_once(',')?;
    Some((number(a)?, number(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_whole_line() {
        let a = BootArgs::parse(
            "bench=0x3ff0000,0x5b0 tsc_hz=3700000 slot.1=name:edu0,driver:early-close,irq:msi load.1=clients:4,depth:8,size:65536 era=10.4 seed=7 overstay=5 debounce=6 finish=100 quiet x=1",
        );
        assert_eq!((a.overstay, a.debounce), (5, 6));
        assert_eq!(a.bench, Some((0x3ff_0000, 0x5b0)));
        assert_eq!(a.tsc_hz, Some(3_700_000));
        let slot = a.slot(1).unwrap();
        assert_eq!(
            (slot.name.as_str(), slot.driver.as_deref(), slot.irq),
            ("edu0", Some("early-close"), Some(IrqKind::Msi))
        );
        assert_eq!(
            a.load(1),
            Some(LoadArgs { slot: 1, clients: 4, depth: 8, size: Some(65_536), tasks: false })
        );
        assert!(BootArgs::parse("load.2=clients:2,as:tasks").load(2).unwrap().tasks);
        assert_eq!((a.era, a.seed, a.finish), (Era::E104, 7, Some(100)));
        assert_eq!(a.unknown, vec!["quiet", "x=1"]);
    }

    #[test]
    fn s9_a_bit_makes_the_log_synchronous() {
        assert!(BootArgs::parse("io=0x200000").log_is_synchronous());
        assert!(!BootArgs::parse("io=0x40000").log_is_synchronous());
        assert!(BootArgs::parse("io=0x240000").registry_modifications_are_logged());
    }

    #[test]
    fn nonsense_is_listed_not_obeyed() {
        let a = BootArgs::parse(
            "slot.0=name:a slot.32=name:b slot.1=driver:x load.1=clients:0 load.1=depth:257 bench=1 bench=1,65536 seed=-1 tsc_hz=0 era=9",
        );
        assert_eq!(a.unknown.len(), 10);
        assert_eq!(BootArgs { unknown: vec![], ..a }, BootArgs::default());
    }

    #[test]
    fn a_thread_of_the_plan() {
        let a = BootArgs::parse(
            "thread.2=name:high,priority:97,policy:real-time,run:10,every:20,start:30,gate:1 push=off failsafe=7",
        );
        let high = ThreadArgs {
            number: 2,
            name: "high".to_owned(),
            priority: 97,
            policy: ThreadPolicy::RealTime,
            run: Some(10),
            every: 20,
            start: 30,
            gate: Some(1),
        };
        assert_eq!(a.threads, vec![high]);
        assert!(a.push_is_off && a.fail_safe == Some(7) && a.unknown.is_empty());
        let wrong = "thread.1=name:a thread.17=name:a,every:1 thread.1=every:1 thread.1=name:a,every:1,priority:128 push=on failsafe=0";
        assert_eq!(BootArgs::parse(wrong).unknown.len(), 6);
    }

    #[test]
    fn a_place_behind_a_controller() {
        let a = BootArgs::parse("slot.3=name:usb0 slot.31=name:stick0,at:3.1.4");
        assert!(a.slot(31).unwrap().is_at(3, &[1, 4]) && !a.slot(31).unwrap().is_at(3, &[1]));
        assert!(a.unknown.is_empty() && !a.slot(3).unwrap().is_at(3, &[]));
        let wrong = "slot.1=name:a,at:3 slot.1=name:a,at:3.0 slot.1=name:a,at:40.1 slot.1=name:a,at:3.1.1.1.1.1.1.1 slot.1=name:a,at:";
        assert_eq!(BootArgs::parse(wrong).unknown.len(), 5);
    }

    #[test]
    fn a_later_word_replaces_an_earlier() {
        let a = BootArgs::parse("slot.1=name:a slot.1=name:b");
        assert_eq!(a.slots.len(), 1);
        assert_eq!(a.slot(1).unwrap().name, "b");
    }
}
