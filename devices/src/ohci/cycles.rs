//! Cycles: what happens 8000 times a second, and the registers of contexts.

use super::{Ohci, iso_receive, receive};
use crate::env::Env;
use crate::firewire::packet::wire_ns;
use crate::spec::ieee1394 as bus;
use crate::spec::ohci::{self as spec, event};

/// Cycles that one tick makes up for at the most; older ones are lost.
const CATCH_UP: u64 = 32;
/// Bits of an IT ContextControl that software can set besides: cycleMatchEnable and cycleMatch.
const TRANSMIT_MODES: u32 = 0xffff_0000;

/// A register of a context.
enum Place {
    Transmit(usize, u64),
    Receive(usize, u64),
    IsoTransmit(usize, u64),
    IsoReceive(usize, u64),
    None,
}

fn place(offset: u64) -> Place {
    let split = |base: u64, stride: u64| (((offset - base) / stride) as usize, (offset - base) % stride);
    match offset {
        spec::RECEIVE_BASE.. => {
            let (which, at) = split(spec::RECEIVE_BASE, spec::RECEIVE_STRIDE);
            if which < spec::RECEIVE_CONTEXTS { Place::IsoReceive(which, at) } else { Place::None }
        }
        spec::TRANSMIT_BASE.. => {
            let (which, at) = split(spec::TRANSMIT_BASE, spec::TRANSMIT_STRIDE);
            if which < spec::TRANSMIT_CONTEXTS { Place::IsoTransmit(which, at) } else { Place::None }
        }
        spec::ASYNC_CONTEXTS.. => match split(spec::ASYNC_CONTEXTS, spec::ASYNC_STRIDE) {
            (which @ (0 | 1), at) => Place::Transmit(which, at),
            (which, at) => Place::Receive(which - 2, at),
        },
        _ => Place::None,
    }
}

impl Ohci {
    pub(super) fn read_context(&self, offset: u64) -> u32 {
        let (context, at, matching) = match place(offset) {
            Place::Transmit(which, at) => (&self.transmit[which].context, at, 0),
            Place::Receive(which, at) => (&self.receive[which].context, at, 0),
            Place::IsoTransmit(which, at) => (&self.iso_transmit[which].context, at, 0),
            Place::IsoReceive(which, at) => {
                let ir = &self.iso_receive[which];
                (&ir.receive.context, at, ir.matching)
            }
            Place::None => return 0,
        };
        match at {
            spec::CONTEXT_SET | spec::CONTEXT_CLEAR => context.control,
            spec::CONTEXT_COMMAND => context.command,
            spec::CONTEXT_MATCH => matching,
            _ => 0,
        }
    }

    pub(super) fn write_context(&mut self, offset: u64, value: u32, env: &mut dyn Env) {
        match place(offset) {
            Place::Transmit(which, at) => self.write_transmit(which, at, value, env),
            Place::Receive(which, at) => self.write_receive(which, at, value, env),
            Place::IsoTransmit(which, at) => self.write_iso_transmit(which, at, value, env),
            Place::IsoReceive(which, at) => self.write_iso_receive(which, at, value, env),
            Place::None => {}
        }
    }

    fn write_transmit(&mut self, which: usize, at: u64, value: u32, env: &mut dyn Env) {
        let busy = self.transmit[which].busy();
        let context = &mut self.transmit[which].context;
        match at {
            spec::CONTEXT_SET if context.set(value, 0) => {
                // While the bus reset is not seen, nothing is looked at (7.2.3.1).
                let woken = if busy { Ok(()) } else { context.wake(env) };
                if let Err(super::context::Stop::Dead(code)) = woken {
                    context.die(code);
                    self.interrupts.set(event::UNRECOVERABLE, env);
                }
                self.start_transmit(which, env);
            }
            spec::CONTEXT_CLEAR => context.clear(value, 0, busy),
            spec::CONTEXT_COMMAND => context.write_command(value),
            _ => {}
        }
    }

    fn write_receive(&mut self, which: usize, at: u64, value: u32, env: &mut dyn Env) {
        let context = &mut self.receive[which].context;
        let fresh = receive::is_start(context.control, value);
        match at {
            spec::CONTEXT_SET if context.set(value, receive::MODES) => self.start_receive(which, fresh, env),
            spec::CONTEXT_CLEAR => context.clear(value, receive::MODES, false),
            spec::CONTEXT_COMMAND => context.write_command(value),
            _ => {}
        }
    }

    fn write_iso_transmit(&mut self, which: usize, at: u64, value: u32, env: &mut dyn Env) {
        let context = &mut self.iso_transmit[which].context;
        let mut woken = Ok(());
        match at {
            spec::CONTEXT_SET if context.set(value, TRANSMIT_MODES) => woken = context.wake(env),
            spec::CONTEXT_CLEAR => context.clear(value, TRANSMIT_MODES, false),
            spec::CONTEXT_COMMAND => context.write_command(value),
            _ => {}
        }
        if let Err(super::context::Stop::Dead(code)) = woken {
            context.die(code);
            self.interrupts.set(event::UNRECOVERABLE, env);
        }
        self.watch_cycles(env);
    }

    fn write_iso_receive(&mut self, which: usize, at: u64, value: u32, env: &mut dyn Env) {
        let ir = &mut self.iso_receive[which];
        let context = &mut ir.receive.context;
        let fresh = receive::is_start(context.control, value);
        let before = context.command;
        let mut woken = Ok(());
        match at {
            spec::CONTEXT_SET if context.set(value, iso_receive::MODES) => woken = context.wake(env),
            spec::CONTEXT_CLEAR => context.clear(value, iso_receive::MODES, false),
            spec::CONTEXT_COMMAND => context.write_command(value),
            spec::CONTEXT_MATCH => ir.matching = value,
            _ => {}
        }
        if at == spec::CONTEXT_SET && (fresh || ir.receive.context.command != before) {
            ir.receive.used = 0;
        }
        if let Err(super::context::Stop::Dead(code)) = woken {
            ir.receive.context.die(code);
            self.interrupts.set(event::UNRECOVERABLE, env);
        }
        self.watch_cycles(env);
    }

    /// Sees to it that the next cycle that matters is looked at.
    pub(super) fn watch_cycles(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let working = self.iso_transmit.iter().any(|it| it.context.works())
            || self.iso_receive.iter().any(|ir| ir.receive.context.works());
        let mask = self.interrupts.mask();
        let every = working || mask & (event::CYCLE_SYNCH | event::CYCLE_LOST) != 0;
        let next = match (self.link_works(), every, mask & event::CYCLE_64_SECONDS != 0) {
            (false, ..) | (_, false, false) => None,
            (_, true, _) => self.clock.next_cycle(now),
            (_, false, true) => self.clock.next_half(now),
        };
        let every = every && next.is_some();
        if every && !self.every_cycle {
            // What was before this moment is nobody's.
            self.note_cycle(self.clock.cycle(now), env);
        }
        self.every_cycle = every;
        self.cycle_due = match (self.cycle_due, next) {
            (Some(due), Some(next)) => Some(due.min(next)),
            (_, next) => next,
        };
    }

    /// Sets the events of cycles that began since they were looked at.
    pub(super) fn note_cycles(&mut self, env: &mut dyn Env) {
        if !self.every_cycle {
            let cycle = self.clock.cycle(env.now());
            self.note_cycle(cycle, env);
        }
    }

    fn note_cycle(&mut self, cycle: u64, env: &mut dyn Env) {
        if cycle == self.cycle_seen {
            return;
        }
        let half = |cycle: u64| (cycle / bus::CYCLES_PER_SECOND) & 0x40;
        let wrapped = half(cycle) != half(self.cycle_seen);
        self.cycle_seen = cycle;
        self.interrupts.set(event::CYCLE_SYNCH | if wrapped { event::CYCLE_64_SECONDS } else { 0 }, env);
    }

    /// The cycles that have begun.
    pub(super) fn run_cycles(&mut self, env: &mut dyn Env) {
        self.cycle_due = None;
        let now = self.clock.cycle(env.now());
        if !self.every_cycle {
            self.note_cycle(now, env);
            self.watch_cycles(env);
            return;
        }
        let wrap = 128 * bus::CYCLES_PER_SECOND;
        let behind = (now + wrap - self.cycle_seen) % wrap;
        for ago in (0..behind.min(CATCH_UP)).rev() {
            let cycle = (now + wrap - ago) % wrap;
            self.note_cycle(cycle, env);
            self.run_cycle(cycle, env);
        }
        self.watch_cycles(env);
    }

    fn run_cycle(&mut self, cycle: u64, env: &mut dyn Env) {
        let ready = self.registers.link_control & (spec::LINK_CYCLE_MASTER | spec::LINK_CYCLE_TIMER);
        let host = ready == spec::LINK_CYCLE_MASTER | spec::LINK_CYCLE_TIMER;
        if !self.bus.has_cycle_master(host) {
            self.interrupts.set(event::CYCLE_LOST, env);
            for which in 0..spec::TRANSMIT_CONTEXTS {
                self.skip_cycle(which, env);
            }
            return;
        }
        let stamp = super::clock::stamp_of(cycle);
        self.match_cycle(stamp);
        let streams = self.bus.cycle(stamp);
        let mut length: u64 =
            streams.iter().map(|stream| wire_ns(stream.data.len() + 12, stream.speed)).sum();
        for which in 0..spec::TRANSMIT_CONTEXTS {
            if let Some(stream) = self.transmit_cycle(which, stamp, env) {
                length += wire_ns(stream.data.len() + 12, stream.speed);
            }
        }
        for stream in &streams {
            self.receive_stream(stream, stamp, env);
        }
        if length > bus::CYCLE_NS {
            // 6.1: the link gives up being cycle master.
            self.registers.link_control &= !spec::LINK_CYCLE_MASTER;
            self.interrupts.set(event::CYCLE_TOO_LONG, env);
        }
    }
}
