//! What is plugged in behind controllers: USB devices on their hubs, FireWire nodes on each other.
//!
//! A model owns its devices; whether they are plugged in, and what the plan does to them, is kept here. The model hears of changes
//! ([`crate::device::Device::news`]) as soon as it is not running, and asks at each of a device's sites what happens there
//! ([`crate::env::Env::pass`]), so that a device can go at that very packet.

use super::core::Core;
use super::host::Host;
use super::timers::Due;
use crate::device::News;
use crate::env::Mishap;
use crate::fault::plan::{DeviceFault, Plan};
use crate::fault::plane::{Act, Site};

/// Something plugged in behind a controller.
pub struct Leaf {
    /// Its number in trace and plan.
    pub number: u32,
    /// Index of the controller's slot.
    pub card: usize,
    /// Its number among those of its controller.
    pub unit: usize,
    /// Index of the hub that it is plugged into; `None` = the controller.
    pub hub: Option<usize>,
    /// The port there, from 1.
    pub port: u8,
    /// It is in its port.
    pub present: bool,
    mishaps: Mishaps,
    /// A timer looks for the end of its NAKs: one at a time, however often they are asked for.
    nak_timed: bool,
}

/// What happens to the next packets.
#[derive(Default)]
struct Mishaps {
    stall: u64,
    error: u64,
    babble: u64,
    nak_until: u64,
}

impl Leaf {
    /// The devices of `plan` that are behind controllers, in order. Their hubs and controllers must exist.
    pub fn all(plan: &Plan) -> Vec<Leaf> {
        let cards: Vec<&str> = plan.cards().map(|plug| plug.name.as_str()).collect();
        let names: Vec<&str> = plan.behind().map(|plug| plug.name.as_str()).collect();
        let mut units = vec![0; cards.len()];
        let mut leaves = Vec::with_capacity(names.len());
        for plug in plan.behind() {
            let hub = plug.on().and_then(|on| names.iter().position(|name| *name == on));
            let slot = plan.path(plug).map_or(0, |(slot, _)| slot);
            let Some(card) = plan.cards().position(|card| card.slot == slot) else { continue };
            let unit = units[card];
            units[card] += 1;
            let (number, port, present) = (plug.slot, plug.port(), !plug.absent());
            let mishaps = Mishaps::default();
            leaves.push(Leaf { number, card, unit, hub, port, present, mishaps, nak_timed: false });
        }
        leaves
    }

    /// The mishap of a packet, and the word for the trace.
    fn mishap(&mut self, site: Site, now: u64) -> (Mishap, &'static str) {
        let faults = &mut self.mishaps;
        let mut take = |count: fn(&mut Mishaps) -> &mut u64| {
            let count = count(faults);
            *count > 0 && {
                *count -= 1;
                true
            }
        };
        match site {
            Site::FireReceive | Site::FireSend if take(|f| &mut f.error) => (Mishap::Error, "lost-ack"),
            Site::UsbSetup | Site::UsbIn | Site::UsbOut if take(|f| &mut f.error) => {
                (Mishap::Error, "usb-error")
            }
            Site::UsbIn | Site::UsbOut if take(|f| &mut f.stall) => (Mishap::Stall, "usb-stall"),
            Site::UsbIn if take(|f| &mut f.babble) => (Mishap::Babble, "babble"),
            Site::UsbIn | Site::UsbOut if now < faults.nak_until => (Mishap::Nak(faults.nak_until), ""),
            _ => (Mishap::None, ""),
        }
    }
}

impl Core {
    /// Tells the trace what the plan does to the card in `slot`, and so to all that is plugged in behind it.
    pub fn tell(&self, slot: usize, word: &'static str, host: &mut dyn Host) {
        host.fault(self.slots[slot].number, word);
        for leaf in &self.leaves {
            if leaf.card == slot && self.reaches(leaf) {
                host.fault(leaf.number, word);
            }
        }
    }

    /// True if the device and every hub on the way to it are plugged in.
    fn reaches(&self, leaf: &Leaf) -> bool {
        let mut at = Some(leaf);
        while let Some(leaf) = at {
            if !leaf.present {
                return false;
            }
            at = leaf.hub.map(|hub| &self.leaves[hub]);
        }
        true
    }

    /// True if `leaf` is `hub` or behind it.
    fn is_behind(&self, leaf: usize, hub: usize) -> bool {
        let mut at = Some(leaf);
        while let Some(index) = at {
            if index == hub {
                return true;
            }
            at = self.leaves[index].hub;
        }
        false
    }

    /// Comes to `site` of a unit of the card in `slot`.
    pub fn pass(&mut self, slot: usize, unit: usize, site: Site, host: &mut dyn Host) -> Mishap {
        let is_it = |leaf: &Leaf| leaf.card == slot && leaf.unit == unit;
        let Some(index) = self.leaves.iter().position(is_it) else { return Mishap::None };
        self.site(self.slots.len() + index, site, host);
        if !self.reaches(&self.leaves[index]) {
            return Mishap::Gone;
        }
        let leaf = &mut self.leaves[index];
        let (mishap, word) = leaf.mishap(site, host.now());
        if !word.is_empty() {
            host.fault(leaf.number, word);
        }
        mishap
    }

    /// Carries out an action on something behind a controller. What cannot be done now is left undone.
    pub fn act_behind(&mut self, leaf: usize, act: Act, host: &mut dyn Host) {
        match act {
            Act::Unplug(_) | Act::Eject(_) => self.detach(leaf, host),
            Act::Replug(_) => self.attach(leaf, "replug", host),
            Act::Plug(_) => self.attach(leaf, "plug", host),
            Act::Fault { fault, .. } => self.fault_behind(leaf, fault, host),
            _ => {}
        }
    }

    fn fault_behind(&mut self, leaf: usize, fault: DeviceFault, host: &mut dyn Host) {
        let now = host.now();
        let hub = Some(leaf);
        let Leaf { card, number, present, mishaps, nak_timed, .. } = &mut self.leaves[leaf];
        let (card, number) = (*card, *number);
        if !*present {
            return;
        }
        match fault {
            DeviceFault::UsbStall { count } => mishaps.stall = mishaps.stall.saturating_add(count),
            DeviceFault::UsbError { count } | DeviceFault::LostAck { count } => {
                mishaps.error = mishaps.error.saturating_add(count)
            }
            DeviceFault::Babble { count } => mishaps.babble = mishaps.babble.saturating_add(count),
            DeviceFault::Nak { duration } => {
                mishaps.nak_until = mishaps.nak_until.max(now.saturating_add(duration));
                if !std::mem::replace(nak_timed, true) {
                    self.timers.push(mishaps.nak_until, Due::NakEnd(leaf));
                }
                host.fault(number, "nak");
            }
            DeviceFault::DisconnectPort { port, duration } => {
                host.fault(number, fault.word());
                self.disconnect_port(card, hub, port, duration, host);
            }
            DeviceFault::Overcurrent { port, duration } => {
                host.fault(number, fault.word());
                self.current(card, hub, port, duration, host);
            }
            DeviceFault::BusReset | DeviceFault::NewRoot => {
                host.fault(number, fault.word());
                let unit = self.leaves[leaf].unit;
                self.reset_bus(card, Some(unit), fault == DeviceFault::NewRoot, host);
            }
            DeviceFault::CablePull { duration } => {
                host.fault(number, fault.word());
                self.detach(leaf, host);
                if let Some(time) = duration {
                    self.timers.push(now.saturating_add(time), Due::Reattach(leaf));
                }
            }
            _ => {}
        }
    }

    /// The device may be ready again.
    pub fn end_nak(&mut self, leaf: usize, host: &mut dyn Host) {
        let Leaf { number, mishaps, nak_timed, .. } = &mut self.leaves[leaf];
        *nak_timed = mishaps.nak_until > host.now();
        if *nak_timed {
            self.timers.push(mishaps.nak_until, Due::NakEnd(leaf));
        } else if std::mem::take(&mut mishaps.nak_until) != 0 {
            host.fault(*number, "nak-end");
        }
    }

    /// What is on the port leaves it, and comes back after `duration`.
    pub fn disconnect_port(
        &mut self,
        card: usize,
        hub: Option<usize>,
        port: u8,
        duration: Option<u64>,
        host: &mut dyn Host,
    ) {
        let on_it = |leaf: &Leaf| leaf.card == card && leaf.hub == hub && leaf.port == port;
        let Some(index) = self.leaves.iter().position(on_it) else { return };
        if self.leaves[index].present {
            self.detach(index, host);
            if let Some(time) = duration {
                self.timers.push(host.now().saturating_add(time), Due::Reattach(index));
            }
        }
    }

    /// The port takes too much current, for `duration`.
    pub fn current(
        &mut self,
        card: usize,
        hub: Option<usize>,
        port: u8,
        duration: Option<u64>,
        host: &mut dyn Host,
    ) {
        self.report_current(card, hub, port, true, host);
        if let Some(time) = duration {
            self.timers.push(host.now().saturating_add(time), Due::CurrentEnd { card, hub, port });
        }
    }

    /// The controller hears of the current of a port.
    pub fn report_current(
        &mut self,
        card: usize,
        hub: Option<usize>,
        port: u8,
        over: bool,
        host: &mut dyn Host,
    ) {
        let hub = hub.map(|hub| self.leaves[hub].unit);
        self.slots[card].news.push_back(News::Current { hub, port, over });
        self.deliver_news(card, host);
    }

    /// The controller hears that one of its units, or itself, resets the bus.
    pub fn reset_bus(&mut self, card: usize, unit: Option<usize>, root: bool, host: &mut dyn Host) {
        self.slots[card].news.push_back(News::BusReset { unit, root });
        self.deliver_news(card, host);
    }

    fn detach(&mut self, leaf: usize, host: &mut dyn Host) {
        if !self.leaves[leaf].present {
            return;
        }
        self.tell_behind(leaf, "unplug", host);
        self.leaves[leaf].present = false;
        self.leaves[leaf].mishaps = Mishaps::default();
        let Leaf { card, unit, .. } = self.leaves[leaf];
        self.slots[card].news.push_back(News::Detach(unit));
        self.deliver_news(card, host);
    }

    /// The device comes to its port, if it is not there.
    pub fn attach(&mut self, leaf: usize, word: &'static str, host: &mut dyn Host) {
        if self.leaves[leaf].present {
            return;
        }
        self.leaves[leaf].present = true;
        self.tell_behind(leaf, word, host);
        let Leaf { card, unit, .. } = self.leaves[leaf];
        self.slots[card].news.push_back(News::Attach(unit));
        self.deliver_news(card, host);
    }

    /// Tells the trace of what happens to a device, and so to all that is plugged in behind it; nothing of what the guest cannot reach anyway.
    fn tell_behind(&self, hub: usize, word: &'static str, host: &mut dyn Host) {
        if !self.slots[self.leaves[hub].card].occupied {
            return;
        }
        for (index, leaf) in self.leaves.iter().enumerate() {
            if self.is_behind(index, hub) && self.reaches(leaf) {
                host.fault(leaf.number, word);
            }
        }
    }

    /// The model hears what has happened, unless it runs or does nothing now: then it hears of it later.
    pub fn deliver_news(&mut self, slot: usize, host: &mut dyn Host) {
        while self.slots[slot].model.is_some() && !self.slots[slot].faults.is_frozen() {
            let Some(news) = self.slots[slot].news.pop_front() else { return };
            self.run_model(slot, host, |model, env| model.news(news, env));
        }
    }
}
