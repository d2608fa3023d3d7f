//! The way of a card's interrupt to the bus, with the faults that may happen to it there.

use super::core::Core;
use super::host::{Ask, Host};
use super::lines::Driver;
use super::timers::Due;
use crate::fault::plane::Fate;
use crate::pci::function::Raised;

impl Core {
    /// The model raises interrupt `index`.
    pub fn raise(&mut self, slot: usize, index: u16, host: &mut dyn Host) {
        let now = host.now();
        let state = &mut self.slots[slot];
        let number = state.number;
        match state.faults.interrupt(index, now) {
            Fate::Pass => self.deliver(slot, index, host),
            Fate::Lost => {
                host.fault(number, "drop");
                self.withhold(slot, index, None, host);
            }
            Fate::Muted | Fate::Merged => self.withhold(slot, index, Some(now), host),
            Fate::Late(at) => {
                host.fault(number, "delay");
                self.postpone(slot, index, at, host);
            }
            Fate::Twice(at) => {
                host.fault(number, "duplicate");
                self.deliver(slot, index, host);
                self.timers.push(at, Due::Echo { slot, epoch: self.slots[slot].epoch });
            }
            Fate::Race(at) => {
                host.fault(number, "race");
                self.withhold(slot, index, Some(at), host);
                self.schedule_race(slot, at, host);
            }
        }
    }

    /// The interrupt goes out.
    fn deliver(&mut self, slot: usize, index: u16, host: &mut dyn Host) {
        match self.slots[slot].function.raise(index) {
            Raised::Message(address, data) => self.send(slot, address, data, host),
            Raised::Line => {
                self.slots[slot].faults.line_asserted();
                self.drive_line(slot, Driver::Device, host);
            }
            Raised::Nothing => {}
        }
    }

    /// The interrupt does not go out: a message is gone, the assertion of a line is held back until `until`, or altogether.
    fn withhold(&mut self, slot: usize, index: u16, until: Option<u64>, host: &mut dyn Host) {
        let state = &mut self.slots[slot];
        if state.function.messages_enabled() {
            return;
        }
        state.faults.hold_line(until);
        // Not a message: `raise` asserts the line.
        let _ = state.function.raise(index);
        self.drive_line(slot, Driver::Device, host);
    }

    fn postpone(&mut self, slot: usize, index: u16, at: u64, host: &mut dyn Host) {
        self.withhold(slot, index, Some(at), host);
        self.timers.push(at, Due::Late { slot, epoch: self.slots[slot].epoch, index });
    }

    /// An interrupt that was late: a message is sent now, a line is heard now.
    pub fn arrive(&mut self, slot: usize, epoch: u32, index: u16, host: &mut dyn Host) {
        if !self.alive(slot, epoch) {
            return;
        }
        if self.slots[slot].function.messages_enabled() {
            self.deliver(slot, index, host);
        } else {
            self.drive_line(slot, Driver::Device, host);
        }
    }

    /// The second of two interrupts where there was one to raise.
    pub fn echo(&mut self, slot: usize, epoch: u32, host: &mut dyn Host) {
        let now = host.now();
        if self.alive(slot, epoch) && self.can_speak(slot, now) {
            self.spurious(slot, now.saturating_add(1_000), host);
        }
    }

    /// Sets the time at which the interrupt that waits for a timer due at `at` goes out.
    fn schedule_race(&mut self, slot: usize, at: u64, host: &mut dyn Host) {
        let margin = host.race_margin();
        let first = self.slots[slot].faults.raced().is_some_and(|raced| raced.timer_first);
        let when = if first { at.saturating_add(margin) } else { at.saturating_sub(margin) };
        self.timers.push(when, Due::Race { slot, epoch: self.slots[slot].epoch, at });
    }

    /// The timer for which an interrupt waited is due: both go out, in the order that the plan wants.
    pub fn end_race(&mut self, slot: usize, epoch: u32, at: Option<u64>, host: &mut dyn Host) {
        if !self.alive(slot, epoch) {
            return;
        }
        let Some(raced) = self.slots[slot].faults.end_race(at) else { return };
        if at.is_some() {
            host.ask(Ask::Race { timer_first: raced.timer_first });
        }
        self.slots[slot].faults.release_line();
        self.arrive(slot, epoch, raced.index, host);
    }

    /// The driver has armed a timer for machine time `time`, or cancelled it.
    pub fn driver_timer(&mut self, slot: usize, object: u32, time: Option<u64>, host: &mut dyn Host) {
        let now = host.now();
        match self.slots[slot].faults.timer(object, time, now) {
            None => {}
            Some(Some(at)) => {
                self.slots[slot].faults.hold_line(Some(at));
                self.schedule_race(slot, at, host);
            }
            Some(None) => self.end_race(slot, self.slots[slot].epoch, None, host),
        }
    }
}
