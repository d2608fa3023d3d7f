//! Endpoints, and the commands about them (4.6.6, 4.6.8–4.6.10, 4.8).

use super::agenda::Job;
use super::context::{EndpointContext, SlotContext};
use super::ring::{Cursor, Trb};
use super::slot::ENDPOINTS;
use super::td::Td;
use super::{Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;

/// An endpoint that is not disabled.
pub struct Endpoint {
    /// As in memory, but for the dequeue pointer while the endpoint runs.
    pub context: EndpointContext,
    /// Behind the TD that is under way.
    pub cursor: Cursor,
    /// The TD that is under way.
    pub td: Option<Td>,
    /// Bytes since the last event data TRB (4.11.5.2).
    pub edtla: u32,
    /// When it was served last.
    pub served: u64,
    /// When the bus has carried what it has moved.
    pub carried: u64,
}

impl Endpoint {
    /// One that runs, as its context says.
    pub fn new(mut context: EndpointContext) -> Self {
        context.set_state(spec::EP_RUNNING);
        let cursor = Cursor::parse(context.dequeue());
        Self { context, cursor, td: None, edtla: 0, served: 0, carried: 0 }
    }

    /// True if packets go to the host; a control endpoint goes both ways.
    pub fn is_in(&self) -> bool {
        self.context.kind() >= spec::TYPE_ISOCH_IN
    }

    /// Isochronous or interrupt.
    pub fn is_periodic(&self) -> bool {
        let kind = self.context.kind();
        matches!(kind, spec::TYPE_INTERRUPT_IN | spec::TYPE_INTERRUPT_OUT) || self.is_isochronous()
    }

    /// Isochronous: errors do not halt it (4.8.3).
    pub fn is_isochronous(&self) -> bool {
        matches!(self.context.kind(), spec::TYPE_ISOCH_IN | spec::TYPE_ISOCH_OUT)
    }

    /// Where a driver finds the ring: at the TRB that is under way, else behind the last that is done.
    pub fn position(&self) -> Cursor {
        self.td.as_ref().map_or(self.cursor, Td::position)
    }

    /// Another state; the dequeue pointer is brought up to date.
    pub fn rest(&mut self, state: u32) {
        self.context.set_state(state);
        self.context.set_dequeue(self.position().pointer());
    }
}

impl Xhci {
    /// A doorbell of a slot (4.7).
    pub(super) fn ring_endpoint(&mut self, slot: u8, index: u8, env: &mut dyn Env) {
        let Some(endpoint) = self.endpoint(slot, index) else { return };
        match endpoint.context.state() {
            spec::EP_RUNNING => {}
            spec::EP_STOPPED => {
                endpoint.context.set_state(spec::EP_RUNNING);
                // An error has been told already.
                if self.save_endpoint(slot, index, env).is_err() {
                    return;
                }
            }
            _ => return,
        }
        let time = env.now().saturating_add(self.settings.latency_ns);
        self.agenda.plan(Job::Endpoint(slot, index), time);
    }

    /// Everything that may have something to do looks for it at `time`.
    pub(super) fn kick_all(&mut self, time: u64) {
        if self.is_running() {
            for slot in 1..self.slots.len() as u8 {
                self.kick_slot(slot, time);
            }
        }
    }

    /// The endpoints of a slot that wait for their device look again at `time`.
    pub(super) fn kick_slot(&mut self, number: u8, time: u64) {
        let Some(Some(slot)) = self.slots.get(usize::from(number)) else { return };
        for (index, endpoint) in slot.endpoints.iter().enumerate() {
            let waits = |it: &Endpoint| it.td.is_some() && it.context.state() == spec::EP_RUNNING;
            if endpoint.as_deref().is_some_and(waits) {
                self.agenda.plan(Job::Endpoint(number, index as u8), time);
            }
        }
    }

    /// Configure endpoint (4.6.6): all of it, or nothing.
    pub(super) fn configure(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        let number = command.slot();
        let Some(slot) = self.slot(number) else { return Ok(spec::SLOT_NOT_ENABLED) };
        if !matches!(slot.context.state(), spec::SLOT_ADDRESSED | spec::SLOT_CONFIGURED) {
            return Ok(spec::CONTEXT_STATE_ERROR);
        }
        if command.has(spec::TRB_OPTION) {
            return self.change_endpoints(number, !3, Vec::new(), None, env);
        }
        let input = command.parameter & !0xf;
        let control = self.read_control(input, env)?;
        if control.drop & 3 != 0 || control.add & 2 != 0 {
            return Ok(spec::PARAMETER_ERROR);
        }
        let mut fresh = Vec::new();
        for index in (2..ENDPOINTS as u32).filter(|index| control.add >> index & 1 != 0) {
            let context = EndpointContext(self.read_context(input, index + 1, env)?);
            if !is_good(index, &context) {
                return Ok(spec::PARAMETER_ERROR);
            }
            let there = self.endpoint(number, index as u8).is_some();
            if there && control.drop >> index & 1 == 0 {
                return Ok(spec::CONTEXT_STATE_ERROR);
            }
            fresh.push((index as u8, context));
        }
        let slot = match control.add & 1 {
            0 => None,
            _ => Some(SlotContext(self.read_context(input, 1, env)?)),
        };
        self.change_endpoints(number, control.drop, fresh, slot, env)
    }

    /// Disables the endpoints of the set `drop`, and enables others.
    fn change_endpoints(
        &mut self,
        number: u8,
        drop: u32,
        fresh: Vec<(u8, EndpointContext)>,
        input: Option<SlotContext>,
        env: &mut dyn Env,
    ) -> Result<u8, Fallen> {
        let Some(slot) = self.slot(number) else { return Ok(spec::SLOT_NOT_ENABLED) };
        let mut changed = 0u32;
        for index in (2..ENDPOINTS).filter(|index| drop >> index & 1 != 0) {
            changed |= u32::from(slot.endpoints[index].take().is_some()) << index;
        }
        for (index, context) in fresh {
            slot.endpoints[usize::from(index)] = Some(Box::new(Endpoint::new(context)));
            changed |= 1 << index;
        }
        if let Some(input) = input {
            // What makes it a hub (6.2.2.2).
            let hub = 3 << 25;
            slot.context.0[0] = slot.context.0[0] & !hub | input.0[0] & hub;
            slot.context.0[1] = slot.context.0[1] & 0x00ff_ffff | input.0[1] & 0xff00_0000;
        }
        let last = (1..ENDPOINTS).rev().find(|&index| slot.endpoints[index].is_some()).unwrap_or(1);
        let state = if last > 1 { spec::SLOT_CONFIGURED } else { spec::SLOT_ADDRESSED };
        let address = slot.address();
        slot.context.set_state(state, address);
        slot.context.set_entries(last as u32);
        self.forget(number, |endpoint| changed >> endpoint & 1 != 0);
        for index in (2..ENDPOINTS as u8).filter(|index| changed >> index & 1 != 0) {
            self.save_endpoint(number, index, env)?;
        }
        self.save_slot(number, env)?;
        Ok(spec::SUCCESS)
    }

    /// Why a command about an endpoint in none of the `states` cannot be.
    fn check_endpoint(&mut self, command: Trb, states: &[u32]) -> Result<(), u8> {
        let slot = self.slot(command.slot()).ok_or(spec::SLOT_NOT_ENABLED)?;
        if command.endpoint() == 0 || slot.context.state() == spec::SLOT_ENABLED {
            return Err(if command.endpoint() == 0 { spec::TRB_ERROR } else { spec::CONTEXT_STATE_ERROR });
        }
        let endpoint = self.endpoint(command.slot(), command.endpoint()).ok_or(spec::ENDPOINT_NOT_ENABLED)?;
        if states.contains(&endpoint.context.state()) { Ok(()) } else { Err(spec::CONTEXT_STATE_ERROR) }
    }

    /// Reset endpoint (4.6.8).
    pub(super) fn reset_endpoint(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        if let Err(code) = self.check_endpoint(command, &[spec::EP_HALTED]) {
            return Ok(code);
        }
        let (slot, index) = (command.slot(), command.endpoint());
        if let Some(endpoint) = self.endpoint(slot, index) {
            if !command.has(spec::TRB_OPTION) {
                endpoint.cursor = endpoint.position();
                endpoint.td = None;
                endpoint.edtla = 0;
            }
            endpoint.rest(spec::EP_STOPPED);
        }
        self.save_endpoint(slot, index, env)?;
        Ok(spec::SUCCESS)
    }

    /// Stop endpoint (4.6.9). A TD that is under way stays where it is, and an event tells where.
    pub(super) fn stop_endpoint(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        if let Err(code) = self.check_endpoint(command, &[spec::EP_RUNNING]) {
            return Ok(code);
        }
        let (slot, index) = (command.slot(), command.endpoint());
        let mut event = None;
        if let Some(endpoint) = self.endpoint(slot, index) {
            endpoint.rest(spec::EP_STOPPED);
            event = endpoint.td.as_ref().map(|td| td.stopped(slot, index));
        }
        self.forget(slot, |endpoint| endpoint == index);
        if let Some((target, event)) = event {
            self.post(target, event, false, env)?;
        }
        self.save_endpoint(slot, index, env)?;
        Ok(spec::SUCCESS)
    }

    /// Set TR dequeue pointer (4.6.10).
    pub(super) fn set_dequeue(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        if let Err(code) = self.check_endpoint(command, &[spec::EP_STOPPED, spec::EP_ERROR]) {
            return Ok(code);
        }
        // There are no streams.
        if command.status >> 16 != 0 {
            return Ok(spec::TRB_ERROR);
        }
        let (slot, index) = (command.slot(), command.endpoint());
        if let Some(endpoint) = self.endpoint(slot, index) {
            endpoint.td = None;
            endpoint.edtla = 0;
            endpoint.cursor = Cursor::parse(command.parameter);
            endpoint.rest(spec::EP_STOPPED);
        }
        self.save_endpoint(slot, index, env)?;
        Ok(spec::SUCCESS)
    }
}

/// An endpoint context whose numbers can be: even contexts are OUT, odd ones IN.
fn is_good(index: u32, context: &EndpointContext) -> bool {
    let direction = match context.kind() {
        0 => return false,
        spec::TYPE_CONTROL => index % 2 == 1,
        kind => (kind >= spec::TYPE_ISOCH_IN) == (index % 2 == 1),
    };
    direction && context.streams() == 0 && (1..=1024).contains(&(context.packet() & 0x7ff))
}
