//! Interrupters: event rings (4.9.4) and interrupts with their moderation (4.17).
//!
//! ```text
//! event ─► room in the ring? ─► TRB by DMA ─► pending ─► handler busy? interval over? ─► IP ─► message or line
//!               └ no: it waits; the last free place says that the ring is full
//! ```

use super::agenda::Job;
use super::ring::Trb;
use super::{Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;
use std::collections::VecDeque;

/// Events that wait for room at the most; what produces them stops long before.
const BACKLOG: usize = 1024;

/// A segment of an event ring.
#[derive(Clone, Copy, Default)]
struct Segment {
    base: u64,
    entries: u32,
}

/// One interrupter.
#[derive(Default)]
pub struct Interrupter {
    pub iman: u32,
    pub imod: u32,
    pub table_entries: u32,
    pub table: u64,
    /// Without [`spec::ERDP_EHB`].
    pub dequeue: u64,
    /// The event handler is busy.
    pub busy: bool,
    /// Where the next event goes: segment, entry; and the segment as far as it is known.
    segment: u32,
    entry: u32,
    known: Option<Segment>,
    cycle: bool,
    /// Something in the ring is worth an interrupt; until the ring is empty (4.17.2, Interrupt Pending Enable).
    worth: bool,
    /// An event asks for an interrupt.
    pending: bool,
    quiet_until: u64,
    backlog: VecDeque<Trb>,
}

impl Interrupter {
    /// After reset.
    pub fn new() -> Self {
        Self { imod: spec::IMOD_DEFAULT, cycle: true, ..Self::default() }
    }

    /// The table was set: the ring begins anew (4.9.4).
    pub fn restart(&mut self) {
        self.segment = 0;
        self.entry = 0;
        self.known = None;
        self.cycle = true;
        self.worth = false;
        self.backlog.clear();
    }

    /// Events wait for room.
    pub fn is_full(&self) -> bool {
        !self.backlog.is_empty()
    }
}

impl Xhci {
    /// Some event ring is full: nothing may be done that makes events.
    pub(super) fn is_blocked(&self) -> bool {
        self.interrupters.iter().any(Interrupter::is_full)
    }

    /// Sends an event to interrupter `target`; `quiet`: not worth an interrupt (4.17.5, Block Event Interrupt).
    pub(super) fn post(
        &mut self,
        target: u16,
        event: Trb,
        quiet: bool,
        env: &mut dyn Env,
    ) -> Result<(), Fallen> {
        let index = if usize::from(target) < self.interrupters.len() { target } else { 0 };
        let interrupter = &mut self.interrupters[usize::from(index)];
        if interrupter.table_entries == 0 {
            return Ok(());
        }
        if interrupter.is_full() {
            if interrupter.backlog.len() < BACKLOG {
                interrupter.backlog.push_back(event);
            }
            return Ok(());
        }
        self.place(index, event, env)?;
        let interrupter = &mut self.interrupters[usize::from(index)];
        // That the ring is full is always worth one.
        if !quiet || interrupter.is_full() {
            interrupter.worth = true;
            interrupter.pending = true;
            self.interrupt(index, env);
        }
        Ok(())
    }

    /// Writes an event into the ring, or keeps it until there is room.
    fn place(&mut self, index: u16, event: Trb, env: &mut dyn Env) -> Result<(), Fallen> {
        let Some(here) = self.segment(index, self.interrupters[usize::from(index)].segment, env)? else {
            return Ok(());
        };
        let it = &self.interrupters[usize::from(index)];
        let dequeue = it.dequeue & !0xf;
        let at = (it.segment, it.entry);
        let next = self.next_place(index, at, here, env)?;
        let beyond = self.next_place(index, (next.0, next.1), next.2, env)?;
        let address = |place: &(u32, u32, Segment)| {
            place.2.base.wrapping_add(u64::from(place.1) * spec::TRB_BYTES as u64)
        };
        if address(&next) == dequeue {
            self.interrupters[usize::from(index)].backlog.push_back(event);
            return Ok(());
        }
        let last_one = address(&beyond) == dequeue;
        let written =
            if last_one { Trb::event(spec::CONTROLLER_EVENT, 0, spec::RING_FULL, 0, 0) } else { event };
        let it = &mut self.interrupters[usize::from(index)];
        let cycle = it.cycle;
        // Around the last segment the producer's cycle state turns (4.9.4).
        if (next.0, next.1) == (0, 0) {
            it.cycle = !it.cycle;
        }
        (it.segment, it.entry, it.known) = (next.0, next.1, Some(next.2));
        if last_one {
            it.backlog.push_back(event);
        }
        let control = written.control & !spec::TRB_CYCLE | u32::from(cycle);
        let bytes = Trb { control, ..written }.bytes();
        self.store(address(&(at.0, at.1, here)), &bytes, env)
    }

    /// The place behind `at`, which is in segment `here`.
    fn next_place(
        &mut self,
        index: u16,
        at: (u32, u32),
        here: Segment,
        env: &mut dyn Env,
    ) -> Result<(u32, u32, Segment), Fallen> {
        if at.1 + 1 < here.entries {
            return Ok((at.0, at.1 + 1, here));
        }
        let entries = self.interrupters[usize::from(index)].table_entries.max(1);
        let segment = (at.0 + 1) % entries;
        let next =
            if segment == at.0 { here } else { self.read_segment(index, segment, env)?.unwrap_or(here) };
        Ok((segment, 0, next))
    }

    /// The segment in which the next event goes.
    fn segment(&mut self, index: u16, segment: u32, env: &mut dyn Env) -> Result<Option<Segment>, Fallen> {
        if let Some(known) = self.interrupters[usize::from(index)].known {
            return Ok(Some(known));
        }
        let found = self.read_segment(index, segment, env)?;
        self.interrupters[usize::from(index)].known = found;
        Ok(found)
    }

    /// An entry of the segment table (6.5). A segment of a size that none may have has no room for events.
    fn read_segment(
        &mut self,
        index: u16,
        segment: u32,
        env: &mut dyn Env,
    ) -> Result<Option<Segment>, Fallen> {
        let table = self.interrupters[usize::from(index)].table;
        let mut bytes = [0; spec::TRB_BYTES];
        self.fetch(table.wrapping_add(u64::from(segment) * spec::TRB_BYTES as u64), &mut bytes, env)?;
        let entry = Trb::parse(&bytes);
        let entries = entry.status & 0xffff;
        let found = Segment { base: entry.parameter & !0x3f, entries };
        Ok((16..=4096).contains(&entries).then_some(found))
    }

    /// The guest has moved the dequeue pointer of interrupter `index`, or said that its handler is done.
    ///
    /// A controller that is halted writes nothing (5.4.1.1): what waits for room waits on, and goes on when it runs again.
    pub(super) fn dequeued(&mut self, index: u16, env: &mut dyn Env) -> Result<(), Fallen> {
        let was_full = self.interrupters[usize::from(index)].is_full();
        if self.is_running() {
            self.catch_up(index, env)?;
        }
        let it = &mut self.interrupters[usize::from(index)];
        let here = it.known.map(|known| known.base + u64::from(it.entry) * spec::TRB_BYTES as u64);
        // What is in the ring asks for an interrupt again as soon as the handler is done, if any of it is worth one.
        it.worth &= here.is_some_and(|here| here != it.dequeue & !0xf);
        it.pending = it.worth;
        self.interrupt(index, env);
        if was_full && !self.is_blocked() {
            self.go_on(env);
        }
        Ok(())
    }

    /// Writes the events that wait, as far as there is room.
    fn catch_up(&mut self, index: u16, env: &mut dyn Env) -> Result<(), Fallen> {
        let waiting = std::mem::take(&mut self.interrupters[usize::from(index)].backlog);
        for event in waiting {
            if self.interrupters[usize::from(index)].is_full() {
                self.interrupters[usize::from(index)].backlog.push_back(event);
            } else {
                self.place(index, event, env)?;
            }
        }
        Ok(())
    }

    /// The controller runs again: what waited for room may have it now.
    pub(super) fn restart_events(&mut self, env: &mut dyn Env) -> Result<(), Fallen> {
        for index in 0..self.interrupters.len() as u16 {
            if self.interrupters[usize::from(index)].is_full() {
                self.dequeued(index, env)?;
            }
        }
        Ok(())
    }

    /// Sets the interrupt pending if an event wants it, the handler is not busy and the interval is over (4.17.2).
    pub(super) fn interrupt(&mut self, index: u16, env: &mut dyn Env) {
        let now = env.now();
        let it = &mut self.interrupters[usize::from(index)];
        if !it.pending || it.busy {
            return;
        }
        if now < it.quiet_until {
            self.agenda.plan(Job::Interrupter(index), it.quiet_until);
            return;
        }
        it.pending = false;
        it.busy = true;
        it.iman |= spec::IMAN_IP;
        it.quiet_until = now.saturating_add(u64::from(it.imod & 0xffff) * spec::IMOD_NS);
        self.status |= spec::STS_EINT;
        self.signal(index, env);
    }

    /// Signals a pending interrupt that is enabled.
    pub(super) fn signal(&mut self, index: u16, env: &mut dyn Env) {
        let it = &mut self.interrupters[usize::from(index)];
        let both = spec::IMAN_IP | spec::IMAN_IE;
        if self.command & spec::CMD_INTE == 0 || it.iman & both != both {
            return;
        }
        if env.messages() {
            // The message takes the pending bit with it (5.5.2.1).
            it.iman &= !spec::IMAN_IP;
            env.raise(if self.settings.signalling == super::Signalling::Msix { index } else { 0 });
        } else {
            env.raise(0);
        }
    }

    /// The line follows what is pending and enabled.
    pub(super) fn settle_line(&mut self, env: &mut dyn Env) {
        let both = spec::IMAN_IP | spec::IMAN_IE;
        let wanted =
            self.command & spec::CMD_INTE != 0 && self.interrupters.iter().any(|it| it.iman & both == both);
        if !wanted {
            env.lower();
        }
    }
}
