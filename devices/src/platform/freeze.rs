//! A device that does nothing for a while: what it is sent meanwhile, and what it would have done, waits.
//!
//! What a guest sees of it is what the bus makes of it. A read that the device does not answer ends by the root port's completion timeout,
//! as all ones (PCIe Base, 2.8). A write is posted (2.4): it waits in the buffers on the way. Configuration space is served by the
//! device's bus interface, which works: that is how a guest can tell such a device from one that is gone.

use super::core::Core;
use super::decode::Target;
use super::host::Host;
use super::lines::Driver;
use super::timers::Due;
use crate::fault::plane::{HeldWrite, Site};

impl Core {
    /// The device does nothing until `until`. What it is at in this very moment, it ends.
    pub(crate) fn freeze(&mut self, slot: usize, until: u64, host: &mut dyn Host) {
        self.tell(slot, "freeze", host);
        self.slots[slot].faults.freeze(until);
        if until != u64::MAX {
            self.timers.push(until, Due::Resume(slot));
        }
        self.drive_line(slot, Driver::Device, host);
    }

    /// A write for a frozen device waits for it.
    pub(super) fn hold_write(&mut self, target: Target, from: &[u8], notifies: bool) {
        let mut bytes = [0; 8];
        let length = from.len().min(bytes.len());
        bytes[..length].copy_from_slice(&from[..length]);
        let Target { bar, msix, offset, .. } = target;
        let write = HeldWrite { bar, msix, offset, bytes, length: length as u8 };
        self.slots[target.slot].faults.hold_write(write, notifies);
    }

    /// A tick that the device asked for is due.
    pub(super) fn tick(&mut self, slot: usize, token: u64, host: &mut dyn Host) {
        let epoch = self.slots[slot].epoch;
        self.site(slot, Site::TimerFire, host);
        if !self.alive(slot, epoch) {
            return;
        }
        let now = host.now();
        if let Some(until) = self.slots[slot].faults.slow_down(now) {
            self.tell(slot, "late-completion", host);
            self.timers.push(until, Due::Resume(slot));
        }
        if !self.slots[slot].faults.hold_tick(token, now) {
            self.with_model(slot, host, |model, env| model.tick(token, env));
        }
    }

    /// The time of a freeze or of a delay is over: the device does what has waited for it.
    pub(super) fn resume(&mut self, slot: usize, host: &mut dyn Host) {
        let now = host.now();
        let epoch = self.slots[slot].epoch;
        if self.end_waits(slot, now, host) {
            self.drive_line(slot, Driver::Device, host);
        }
        while let Some(write) = self.slots[slot].faults.next_write() {
            let HeldWrite { bar, msix, offset, bytes, length } = write;
            let target = Target { slot, bar, msix, offset };
            self.apply_write(target, &bytes[..usize::from(length)], host);
        }
        while self.alive(slot, epoch)
            && let Some(token) = self.slots[slot].faults.next_tick(now)
        {
            self.with_model(slot, host, |model, env| model.tick(token, env));
        }
        self.deliver_news(slot, host);
    }

    /// Ends a freeze and a delay whose time is over at machine time `now`, ns, and tells it; true: a freeze was.
    pub(super) fn end_waits(&mut self, slot: usize, now: u64, host: &mut dyn Host) -> bool {
        let faults = &mut self.slots[slot].faults;
        let (thawed, caught_up) = (faults.thaw(now), faults.catch_up(now));
        for (over, word) in [(thawed, "freeze-end"), (caught_up, "late-completion-end")] {
            if over {
                self.tell(slot, word, host);
            }
        }
        thawed
    }
}
