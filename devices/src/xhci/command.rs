//! The command ring (4.6, 4.9.3): one command a tick.

use super::agenda::Job;
use super::ring::Trb;
use super::{COMMAND_NS, Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;

/// Link TRBs that are followed in a row. A ring of nothing else is an error.
pub const LINKS: usize = 16;

impl Xhci {
    /// Does the next command, if there is one.
    pub(super) fn next_command(&mut self, env: &mut dyn Env) -> Result<(), Fallen> {
        for _ in 0..LINKS {
            let cursor = self.commands.cursor;
            let mut bytes = [0; spec::TRB_BYTES];
            self.fetch(cursor.address, &mut bytes, env)?;
            let trb = Trb::parse(&bytes);
            if trb.has(spec::TRB_CYCLE) != cursor.cycle {
                return Ok(());
            }
            self.commands.cursor = cursor.after(trb);
            if trb.kind() != spec::LINK {
                let (code, slot) = self.carry_out(trb, env)?;
                self.complete(cursor.address, code, slot, env)?;
                self.agenda.plan(Job::Command, env.now().saturating_add(COMMAND_NS));
                return Ok(());
            }
            if trb.has(spec::TRB_IOC) {
                self.complete(cursor.address, spec::SUCCESS, 0, env)?;
            }
        }
        // Nothing but links: the ring says nothing, and never will.
        let address = self.commands.cursor.address;
        self.commands.running = false;
        self.complete(address, spec::TRB_ERROR, 0, env)
    }

    /// A command completion event (6.4.2.2).
    fn complete(&mut self, address: u64, code: u8, slot: u8, env: &mut dyn Env) -> Result<(), Fallen> {
        let event = Trb::event(spec::COMMAND_EVENT, address, code, 0, u32::from(slot) << 24);
        self.post(0, event, false, env)
    }

    /// The ring is stopped: what it was at is done, so that nothing is aborted (4.6.1.1, 4.6.1.2).
    pub(super) fn stop_commands(&mut self, env: &mut dyn Env) -> Result<(), Fallen> {
        self.commands.running = false;
        self.agenda.cancel(Job::Command);
        self.complete(self.commands.cursor.address, spec::RING_STOPPED, 0, env)
    }

    /// Carries a command out: completion code and slot for the event.
    fn carry_out(&mut self, trb: Trb, env: &mut dyn Env) -> Result<(u8, u8), Fallen> {
        let slot = trb.slot();
        let code = match trb.kind() {
            spec::NO_OP_COMMAND => return Ok((spec::SUCCESS, 0)),
            spec::ENABLE_SLOT => {
                return Ok(match self.enable_slot() {
                    Ok(number) => (spec::SUCCESS, number),
                    Err(code) => (code, 0),
                });
            }
            spec::DISABLE_SLOT => self.disable_slot(slot, env)?,
            spec::ADDRESS_DEVICE => self.address_device(trb, env)?,
            spec::CONFIGURE_ENDPOINT => self.configure(trb, env)?,
            spec::EVALUATE_CONTEXT => self.evaluate(trb, env)?,
            spec::RESET_ENDPOINT => self.reset_endpoint(trb, env)?,
            spec::STOP_ENDPOINT => self.stop_endpoint(trb, env)?,
            spec::SET_DEQUEUE => self.set_dequeue(trb, env)?,
            spec::RESET_DEVICE => self.reset_device(slot, env)?,
            spec::PORT_BANDWIDTH => self.port_bandwidth(trb, env)?,
            // Virtualisation, latency tolerance, forced headers: optional or for tests, and not there.
            _ => spec::TRB_ERROR,
        };
        Ok((code, slot))
    }

    /// Get port bandwidth (4.6.15): percent that are free for periodic transfers, all of what may be.
    fn port_bandwidth(&mut self, trb: Trb, env: &mut dyn Env) -> Result<u8, Fallen> {
        let speed = trb.control >> 16 & 0xf;
        if !(spec::SPEED_FULL..=spec::SPEED_SUPER).contains(&speed) {
            return Ok(spec::PARAMETER_ERROR);
        }
        let is_super = speed == spec::SPEED_SUPER;
        let free = if speed == spec::SPEED_HIGH { 80 } else { 90 };
        let mut bytes = vec![0];
        bytes.extend(self.ports.iter().map(|port| if port.is_super == is_super { free } else { 0 }));
        self.store(trb.parameter & !0xf, &bytes, env)?;
        Ok(spec::SUCCESS)
    }
}
