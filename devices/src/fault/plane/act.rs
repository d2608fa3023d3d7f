//! What the actions do. All of them take effect at once, whoever is running.

use super::rules::Act;
use crate::fault::plan::{GuestFault, Scarcity};
use crate::pci::function::Raised;
use crate::platform::core::Core;
use crate::platform::host::{Ask, Host};
use crate::platform::lines::Driver;
use crate::platform::slot::Storm;
use crate::platform::timers::Due;
use trace::{Event, Kind};

impl Core {
    /// Starts the clock of the time rules: plan time 0 is machine time `zero`. Once: a guest that says a second time that it is
    /// ready does not start them again.
    pub fn start_plan(&mut self, zero: u64) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.end = zero.saturating_add(self.run_for);
        for (index, rule) in self.plane.timed().iter().enumerate() {
            self.timers.push(zero.saturating_add(rule.time), Due::Rule(index));
        }
    }

    /// A time rule is due; a repeating one that comes late does not catch up.
    pub(crate) fn run_rule(&mut self, index: usize, time: u64, now: u64, host: &mut dyn Host) {
        let rule = self.plane.timed()[index];
        if rule.repeats {
            self.timers.push(next_after(time, rule.time, now), Due::Rule(index));
        }
        self.act(rule.act, host);
    }

    /// The guest did something.
    pub fn guest_event(&mut self, event: &Event, host: &mut dyn Host) {
        if !self.plane.wants(event.kind) {
            return;
        }
        self.follow_timers(event, host);
        let Some(mut hit) = self.plane.guest_event(event) else { return };
        self.cpu = Some(event.cpu.into());
        while let Some(act) = self.plane.guest_due(&mut hit) {
            self.act(act, host);
        }
        self.cpu = None;
    }

    /// What a race needs to know: when the driver's timers are due.
    fn follow_timers(&mut self, event: &Event, host: &mut dyn Host) {
        let time = match event.kind {
            Kind::TimerArm => Some(event.arg),
            Kind::TimerCancel => None,
            _ => return,
        };
        if let Some(slot) = self.by_number(event.slot) {
            self.driver_timer(slot, event.object, time, host);
        }
    }

    /// Carries out one action. What cannot be done now (an empty slot unplugged, a full one filled) is left undone.
    pub fn act(&mut self, act: Act, host: &mut dyn Host) {
        if let Some(leaf) = act.index().and_then(|index| index.checked_sub(self.slots.len()))
            && !matches!(act, Act::Kill(_))
        {
            self.act_behind(leaf, act, host);
            return;
        }
        match act {
            Act::Unplug(slot) => self.unplug(slot, host),
            Act::Eject(slot) => self.eject(slot, host),
            Act::Replug(slot) if self.slots[slot].ejecting => self.slots[slot].replug_waiting = true,
            Act::Replug(slot) => self.insert(slot, "replug", host),
            Act::Plug(slot) => self.insert(slot, "plug", host),
            Act::Storm { slot, period, duration } => self.start_storm(slot, period, duration, host),
            Act::Fault { slot, fault } => self.fault(slot, fault, host),
            Act::Race { slot, timer_first } => self.slots[slot].faults.start_race(timer_first),
            Act::Kill(slot) => {
                let leaf = slot.checked_sub(self.slots.len());
                let slot = leaf.map_or_else(|| self.slots[slot].number, |leaf| self.leaves[leaf].number);
                self.ask("kill", slot, Ask::Kill { slot }, host);
            }
            Act::Guest(fault) => {
                let ask = self.guest_fault(fault, host.now());
                self.ask(fault.word(), 0, ask, host);
            }
        }
    }

    /// Asks the machine for something. Behind the plan's end the guest is left alone: it must be able to come to its own.
    fn ask(&self, word: &'static str, slot: u32, ask: Ask, host: &mut dyn Host) {
        if host.now() < self.end {
            host.fault(slot, word);
            host.ask(ask);
        }
    }

    fn guest_fault(&mut self, fault: GuestFault, now: u64) -> Ask {
        match fault {
            // Not beyond the plan's end: from there on the guest must be able to work.
            GuestFault::Stall { cpu, duration } => {
                Ask::Stall { cpu, duration: duration.min(self.end.saturating_sub(now)) }
            }
            GuestFault::ClockJump { by } => Ask::ClockJump { by: by.min(self.end.saturating_sub(now)) },
            GuestFault::Preempt { cpu } => Ask::Preempt { cpu: cpu.or(self.cpu) },
            GuestFault::FailAlloc(which) => {
                if let Scarcity::Chance { duration, .. } = which {
                    let until = duration.map_or(self.end, |time| now.saturating_add(time)).min(self.end);
                    self.scarce_until = self.scarce_until.max(until);
                    self.timers.push(until, Due::Plenty);
                }
                Ask::FailAlloc { which, seed: self.plane.dice.roll() }
            }
        }
    }

    /// The time of scarce memory is over, unless another has begun.
    pub(crate) fn end_scarcity(&self, host: &mut dyn Host) {
        if host.now() >= self.scarce_until {
            host.fault(0, "fail-alloc-end");
            host.ask(Ask::Plenty);
        }
    }

    fn unplug(&mut self, slot: usize, host: &mut dyn Host) {
        if !self.slots[slot].occupied {
            return;
        }
        self.tell(slot, "unplug", host);
        let state = &mut self.slots[slot];
        state.occupied = false;
        state.ejecting = false;
        state.replug_waiting = false;
        state.link_down = false;
        state.port.set_present(false, true);
        self.settle(slot, host);
    }

    fn eject(&mut self, slot: usize, host: &mut dyn Host) {
        if !self.slots[slot].occupied || self.slots[slot].ejecting {
            return;
        }
        self.tell(slot, "eject", host);
        let state = &mut self.slots[slot];
        state.ejecting = true;
        state.port.press_button();
        self.settle(slot, host);
    }

    /// Puts the card into its slot, if that is empty.
    pub(crate) fn insert(&mut self, slot: usize, word: &'static str, host: &mut dyn Host) {
        if self.slots[slot].occupied {
            return;
        }
        self.timers.cancel_replug(slot);
        self.tell(slot, word, host);
        let state = &mut self.slots[slot];
        state.occupied = true;
        state.port.set_present(true, true);
        self.settle(slot, host);
    }

    fn start_storm(&mut self, slot: usize, period: u64, duration: u64, host: &mut dyn Host) {
        host.fault(self.slots[slot].number, "storm");
        let now = host.now();
        let running = self.slots[slot].storm.is_some();
        self.slots[slot].storm = Some(Storm { period, end: now.saturating_add(duration) });
        if !running {
            self.timers.push(now, Due::Pulse(slot));
        }
    }

    /// One interrupt of a storm that was due at `time`. Pulses that the machine came too late for are lost, as on a line.
    pub(crate) fn pulse(&mut self, slot: usize, time: u64, now: u64, host: &mut dyn Host) {
        let Some(storm) = self.slots[slot].storm else { return };
        if time >= storm.end {
            self.slots[slot].storm = None;
            self.drive_line(slot, Driver::Storm, host);
            host.fault(self.slots[slot].number, "storm-end");
            return;
        }
        let next = next_after(time, storm.period, now).min(storm.end);
        self.timers.push(next, Due::Pulse(slot));
        if self.can_speak(slot, now) {
            self.spurious(slot, now.saturating_add((storm.period / 2).max(1)), host);
        }
    }

    /// Raises the card's interrupt with nothing to say: a message, or the line until `until`.
    pub(crate) fn spurious(&mut self, slot: usize, until: u64, host: &mut dyn Host) {
        let Core { slots, lines, timers, .. } = self;
        let state = &mut slots[slot];
        if state.function.messages_enabled() {
            let vector = state.function.last_vector();
            if let Raised::Message(address, data) = state.function.raise(vector) {
                self.send(slot, address, data, host);
            }
        } else if state.function.line_usable() {
            lines.set(state.number, Driver::Storm, true, host);
            timers.push(until, Due::PulseEnd(slot));
        }
    }
}

/// The first of `time + period`, `time + 2 · period` … that is later than `now`.
fn next_after(time: u64, period: u64, now: u64) -> u64 {
    let periods = now.saturating_sub(time) / period + 1;
    time.saturating_add(period.saturating_mul(periods))
}
