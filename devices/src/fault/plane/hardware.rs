//! What the faults of a device do at once; what they do to later accesses is told by [`super::Faults`].

use crate::fault::plan::DeviceFault;
use crate::platform::core::Core;
use crate::platform::host::Host;
use crate::platform::lines::Driver;
use crate::platform::timers::Due;

/// How long the line of a spurious interrupt is asserted, machine ns.
const PULSE: u64 = 1_000;

impl Core {
    /// A fault begins, or is armed. A card that is not there has none.
    pub(crate) fn fault(&mut self, slot: usize, fault: DeviceFault, host: &mut dyn Host) {
        if let DeviceFault::LinkDown { duration } = fault {
            self.link_down(slot, duration, host);
            return;
        }
        match fault {
            DeviceFault::DisconnectPort { port, duration } if self.slots[slot].live => {
                host.fault(self.slots[slot].number, fault.word());
                return self.disconnect_port(slot, None, port, duration, host);
            }
            DeviceFault::Overcurrent { port, duration } if self.slots[slot].live => {
                host.fault(self.slots[slot].number, fault.word());
                return self.current(slot, None, port, duration, host);
            }
            DeviceFault::BusReset | DeviceFault::NewRoot if self.slots[slot].live => {
                host.fault(self.slots[slot].number, fault.word());
                return self.reset_bus(slot, None, fault == DeviceFault::NewRoot, host);
            }
            _ => {}
        }
        if !self.slots[slot].live || self.slots[slot].faults.arm(fault) {
            return;
        }
        let now = host.now();
        match fault {
            DeviceFault::Stick { duration } => self.stick(slot, now.saturating_add(duration), host),
            DeviceFault::Mute { duration } => self.mute(slot, now.saturating_add(duration), host),
            DeviceFault::Freeze { duration } => {
                let until = duration.map_or(u64::MAX, |time| now.saturating_add(time));
                self.freeze(slot, until, host);
            }
            DeviceFault::Spurious if self.can_speak(slot, now) => {
                host.fault(self.slots[slot].number, "spurious");
                self.spurious(slot, now.saturating_add(PULSE), host);
            }
            _ => {}
        }
    }

    /// Whether an interrupt of the card would reach the bus.
    pub(crate) fn can_speak(&self, slot: usize, now: u64) -> bool {
        let state = &self.slots[slot];
        state.live && !state.faults.is_mute(now) && !state.faults.is_frozen()
    }

    /// The line is asserted until `until`. Without a line to assert (messages are enabled), nothing is done; nor if it is stuck already: a rule that waits for
    /// what the driver's filter does would otherwise keep it so for ever, and no driver could go on.
    fn stick(&mut self, slot: usize, until: u64, host: &mut dyn Host) {
        let state = &mut self.slots[slot];
        if !state.function.line_usable() || state.faults.is_stuck(host.now()) {
            return;
        }
        host.fault(state.number, "stick");
        state.faults.stick(until);
        self.timers.push(until, Due::StickEnd(slot));
        self.drive_line(slot, Driver::Stuck, host);
    }

    /// The time of a stuck line is over, unless another has begun.
    pub(crate) fn end_stick(&mut self, slot: usize, host: &mut dyn Host) {
        if self.slots[slot].live && !self.slots[slot].faults.is_stuck(host.now()) {
            host.fault(self.slots[slot].number, "stick-end");
        }
        self.drive_line(slot, Driver::Stuck, host);
    }

    fn mute(&mut self, slot: usize, until: u64, host: &mut dyn Host) {
        let state = &mut self.slots[slot];
        host.fault(state.number, "mute");
        state.faults.mute(until);
        self.timers.push(until, Due::MuteEnd(slot));
        self.drive_line(slot, Driver::Device, host);
    }

    /// The device may speak again: a line that it asserts still is heard now.
    pub(crate) fn end_mute(&mut self, slot: usize, host: &mut dyn Host) {
        if self.slots[slot].live && !self.slots[slot].faults.is_mute(host.now()) {
            host.fault(self.slots[slot].number, "mute-end");
        }
        self.drive_line(slot, Driver::Device, host);
    }

    fn link_down(&mut self, slot: usize, duration: Option<u64>, host: &mut dyn Host) {
        if !self.slots[slot].occupied || self.slots[slot].link_down {
            return;
        }
        self.tell(slot, "link-down", host);
        let state = &mut self.slots[slot];
        state.link_down = true;
        self.settle(slot, host);
        if let Some(time) = duration {
            let epoch = self.slots[slot].epoch;
            self.timers.push(host.now().saturating_add(time), Due::LinkUp { slot, epoch });
        }
    }

    /// The link comes up again, if it is still the same that went down.
    pub(crate) fn link_up(&mut self, slot: usize, epoch: u32, host: &mut dyn Host) {
        let state = &mut self.slots[slot];
        if state.link_down && state.epoch == epoch {
            state.link_down = false;
            self.tell(slot, "link-up", host);
            self.settle(slot, host);
        }
    }
}
