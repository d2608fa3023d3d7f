//! The faults of one card: what is armed, what holds now, what is held back. Pure state; the platform acts on what it says.

use crate::fault::plan::{DeviceFault, What};
use std::collections::{BTreeMap, VecDeque};

/// Register writes that a frozen device takes in: what the buffers on the way hold. Later ones are lost.
const HELD_WRITES: usize = 256;
/// DMA writes that are on their way at the same time.
const LANDINGS: usize = 1024;

/// What becomes of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is raised.
    Pass,
    /// It is lost.
    Lost,
    /// The device is mute: it is lost, but a line is asserted again when the device speaks again.
    Muted,
    /// It comes at this machine time.
    Late(u64),
    /// It is raised, and once more at this machine time.
    Twice(u64),
    /// It waits for this machine time, at which a timer of the driver is due.
    Race(u64),
    /// It is one with the interrupt that waits.
    Merged,
}

/// What becomes of a DMA write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It reaches memory.
    Pass,
    /// Its first half does.
    Short,
    /// It does with altered bytes.
    Corrupt,
    /// It does at this machine time.
    Late(u64),
}

/// A register write that waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldWrite {
    /// BAR number.
    pub bar: u8,
    /// The BAR of the MSI-X table.
    pub msix: bool,
    /// Offset in the BAR.
    pub offset: u64,
    /// The bytes, the first `length` of them.
    pub bytes: [u8; 8],
    /// How many.
    pub length: u8,
}

/// An interrupt that waits for a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raced {
    /// The interrupt's number.
    pub index: u16,
    /// The timer goes first.
    pub timer_first: bool,
    /// When the timer is due.
    pub at: u64,
}

/// Something that happens to the next `count` accesses.
#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    count: u64,
    time: u64,
}

impl Armed {
    /// Takes one, with the time that belongs to it.
    fn take(&mut self) -> Option<u64> {
        self.count = self.count.checked_sub(1)?;
        Some(self.time)
    }

    fn add(&mut self, count: u64, time: u64) {
        *self = Self { count: self.count.saturating_add(count), time };
    }
}

/// The faults of one card. They go with it.
#[derive(Debug, Default)]
pub struct Faults {
    drop: Armed,
    delay: Armed,
    duplicate: Armed,
    again: Armed,
    slow: Armed,
    corrupt: Armed,
    short: Armed,
    late: Armed,
    mute_until: u64,
    line_until: u64,
    line_lost: bool,
    stuck_until: u64,
    frozen_until: u64,
    busy_until: u64,
    ticks: VecDeque<u64>,
    writes: VecDeque<HeldWrite>,
    landings: BTreeMap<u64, (u64, Vec<u8>)>,
    landed: u64,
    race: Option<bool>,
    raced: Option<Raced>,
    timers: BTreeMap<u32, u64>,
}

impl Faults {
    /// Arms what happens to later accesses; true if `fault` is of that kind.
    pub fn arm(&mut self, fault: DeviceFault) -> bool {
        match fault {
            DeviceFault::Drop { count } => self.drop.add(count, 0),
            DeviceFault::Delay { what: What::Interrupt, by, count } => self.delay.add(count, by),
            DeviceFault::Delay { what: What::Completion, by, count } => self.slow.add(count, by),
            DeviceFault::Duplicate { what: What::Interrupt, after, count } => {
                self.duplicate.add(count, after)
            }
            DeviceFault::Duplicate { what: What::Completion, after, count } => self.again.add(count, after),
            DeviceFault::Corrupt { count } => self.corrupt.add(count, 0),
            DeviceFault::ShortDma { count } => self.short.add(count, 0),
            DeviceFault::LateDma { by, count } => self.late.add(count, by),
            DeviceFault::Spurious
            | DeviceFault::Stick { .. }
            | DeviceFault::Mute { .. }
            | DeviceFault::Freeze { .. }
            | DeviceFault::LinkDown { .. }
            | DeviceFault::UsbStall { .. }
            | DeviceFault::UsbError { .. }
            | DeviceFault::Babble { .. }
            | DeviceFault::Nak { .. }
            | DeviceFault::DisconnectPort { .. }
            | DeviceFault::Overcurrent { .. }
            | DeviceFault::BusReset
            | DeviceFault::CablePull { .. }
            | DeviceFault::LostAck { .. }
            | DeviceFault::NewRoot => return false,
        }
        true
    }

    /// What becomes of interrupt `index`, raised now.
    pub fn interrupt(&mut self, index: u16, now: u64) -> Fate {
        if now < self.mute_until {
            return Fate::Muted;
        }
        if self.raced.is_some() {
            return Fate::Merged;
        }
        if self.drop.take().is_some() {
            return Fate::Lost;
        }
        if let Some(by) = self.delay.take() {
            return Fate::Late(now.saturating_add(by));
        }
        if let Some(at) = self.next_timer(now)
            && let Some(timer_first) = self.race.take()
        {
            self.raced = Some(Raced { index, timer_first, at });
            return Fate::Race(at);
        }
        self.duplicate.take().map_or(Fate::Pass, |after| Fate::Twice(now.saturating_add(after)))
    }

    /// A completion is delivered: after how long, ns, it is said again, if it is delivered twice.
    pub fn twice(&mut self) -> Option<u64> {
        self.again.take()
    }

    /// What becomes of a DMA write.
    pub fn dma_write(&mut self, now: u64) -> Write {
        if self.landings.len() < LANDINGS
            && let Some(by) = self.late.take()
        {
            return Write::Late(now.saturating_add(by));
        }
        if self.short.take().is_some() {
            return Write::Short;
        }
        if self.corrupt.take().is_some() { Write::Corrupt } else { Write::Pass }
    }

    /// Keeps a DMA write that is late: its number.
    pub fn send(&mut self, address: u64, bytes: &[u8]) -> u64 {
        self.landed += 1;
        self.landings.insert(self.landed, (address, bytes.to_vec()));
        self.landed
    }

    /// A late DMA write arrives: its address and bytes.
    pub fn land(&mut self, number: u64) -> Option<(u64, Vec<u8>)> {
        self.landings.remove(&number)
    }

    /// No interrupt until `time`.
    pub fn mute(&mut self, time: u64) {
        self.mute_until = self.mute_until.max(time);
    }

    /// Whether the device is mute.
    pub fn is_mute(&self, now: u64) -> bool {
        now < self.mute_until
    }

    /// The line is stuck until `time`.
    pub fn stick(&mut self, time: u64) {
        self.stuck_until = self.stuck_until.max(time);
    }

    /// Whether the line is stuck.
    pub fn is_stuck(&self, now: u64) -> bool {
        now < self.stuck_until
    }

    /// The assertion of the line, if it is one, does not reach the bus before `time`; `None` = at all, before the next one.
    pub fn hold_line(&mut self, time: Option<u64>) {
        match time {
            Some(time) => self.line_until = self.line_until.max(time),
            None => self.line_lost = true,
        }
    }

    /// A new assertion of the line goes out.
    pub fn line_asserted(&mut self) {
        self.line_lost = false;
    }

    /// The device drops its line: what was held back of its assertion is void.
    pub fn line_dropped(&mut self) {
        self.line_lost = false;
        self.line_until = 0;
    }

    /// Whether the device's level does not reach its line.
    pub fn line_is_held(&self, now: u64) -> bool {
        self.line_lost || now < self.line_until || self.is_mute(now) || self.is_frozen()
    }

    /// The device does nothing until `time`.
    pub fn freeze(&mut self, time: u64) {
        self.frozen_until = self.frozen_until.max(time.max(1));
    }

    /// Whether the device does nothing.
    pub fn is_frozen(&self) -> bool {
        self.frozen_until != 0
    }

    /// Ends the freeze if its time is over.
    pub fn thaw(&mut self, now: u64) -> bool {
        let over = self.is_frozen() && now >= self.frozen_until;
        if over {
            self.frozen_until = 0;
        }
        over
    }

    /// A tick is due: the time for which it makes the device late, if it is the one that does.
    pub fn slow_down(&mut self, now: u64) -> Option<u64> {
        if self.is_frozen() {
            return None;
        }
        let until = now.saturating_add(self.slow.take()?);
        self.busy_until = self.busy_until.max(until);
        Some(until)
    }

    /// The time for which the device was late is over, if it was.
    pub fn catch_up(&mut self, now: u64) -> bool {
        let over = self.busy_until != 0 && now >= self.busy_until;
        if over {
            self.busy_until = 0;
        }
        over
    }

    /// Keeps a tick that comes while the device is frozen or late; true if it was kept.
    pub fn hold_tick(&mut self, token: u64, now: u64) -> bool {
        // What is held already goes first: a model may count on the order of its times.
        let hold = self.is_frozen() || now < self.busy_until || !self.ticks.is_empty();
        if hold {
            self.ticks.push_back(token);
        }
        hold
    }

    /// The next tick that was held, once the device works again.
    pub fn next_tick(&mut self, now: u64) -> Option<u64> {
        if self.is_frozen() || now < self.busy_until {
            return None;
        }
        self.ticks.pop_front()
    }

    /// Keeps a register write for a frozen device. `notifies`: it says the same however often it is said.
    pub fn hold_write(&mut self, write: HeldWrite, notifies: bool) {
        let known = notifies && self.writes.contains(&write);
        if !known && self.writes.len() < HELD_WRITES {
            self.writes.push_back(write);
        }
    }

    /// The next write that was held, once the device works again.
    pub fn next_write(&mut self) -> Option<HeldWrite> {
        if self.is_frozen() { None } else { self.writes.pop_front() }
    }

    /// The next interrupt waits for the driver's next timer.
    pub fn start_race(&mut self, timer_first: bool) {
        self.race = Some(timer_first);
    }

    /// The driver's timer `object` is due at `time`, or not any more. An interrupt that waits for a timer now waits for this time; the inner
    /// `None`: for none.
    pub fn timer(&mut self, object: u32, time: Option<u64>, now: u64) -> Option<Option<u64>> {
        match time {
            Some(time) if self.timers.len() < 64 || self.timers.contains_key(&object) => {
                self.timers.insert(object, time);
            }
            Some(_) => {}
            None => {
                self.timers.remove(&object);
            }
        }
        let raced = self.raced?;
        let next = self.next_timer(now);
        if next == Some(raced.at) {
            return None;
        }
        if let (Some(at), Some(raced)) = (next, &mut self.raced) {
            raced.at = at;
        }
        Some(next)
    }

    fn next_timer(&self, now: u64) -> Option<u64> {
        self.timers.values().copied().filter(|&at| at > now).min()
    }

    /// The interrupt that waits.
    pub fn raced(&self) -> Option<Raced> {
        self.raced
    }

    /// What was held back of the line's assertion goes out.
    pub fn release_line(&mut self) {
        self.line_until = 0;
    }

    /// The interrupt that waits, if its timer is due at `at` or there is none.
    pub fn end_race(&mut self, at: Option<u64>) -> Option<Raced> {
        self.raced.take_if(|raced| at.is_none_or(|at| at == raced.at))
    }

    /// A reset of the card: what it was at is void, and it works again. What is armed stays.
    pub fn reset(&mut self) {
        self.frozen_until = 0;
        self.busy_until = 0;
        self.raced = None;
        self.ticks.clear();
        self.writes.clear();
        self.landings.clear();
        self.line_dropped();
    }
}

#[cfg(test)]
mod tests;
