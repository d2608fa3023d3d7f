//! The state behind the platform, and what changes in it when cards come and go.

use super::behind::Leaf;
use super::bus::Bus;
use super::decode::{Decoder, Range};
use super::host::Host;
use super::lines::{Driver, Lines};
use super::slot::Slot;
use super::timers::{Due, Timers};
use crate::device::Device;
use crate::fault::plane::{Plane, Site};
use crate::pci::ConfigSpace;
use crate::spec::pci as spec;

/// Machine ns from the end of an ejection to a replug that waited for it.
const REPLUG_SETTLE: u64 = 1_000_000;

/// Everything but the interface.
pub struct Core {
    /// The slots of the plan, in order of its statements.
    pub slots: Vec<Slot>,
    /// What is plugged in behind controllers. In the fault plane their numbers follow those of the slots.
    pub leaves: Vec<Leaf>,
    /// The host bridge.
    pub bridge: ConfigSpace,
    /// What is due when.
    pub timers: Timers,
    /// INTx.
    pub lines: Lines,
    /// The plan's rules.
    pub plane: Plane,
    /// Which BAR an address belongs to.
    pub decoder: Decoder,
    /// The time rules run.
    pub started: bool,
    /// How long the plan runs, ns.
    pub run_for: u64,
    /// Machine time of the plan's end.
    pub end: u64,
    /// The CPU whose event the plan answers.
    pub cpu: Option<u32>,
    /// Machine time at which there is memory again.
    pub scarce_until: u64,
    /// Changes whenever doorbells may have moved.
    pub generation: u64,
}

impl Core {
    /// The slot with physical number `number`.
    pub fn by_number(&self, number: u32) -> Option<usize> {
        self.slots.iter().position(|slot| slot.number == number)
    }

    /// The slot whose card is on bus `bus`.
    pub fn by_bus(&self, bus: u8) -> Option<usize> {
        self.slots.iter().position(|slot| slot.port.secondary_bus() == bus)
    }

    /// True if the card of slot `slot` answers and is the same as at `epoch`.
    pub fn alive(&self, slot: usize, epoch: u32) -> bool {
        self.slots[slot].live && self.slots[slot].epoch == epoch
    }

    /// The address map has changed.
    pub fn remap(&mut self) {
        self.decoder.invalidate();
        self.generation += 1;
    }

    /// Fills the address table if it is out of date.
    pub fn decode(&mut self) {
        if self.decoder.stale() {
            self.decoder.fill(self.slots.iter().enumerate().flat_map(|(i, slot)| ranges(i, slot)));
        }
    }

    /// Counts an access of the card in `slot` at `site`, and acts if the plan says so. The one choke point of device sites.
    pub fn site(&mut self, slot: usize, site: Site, host: &mut dyn Host) {
        if !self.plane.hit(slot, site) {
            return;
        }
        while let Some(action) = self.plane.due() {
            self.act(action, host);
        }
    }

    /// Runs the model of `slot`, and lets it hear what happened meanwhile. Does nothing if it runs already: a model cannot be called from
    /// within itself.
    pub fn with_model(
        &mut self,
        slot: usize,
        host: &mut dyn Host,
        call: impl FnOnce(&mut dyn Device, &mut Bus<'_>),
    ) {
        self.run_model(slot, host, call);
        self.deliver_news(slot, host);
    }

    /// Runs the model of `slot`, unless it runs already.
    pub fn run_model(
        &mut self,
        slot: usize,
        host: &mut dyn Host,
        call: impl FnOnce(&mut dyn Device, &mut Bus<'_>),
    ) {
        let Some(mut model) = self.slots[slot].model.take() else { return };
        call(model.as_mut(), &mut Bus::new(self, host, slot));
        if std::mem::take(&mut self.slots[slot].reset_pending) {
            model.reset();
        }
        self.slots[slot].model = Some(model);
    }

    /// Sends a message if the card may write upstream.
    pub fn send(&mut self, slot: usize, address: u64, data: u32, host: &mut dyn Host) {
        if self.slots[slot].master() {
            host.message(address, data);
        }
    }

    /// Brings a line up to date with the one who drives it.
    pub fn drive_line(&mut self, slot: usize, driver: Driver, host: &mut dyn Host) {
        let now = host.now();
        let Slot { number, function, port, live, faults, .. } = &self.slots[slot];
        let level = match driver {
            Driver::Port => port.line(),
            Driver::Device => *live && function.line() && !faults.line_is_held(now),
            Driver::Storm => false,
            Driver::Stuck => *live && faults.is_stuck(now),
        };
        self.lines.set(*number, driver, level, host);
    }

    /// Messages whose masks were lifted.
    pub fn send_unmasked(&mut self, slot: usize, host: &mut dyn Host) {
        while let Some((address, data)) = self.slots[slot].function.take_unmasked() {
            self.send(slot, address, data, host);
        }
    }

    /// Software reset of the card (function level reset, PCIe Base 6.6.2).
    pub fn reset_function(&mut self, slot: usize, host: &mut dyn Host) {
        // It works again, whatever the time.
        self.end_waits(slot, u64::MAX, host);
        self.slots[slot].reset_card();
        self.timers.cancel_ticks(slot);
        self.drive_line(slot, Driver::Device, host);
        self.remap();
        self.deliver_news(slot, host);
    }

    /// After any change of a port or its occupancy: the link follows, then the interrupt.
    pub fn settle(&mut self, slot: usize, host: &mut dyn Host) {
        let state = &self.slots[slot];
        let live = state.occupied && !state.link_down && state.port.reachable();
        if live != self.slots[slot].live {
            // Whoever it was that waited is gone; with the link comes one that does not.
            self.end_waits(slot, u64::MAX, host);
            self.connect(slot, live);
            self.slots[slot].port.set_link(live, true);
            self.drive_line(slot, Driver::Device, host);
            self.drive_line(slot, Driver::Storm, host);
            self.drive_line(slot, Driver::Stuck, host);
            self.deliver_news(slot, host);
        }
        self.notify(slot, host);
    }

    /// The card gains or loses its link.
    pub fn connect(&mut self, slot: usize, live: bool) {
        if live {
            // The link comes up out of a fundamental or hot reset.
            self.slots[slot].live = true;
            self.slots[slot].reset_card();
        } else {
            self.slots[slot].disconnect();
        }
        self.timers.cancel_ticks(slot);
        self.remap();
    }

    /// Evaluates the hot-plug interrupt of a port.
    pub fn notify(&mut self, slot: usize, host: &mut dyn Host) {
        if let Some((address, data)) = self.slots[slot].port.take_message() {
            host.message(address, data);
        }
        self.drive_line(slot, Driver::Port, host);
    }

    /// Software writes configuration space of the port of `slot`.
    pub fn write_port(&mut self, slot: usize, offset: usize, from: &[u8], host: &mut dyn Host) {
        let write = self.slots[slot].port.write_config(offset, from);
        if offset < spec::HEADER_END {
            self.remap();
        }
        if write.power_went_off && self.slots[slot].ejecting {
            self.finish_ejection(slot, host.now());
        }
        self.settle(slot, host);
    }

    /// The guest has switched the power off: the person at the slot takes the card out.
    fn finish_ejection(&mut self, slot: usize, now: u64) {
        let state = &mut self.slots[slot];
        state.ejecting = false;
        state.occupied = false;
        state.port.set_present(false, true);
        if std::mem::take(&mut state.replug_waiting) {
            self.timers.push(now.saturating_add(REPLUG_SETTLE), Due::Replug(slot));
        }
    }

    /// Software writes configuration space of the card in `slot`, which is live.
    pub fn write_card(&mut self, slot: usize, offset: usize, from: &[u8], host: &mut dyn Host) {
        if self.slots[slot].function.write_config(offset, from) {
            self.reset_function(slot, host);
            return;
        }
        if offset < spec::HEADER_END {
            self.remap();
        }
        self.drive_line(slot, Driver::Device, host);
        self.send_unmasked(slot, host);
        if let Some((index, at)) = self.slots[slot].function.vendor_body(offset, from.len()) {
            self.with_model(slot, host, |model, env| model.config_written(index, at, from, env));
        }
    }

    /// Everything that is due at the host's time. Bounded: what comes due by what runs here waits for the next call.
    pub fn advance(&mut self, host: &mut dyn Host) {
        let now = host.now();
        let bound = self.timers.bound();
        while let Some((time, due)) = self.timers.pop(now, bound) {
            match due {
                Due::Tick { slot, token } => self.tick(slot, token, host),
                Due::Rule(rule) => self.run_rule(rule, time, now, host),
                Due::Pulse(slot) => self.pulse(slot, time, now, host),
                Due::PulseEnd(slot) => self.drive_line(slot, Driver::Storm, host),
                Due::Replug(slot) => self.insert(slot, "replug", host),
                Due::StickEnd(slot) => self.end_stick(slot, host),
                Due::MuteEnd(slot) => self.end_mute(slot, host),
                Due::LinkUp { slot, epoch } => self.link_up(slot, epoch, host),
                Due::Resume(slot) => self.resume(slot, host),
                Due::Plenty => self.end_scarcity(host),
                Due::Late { slot, epoch, index } => self.arrive(slot, epoch, index, host),
                Due::Echo { slot, epoch } => self.echo(slot, epoch, host),
                Due::Land { slot, epoch, number } => self.land(slot, epoch, number, host),
                Due::Reattach(leaf) => self.attach(leaf, "replug", host),
                Due::NakEnd(leaf) => self.end_nak(leaf, host),
                Due::CurrentEnd { card, hub, port } => self.report_current(card, hub, port, false, host),
                Due::Race { slot, epoch, at } => self.end_race(slot, epoch, Some(at), host),
            }
        }
    }
}

/// The ranges that the card in `slot` decodes: memory enabled, and within the windows of its port.
pub fn ranges(index: usize, slot: &Slot) -> impl Iterator<Item = Range> + '_ {
    let open = slot.live && slot.function.config().commanded(spec::COMMAND_MEMORY);
    let windows = slot.port.windows();
    let bars = if open { slot.function.bars() } else { &[] };
    bars.iter().filter_map(move |bar| {
        let start = slot.function.bar_address(bar);
        let inside = windows.iter().flatten().any(|window| window.contains(start, bar.size));
        inside.then(|| Range {
            start,
            size: bar.size,
            slot: index,
            bar: bar.index,
            msix: slot.function.is_msix_bar(bar.index),
        })
    })
}
