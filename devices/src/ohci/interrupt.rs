//! Interrupt events and masks (OHCI 1.1, chapter 6).

use crate::env::Env;
use crate::spec::ohci::{RECEIVE_CONTEXTS, TRANSMIT_CONTEXTS, event};

/// Events and masks. What is set anew and not masked is signalled; the line drops when nothing is left.
#[derive(Clone, Copy, Default)]
pub struct Interrupts {
    event: u32,
    mask: u32,
    transmit: Iso,
    receive: Iso,
}

/// Events and mask of one kind of isochronous contexts, a bit each.
#[derive(Clone, Copy, Default)]
struct Iso {
    event: u32,
    mask: u32,
}

/// Which kind of isochronous contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Transmit.
    Transmit,
    /// Receive.
    Receive,
}

impl Kind {
    /// One bit for each context that there is.
    fn contexts(self) -> u32 {
        match self {
            Kind::Transmit => (1 << TRANSMIT_CONTEXTS) - 1,
            Kind::Receive => (1 << RECEIVE_CONTEXTS) - 1,
        }
    }
}

impl Interrupts {
    /// All events, with those that follow from isochronous contexts.
    pub fn events(&self) -> u32 {
        let iso = |iso: Iso, bit: u32| if iso.event & iso.mask != 0 { bit } else { 0 };
        self.event | iso(self.transmit, event::ISO_TRANSMIT) | iso(self.receive, event::ISO_RECEIVE)
    }

    /// The mask.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// True if every event of `bits` is set.
    pub fn is_set(&self, bits: u32) -> bool {
        self.event & bits == bits
    }

    /// What is set and interrupts.
    fn pending(&self) -> u32 {
        if self.mask & event::MASTER == 0 { 0 } else { self.events() & self.mask }
    }

    /// Does `change`, then signals what it brought.
    fn change(&mut self, env: &mut dyn Env, change: impl FnOnce(&mut Self)) {
        let (before, iso) = (self.pending(), (self.transmit.event, self.receive.event));
        change(self);
        let after = self.pending();
        let more = (self.transmit.event & !iso.0 & self.transmit.mask)
            | (self.receive.event & !iso.1 & self.receive.mask);
        if after & !before != 0 || after & (event::ISO_TRANSMIT | event::ISO_RECEIVE) != 0 && more != 0 {
            env.raise(0);
        } else if after == 0 && before != 0 {
            env.lower();
        }
    }

    /// Sets events.
    pub fn set(&mut self, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.event |= bits & event::STORED);
    }

    /// Clears events.
    pub fn clear(&mut self, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.event &= !bits);
    }

    /// Sets bits of the mask.
    pub fn set_mask(&mut self, bits: u32, env: &mut dyn Env) {
        let all = event::STORED | event::ISO_TRANSMIT | event::ISO_RECEIVE | event::MASTER;
        self.change(env, |this| this.mask |= bits & all);
    }

    /// Clears bits of the mask.
    pub fn clear_mask(&mut self, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.mask &= !bits);
    }

    fn iso(&mut self, kind: Kind) -> &mut Iso {
        match kind {
            Kind::Transmit => &mut self.transmit,
            Kind::Receive => &mut self.receive,
        }
    }

    /// Events of isochronous contexts.
    pub fn iso_events(&self, kind: Kind) -> u32 {
        if kind == Kind::Transmit { self.transmit.event } else { self.receive.event }
    }

    /// The mask of isochronous contexts.
    pub fn iso_mask(&self, kind: Kind) -> u32 {
        if kind == Kind::Transmit { self.transmit.mask } else { self.receive.mask }
    }

    /// Sets events of isochronous contexts.
    pub fn set_iso(&mut self, kind: Kind, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.iso(kind).event |= bits & kind.contexts());
    }

    /// Clears events of isochronous contexts.
    pub fn clear_iso(&mut self, kind: Kind, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.iso(kind).event &= !bits);
    }

    /// Sets bits of the mask of isochronous contexts.
    pub fn set_iso_mask(&mut self, kind: Kind, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.iso(kind).mask |= bits & kind.contexts());
    }

    /// Clears bits of the mask of isochronous contexts.
    pub fn clear_iso_mask(&mut self, kind: Kind, bits: u32, env: &mut dyn Env) {
        self.change(env, |this| this.iso(kind).mask &= !bits);
    }
}
