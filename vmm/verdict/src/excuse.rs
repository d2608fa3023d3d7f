//! Faults that explain what becomes of a request: then the hardware lied, and the driver that passed it on is right.
//!
//! An excuse is as narrow as the fault. A fault of one DMA write explains what is in flight to that device at that moment. A frozen device
//! explains all that is in flight while it is frozen; and errors, but no wrong data, from then until another card is there, because
//! a driver may give a device up that did not answer. A DMA write that lands late may land in data that are on their way to the
//! device: then it is what is stored that is wrong, and whoever had that request in flight reads it back with one of its next
//! [`READ_BACK`] requests. A card that keeps the account of its own work in memory ([`ACCOUNTS`]) may have that spoilt by a fault of one DMA write:
//! a driver that finds an account that makes no sense gives the card up, and so errors are explained from then until another card is there; and wrong data, of a device whose data come in one stream with others' ([`STREAMED`]). Packets that failed on a
//! wire explain nothing, until so many have that a driver gives up ([`TRIES`]), or unless it cannot try again ([`TELLS`]); who asks several nodes of a
//! FireWire ([`ASKS_ALL`]) may fail at each of them, but does not give up because of another's. A device that is not ready, or whose work is late, a jump of the clock and a stalled CPU explain errors of what is in flight: its
//! time is up; memory that runs out explains that there is none; and a device that was late for [`GIVES_UP`] may have been given up. Lost, late, doubled and missing interrupts explain nothing: a driver looks for itself in time.

use devices::fault::plan::{Plan, Plug};
use std::collections::{BTreeMap, BTreeSet};
use trace::Event;

/// Models that tell by DMA how far they are, and not only what they read: it counts for what is behind them, too.
const ACCOUNTS: &[&str] = &["daq", "xhci", "ohci"];

/// Models whose data come to memory in one stream with all that others send, without a mark where a packet begins but the end of the one before it (OHCI 1.1, 8.4.2): behind
/// one that is spoilt whatever follows may be taken for something else.
const STREAMED: &[&str] = &["firewire-node"];

/// Models whose driver cannot know how much of a packet that failed has arrived, and so tells its client instead of trying again.
const TELLS: &[&str] = &["usb-serial"];

/// Models whose driver asks other nodes of the bus than its own: the isochronous resource manager for a channel, the root for cycle starts
/// (IEEE 1394-1995, 8.4.2.3 and 8.4.2.5). Each node may be one of these.
const ASKS_ALL: &[&str] = &["firewire-camera"];

/// Faults of one packet.
const PACKETS: &[&str] = &["usb-stall", "usb-error", "babble", "lost-ack"];

/// Faults of packets that a driver bears without an error until a device has given up: so many. Drivers try three times.
pub const TRIES: u32 = 3;

/// kIOReturnNoMemory.
pub const NO_MEMORY: u32 = 0xe000_02bd;

/// A device whose work is late for so long may have been given up, ns: no driver of ours waits for less.
const GIVES_UP: u64 = 100_000_000;

/// Requests of a thread of the workload from a write to the end of reading it back: a flush may come between.
const READ_BACK: u8 = 2;

/// What a fault explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// An error.
    Error,
    /// An error, or wrong data.
    Data,
}

/// What holds for the requests of one device that are issued now.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    frozen: bool,
    given_up: bool,
    /// It is not ready, whatever it is asked.
    naks: bool,
    /// The stream that its data come in may have lost its way.
    astray: bool,
    /// Since when it does its work late.
    late: Option<u64>,
    /// Packets that failed.
    packets: u32,
}

impl Standing {
    fn explains(&self) -> Option<Excuse> {
        let error = self.given_up || self.naks || self.late.is_some();
        if self.frozen || self.astray { Some(Excuse::Data) } else { error.then_some(Excuse::Error) }
    }
}

/// The excuses that hold, by slot.
#[derive(Debug, Default)]
pub struct Excuses {
    standing: BTreeMap<u32, Standing>,
    /// Threads that may have stored what a late DMA write made of it, with the number of requests that this explains still.
    poisoned: BTreeMap<u32, u8>,
    /// Slots of [`ACCOUNTS`].
    accounts: BTreeSet<u32>,
    /// Slots of [`STREAMED`].
    streamed: BTreeSet<u32>,
    /// Slots of [`TELLS`].
    tells: BTreeSet<u32>,
    /// Slots of [`ASKS_ALL`], with those of the other nodes of their bus.
    asks: BTreeMap<u32, Vec<u32>>,
    /// Slots of the disks of a mirror: a request to it may be one to any of them.
    mirror: BTreeSet<u32>,
    /// The plan takes the guest's memory away.
    scarce: bool,
}

impl Excuses {
    /// None yet, for the devices of `plan`.
    pub fn of(plan: &Plan) -> Self {
        let slots = |is: &dyn Fn(&Plug) -> bool| {
            plan.plugs.iter().filter(|plug| is(plug)).map(|plug| plug.slot).collect()
        };
        let has = |models: &[&str], plug: &Plug| models.contains(&plug.model.as_str());
        Self {
            accounts: slots(&|plug| card_of(plan, plug).is_some_and(|card| has(ACCOUNTS, card))),
            streamed: slots(&|plug| has(STREAMED, plug)),
            tells: slots(&|plug| has(TELLS, plug)),
            asks: asks(plan),
            mirror: slots(&|plug| plug.options.get("driver").is_some_and(|driver| driver == "mirror")),
            ..Self::default()
        }
    }

    /// Whether a fault in slot `fault` (0: of the machine) is one of the device that requests to `slot` go to.
    pub fn is_of(&self, fault: u32, slot: u32) -> bool {
        fault == 0 || fault == slot || self.mirror.contains(&fault) && self.mirror.contains(&slot)
    }

    /// The fault of `event` (a [`trace::Kind::Fault`]): what it explains of the requests in flight to the device that it [is of](Self::is_of).
    pub fn fault(&mut self, event: &Event) -> Option<Excuse> {
        let word = event.text_str();
        if let "fail-alloc" | "fail-alloc-end" = word {
            self.scarce = word == "fail-alloc";
        }
        let standing = self.standing.entry(event.slot).or_default();
        match word {
            "corrupt" | "short-dma" | "late-dma" | "late-dma-end" => {
                standing.given_up |= self.accounts.contains(&event.slot);
                standing.astray |= self.streamed.contains(&event.slot);
                Some(Excuse::Data)
            }
            "freeze" => {
                *standing = Standing { frozen: true, given_up: true, ..*standing };
                Some(Excuse::Data)
            }
            "freeze-end" => {
                standing.frozen = false;
                None
            }
            "nak" => {
                standing.naks = true;
                Some(Excuse::Error)
            }
            "nak-end" => {
                standing.naks = false;
                None
            }
            "late-completion" => {
                standing.late.get_or_insert(event.time);
                Some(Excuse::Error)
            }
            "late-completion-end" => {
                let began = standing.late.take();
                standing.given_up |= began.is_some_and(|began| event.time.saturating_sub(began) >= GIVES_UP);
                None
            }
            "plug" | "replug" | "link-up" => {
                *standing = Standing::default();
                None
            }
            word if PACKETS.contains(&word) => {
                standing.packets = standing.packets.saturating_add(1);
                standing.given_up |= standing.packets >= TRIES;
                (standing.given_up || self.tells.contains(&event.slot)).then_some(Excuse::Error)
            }
            "clock-jump" | "stall" => Some(Excuse::Error),
            _ => None,
        }
    }

    /// Whether `event` is a packet that failed and that the driver of the device in `slot` may have sent to another one.
    pub fn is_asked(&self, event: &Event, slot: u32) -> bool {
        let nodes = self.asks.get(&slot).filter(|_| PACKETS.contains(&event.text_str()));
        nodes.is_some_and(|nodes| nodes.contains(&event.slot))
    }

    /// Whether requests may fail for want of memory.
    pub fn is_scarce(&self) -> bool {
        self.scarce
    }

    /// A request of `thread` was in flight at the fault of `event`.
    pub fn in_flight(&mut self, event: &Event, thread: u32) {
        if event.text_str() == "late-dma-end" {
            self.poisoned.insert(thread, READ_BACK);
        }
    }

    /// What is explained of a request that `thread` issues to the device in `slot` now.
    pub fn issued(&mut self, slot: u32, thread: u32) -> Option<Excuse> {
        if let Some(left) = self.poisoned.get_mut(&thread) {
            *left -= 1;
            if *left == 0 {
                self.poisoned.remove(&thread);
            }
            return Some(Excuse::Data);
        }
        let explains = |slot| self.standing.get(slot).and_then(Standing::explains);
        match self.mirror.contains(&slot) {
            true => self.mirror.iter().filter_map(explains).max(),
            false => explains(&slot),
        }
    }
}

/// The card that `plug` is, or is behind.
fn card_of<'a>(plan: &'a Plan, plug: &Plug) -> Option<&'a Plug> {
    let (slot, _) = plan.path(plug)?;
    plan.cards().find(|card| card.slot == slot)
}

/// [`Excuses::asks`] of `plan`.
fn asks(plan: &Plan) -> BTreeMap<u32, Vec<u32>> {
    let bus = |plug| card_of(plan, plug).map(|card| card.slot);
    let askers = plan.behind().filter(|plug| ASKS_ALL.contains(&plug.model.as_str()));
    askers
        .map(|asker| {
            let others = plan.behind().filter(|node| node.slot != asker.slot && bus(node) == bus(asker));
            (asker.slot, others.map(|node| node.slot).collect())
        })
        .collect()
}
