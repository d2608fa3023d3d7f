//! Device slots, and the commands about them (4.3, 4.5).

use super::context::{EndpointContext, SlotContext};
use super::endpoint::Endpoint;
use super::port::number;
use super::ring::Trb;
use super::{Fallen, Xhci};
use crate::env::{Env, Mishap};
use crate::fault::plane::Site;
use crate::spec::xhci as spec;
use crate::usb::Speed;

/// Endpoints of a device context; number 0 is the slot's.
pub const ENDPOINTS: usize = 32;

/// A slot that is enabled.
pub struct Slot {
    /// The device context in memory; known from the first address device command on.
    pub base: u64,
    pub context: SlotContext,
    pub endpoints: [Option<Box<Endpoint>>; ENDPOINTS],
}

impl Slot {
    pub fn new() -> Self {
        Self { base: 0, context: SlotContext([0; 8]), endpoints: std::array::from_fn(|_| None) }
    }

    /// The address that the device was given.
    pub fn address(&self) -> u8 {
        self.context.0[3] as u8
    }
}

impl Xhci {
    /// The slot with this number, if it is enabled.
    pub(super) fn slot(&mut self, number: u8) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number))?.as_deref_mut()
    }

    /// The endpoint of a slot, if it is enabled.
    pub(super) fn endpoint(&mut self, slot: u8, endpoint: u8) -> Option<&mut Endpoint> {
        self.slot(slot)?.endpoints.get_mut(usize::from(endpoint))?.as_deref_mut()
    }

    /// Enable slot (4.6.3): its number.
    pub(super) fn enable_slot(&mut self) -> Result<u8, u8> {
        let most = (self.config & 0xff).min(u32::from(spec::SLOTS)) as usize;
        let free = (1..=most).find(|&number| self.slots[number].is_none()).ok_or(spec::NO_SLOTS)?;
        self.slots[free] = Some(Box::new(Slot::new()));
        Ok(free as u8)
    }

    /// Disable slot (4.6.4).
    pub(super) fn disable_slot(&mut self, number: u8, env: &mut dyn Env) -> Result<u8, Fallen> {
        let Some(slot) = self.slots.get_mut(usize::from(number)).and_then(Option::take) else {
            return Ok(spec::SLOT_NOT_ENABLED);
        };
        self.forget(number, |_| true);
        if slot.base != 0 {
            let mut context = slot.context;
            context.set_state(spec::SLOT_ENABLED, 0);
            self.write_context(slot.base, 0, &context.0, env)?;
        }
        Ok(spec::SUCCESS)
    }

    /// Endpoints that are no more have nothing to do.
    pub(super) fn forget(&mut self, number: u8, which: impl Fn(u8) -> bool) {
        let gone =
            |job| matches!(job, super::Job::Endpoint(slot, endpoint) if slot == number && which(endpoint));
        self.agenda.cancel_all(gone);
    }

    /// Address device (4.6.5).
    pub(super) fn address_device(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        let (number, block) = (command.slot(), command.has(spec::TRB_OPTION));
        let Some(slot) = self.slot(number) else { return Ok(spec::SLOT_NOT_ENABLED) };
        match slot.context.state() {
            spec::SLOT_ENABLED => {}
            spec::SLOT_DEFAULT if !block => {}
            _ => return Ok(spec::CONTEXT_STATE_ERROR),
        }
        let input = command.parameter & !0xf;
        let control = self.read_control(input, env)?;
        if control.add & 3 != 3 || control.drop != 0 {
            return Ok(spec::PARAMETER_ERROR);
        }
        let mut context = SlotContext(self.read_context(input, 1, env)?);
        let pipe = EndpointContext(self.read_context(input, 2, env)?);
        let base = self.device_context(number, env)?;
        if base == 0 || !self.is_good(&context) || pipe.kind() != spec::TYPE_CONTROL || pipe.packet() < 8 {
            return Ok(spec::PARAMETER_ERROR);
        }
        let mut address = 0;
        if !block {
            address = number;
            if let Err(code) = self.give_address(&context, address, env) {
                return Ok(code);
            }
        }
        let state = if block { spec::SLOT_DEFAULT } else { spec::SLOT_ADDRESSED };
        context.set_state(state, address);
        context.set_entries(1);
        if let Some(slot) = self.slot(number) {
            slot.base = base;
            slot.context = context;
            slot.endpoints[1] = Some(Box::new(Endpoint::new(pipe)));
        }
        self.forget(number, |endpoint| endpoint == 1);
        self.write_context(base, 0, &context.0, env)?;
        self.save_endpoint(number, 1, env)?;
        Ok(spec::SUCCESS)
    }

    /// A slot context whose numbers can be.
    fn is_good(&self, context: &SlotContext) -> bool {
        (1..=self.ports.len()).contains(&context.root_port().into()) && context.entries() > 0
    }

    /// The device that a slot context leads to, if it is there and has this address.
    pub(super) fn find(&mut self, context: &SlotContext, address: u8, now: u64) -> Option<usize> {
        let port = *self.ports.get(usize::from(context.root_port().checked_sub(1)?))?;
        if !port.is_open() {
            return None;
        }
        let unit = self.tree.find(port.connector, context.route(), now)?;
        let root = self.tree.on_connector(port.connector)?;
        let root_is_super = self.tree.function(root).speed() == Speed::Super;
        let function = self.tree.function(unit);
        let fits = number(function.speed()) == context.speed() && function.address() == address;
        (fits && root_is_super == port.is_super).then_some(unit)
    }

    /// SET_ADDRESS, which the controller sends by itself.
    fn give_address(&mut self, context: &SlotContext, address: u8, env: &mut dyn Env) -> Result<(), u8> {
        let now = env.now();
        let unit = self.find(context, 0, now).ok_or(spec::TRANSACTION_ERROR)?;
        match env.pass(unit, Site::UsbSetup) {
            Mishap::None | Mishap::Nak(_) | Mishap::Babble => {}
            Mishap::Stall => return Err(spec::STALL),
            Mishap::Error | Mishap::Gone => return Err(spec::TRANSACTION_ERROR),
        }
        self.tree.function(unit).set_address(address);
        Ok(())
    }

    /// Evaluate context (4.6.7): the largest packet of the control endpoint, exit latency and interrupter of the slot.
    pub(super) fn evaluate(&mut self, command: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        let number = command.slot();
        let Some(slot) = self.slot(number) else { return Ok(spec::SLOT_NOT_ENABLED) };
        if slot.context.state() == spec::SLOT_ENABLED {
            return Ok(spec::CONTEXT_STATE_ERROR);
        }
        let input = command.parameter & !0xf;
        let control = self.read_control(input, env)?;
        if control.drop != 0 || control.add & !3 != 0 {
            return Ok(spec::PARAMETER_ERROR);
        }
        if control.add & 1 != 0 {
            let words = self.read_context(input, 1, env)?;
            if let Some(slot) = self.slot(number) {
                slot.context.0[1] = slot.context.0[1] & !0xffff | words[1] & 0xffff;
                slot.context.0[2] = slot.context.0[2] & !0xffc0_0000 | words[2] & 0xffc0_0000;
            }
        }
        if control.add & 2 != 0 {
            let pipe = EndpointContext(self.read_context(input, 2, env)?);
            if pipe.packet() < 8 {
                return Ok(spec::PARAMETER_ERROR);
            }
            if let Some(endpoint) = self.endpoint(number, 1) {
                endpoint.context.set_packet(pipe.packet());
            }
        }
        self.save_slot(number, env)?;
        self.save_endpoint(number, 1, env)?;
        Ok(spec::SUCCESS)
    }

    /// Reset device (4.6.11): the software has reset the port.
    pub(super) fn reset_device(&mut self, number: u8, env: &mut dyn Env) -> Result<u8, Fallen> {
        let Some(slot) = self.slot(number) else { return Ok(spec::SLOT_NOT_ENABLED) };
        if !matches!(slot.context.state(), spec::SLOT_ADDRESSED | spec::SLOT_CONFIGURED) {
            return Ok(spec::CONTEXT_STATE_ERROR);
        }
        slot.context.set_state(spec::SLOT_DEFAULT, 0);
        slot.context.set_entries(1);
        let gone: Vec<u8> = (2..ENDPOINTS as u8)
            .filter(|&endpoint| slot.endpoints[usize::from(endpoint)].take().is_some())
            .collect();
        self.forget(number, |endpoint| endpoint > 1);
        for endpoint in gone {
            self.save_endpoint(number, endpoint, env)?;
        }
        self.save_slot(number, env)?;
        Ok(spec::SUCCESS)
    }

    /// Writes the slot context out.
    pub(super) fn save_slot(&mut self, number: u8, env: &mut dyn Env) -> Result<(), Fallen> {
        let Some(slot) = self.slot(number) else { return Ok(()) };
        let (base, words) = (slot.base, slot.context.0);
        self.write_context(base, 0, &words, env)
    }

    /// Writes an endpoint context out; that of one which is disabled is all zeroes.
    pub(super) fn save_endpoint(&mut self, number: u8, index: u8, env: &mut dyn Env) -> Result<(), Fallen> {
        let Some(slot) = self.slot(number) else { return Ok(()) };
        let words = slot.endpoints[usize::from(index)].as_ref().map_or([0; 8], |it| it.context.0);
        let base = slot.base;
        self.write_context(base, index.into(), &words, env)
    }
}
