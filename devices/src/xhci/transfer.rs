//! Transfers: TDs into packets (4.10, 4.11).
//!
//! An endpoint is served in turns. A turn moves up to [`BURST`] bytes and [`PACKETS`] packets; the next comes when the bus has carried them, even if a doorbell
//! asks for it earlier. What a device is not ready for is tried again when it says so, or when something else has happened to the device.

use super::agenda::Job;
use super::td::{Front, Place, transfer_event};
use super::{Fallen, Xhci};
use crate::env::{Env, Mishap};
use crate::fault::plane::Site;
use crate::spec::usb::{REQUEST_IN, SETUP_BYTES};
use crate::spec::xhci as spec;
use crate::usb::Reply;

/// Bytes of a turn at the most: about what high speed carries in a microframe.
const BURST: u64 = 8192;
/// Packets of a turn at the most.
const PACKETS: usize = 32;
/// Bytes of a packet at the most.
const PACKET: usize = 1024;
/// Machine ns from a packet that the device is not ready for to the next try at the least.
const RETRY_NS: u64 = 1_000;
/// Machine ns of a packet beside its bytes.
const PACKET_NS: u64 = 250;

/// What the first TRB of a TD makes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Setup,
    /// Data to the host, or to the device.
    Data(bool),
    /// Status, to the host or to the device.
    Status(bool),
    /// Nothing moves.
    Nothing,
}

/// What became of a packet.
enum Packet {
    /// So many bytes moved.
    Moved(usize),
    /// Not now: worth a try then.
    Later(Option<u64>),
    /// An error, by its completion code.
    Failed(u8),
}

/// What became of a TD, or of a part of it.
enum Step {
    /// There is more to do now.
    On,
    /// Nothing to do until a doorbell.
    Idle,
    /// Nothing to do until then, or until something happens to the device.
    Wait(Option<u64>),
}

/// Machine ns of a byte.
fn byte_ns(speed: u32) -> u64 {
    match speed {
        spec::SPEED_SUPER => 2,
        spec::SPEED_HIGH => 15,
        spec::SPEED_FULL => 800,
        _ => 6_000,
    }
}

impl Xhci {
    /// A turn of an endpoint.
    pub(super) fn serve(&mut self, slot: u8, index: u8, env: &mut dyn Env) -> Result<(), Fallen> {
        let now = env.now();
        let carried = self.endpoint(slot, index).map_or(0, |endpoint| endpoint.carried);
        if now < carried {
            self.agenda.plan(Job::Endpoint(slot, index), carried);
            return Ok(());
        }
        let (mut bytes, mut packets) = (0, 0);
        while bytes < BURST && packets < PACKETS {
            let Some(endpoint) = self.endpoint(slot, index) else { return Ok(()) };
            if endpoint.context.state() != spec::EP_RUNNING {
                return Ok(());
            }
            // One packet, or none, in each interval (6.2.3, Interval), whatever waits in the ring.
            let early = endpoint.served.saturating_add(endpoint.context.interval());
            if endpoint.is_periodic() && endpoint.served > 0 && now < early {
                self.agenda.plan(Job::Endpoint(slot, index), early);
                return Ok(());
            }
            let before = endpoint.td.as_ref().map_or(0, |td| td.moved);
            let step = self.step(slot, index, env)?;
            let after = self.endpoint(slot, index).and_then(|it| it.td.as_ref().map(|td| td.moved));
            bytes += after.unwrap_or(before + 512).saturating_sub(before);
            packets += 1;
            match step {
                Step::On => {}
                Step::Idle => return Ok(()),
                Step::Wait(time) => {
                    if let Some(time) = time {
                        let time = time.max(now.saturating_add(RETRY_NS));
                        self.agenda.plan(Job::Endpoint(slot, index), time);
                    }
                    return Ok(());
                }
            }
            if self.is_blocked() {
                return Ok(());
            }
        }
        let carried = self.endpoint(slot, index).map_or(0, |endpoint| endpoint.carried);
        let least = now.saturating_add(packets as u64 * PACKET_NS);
        self.agenda.plan(Job::Endpoint(slot, index), carried.max(least));
        Ok(())
    }

    /// Takes the next TD if there is none, or goes one packet on.
    fn step(&mut self, slot: u8, index: u8, env: &mut dyn Env) -> Result<Step, Fallen> {
        let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Step::Idle) };
        if endpoint.td.is_none() {
            let mut cursor = endpoint.cursor;
            let front = self.gather(&mut cursor, env)?;
            let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Step::Idle) };
            match front {
                Front::Empty => return Ok(Step::Idle),
                Front::Bad => {
                    let event = transfer_event(endpoint.cursor.address, spec::TRB_ERROR, 0, slot, index);
                    endpoint.rest(spec::EP_ERROR);
                    self.post(0, event, false, env)?;
                    self.save_endpoint(slot, index, env)?;
                    return Ok(Step::Idle);
                }
                Front::Td(td) => {
                    endpoint.cursor = cursor;
                    endpoint.td = Some(td);
                    endpoint.edtla = 0;
                }
            }
        }
        let Some(kind) = self.kind(slot, index) else { return self.fail(slot, index, spec::TRB_ERROR, env) };
        let packet = match kind {
            Kind::Nothing => Packet::Moved(0),
            Kind::Setup => self.setup(slot, index, env),
            Kind::Data(true) => self.receive(slot, index, env)?,
            Kind::Data(false) => self.send(slot, index, env)?,
            Kind::Status(to_host) => self.status_stage(slot, to_host, env),
        };
        match packet {
            Packet::Moved(bytes) => self.moved(slot, index, kind, bytes, env),
            Packet::Later(time) => Ok(Step::Wait(time)),
            Packet::Failed(code) => self.fail(slot, index, code, env),
        }
    }

    /// What the TD under way is, if it may be on this endpoint.
    fn kind(&mut self, slot: u8, index: u8) -> Option<Kind> {
        let endpoint = self.endpoint(slot, index)?;
        let is_control = endpoint.context.kind() == spec::TYPE_CONTROL;
        let first = endpoint.td.as_ref()?.first();
        let to_host = first.has(spec::TRB_DIRECTION);
        match first.kind() {
            spec::NO_OP | spec::LINK | spec::EVENT_DATA => Some(Kind::Nothing),
            spec::SETUP if is_control => {
                let good = first.has(spec::TRB_IDT) && first.length() as usize == SETUP_BYTES;
                good.then_some(Kind::Setup)
            }
            spec::DATA if is_control => Some(Kind::Data(to_host)),
            spec::STATUS if is_control => Some(Kind::Status(to_host)),
            spec::NORMAL if !is_control => Some(Kind::Data(endpoint.is_in())),
            spec::ISOCH if endpoint.is_isochronous() => Some(Kind::Data(endpoint.is_in())),
            _ => None,
        }
    }

    /// Some bytes of the TD have moved (or there were none to move): its events, and whether it is over.
    fn moved(
        &mut self,
        slot: u8,
        index: u8,
        kind: Kind,
        bytes: usize,
        env: &mut dyn Env,
    ) -> Result<Step, Fallen> {
        let now = env.now();
        let speed = self.slot(slot).map_or(0, |slot| slot.context.speed());
        let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Step::Idle) };
        let cost = bytes as u64 * byte_ns(speed) + PACKET_NS;
        endpoint.carried = endpoint.carried.max(now).saturating_add(cost);
        let most = usize::from(endpoint.context.packet() & 0x7ff);
        let Some(td) = endpoint.td.as_mut() else { return Ok(Step::Idle) };
        let moves_none = matches!(kind, Kind::Nothing | Kind::Setup | Kind::Status(_));
        td.moved += if moves_none { td.left() } else { bytes as u64 };
        endpoint.edtla = endpoint.edtla.wrapping_add(bytes as u32);
        endpoint.served = now;
        let short = kind == Kind::Data(true) && bytes < most && td.left() > 0;
        let events = td.finish(short, &mut endpoint.edtla, slot, index);
        if td.is_done() {
            endpoint.td = None;
        }
        for (target, event, quiet) in events {
            self.post(target, event, quiet, env)?;
        }
        if kind != Kind::Nothing {
            self.kick_slot(slot, now.saturating_add(RETRY_NS));
            // This endpoint goes on by itself.
            self.agenda.cancel(Job::Endpoint(slot, index));
        }
        Ok(Step::On)
    }

    /// The TD ends in an error: an event, and the endpoint halts (4.10.2).
    fn fail(&mut self, slot: u8, index: u8, code: u8, env: &mut dyn Env) -> Result<Step, Fallen> {
        let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Step::Idle) };
        let Some(td) = &endpoint.td else { return Ok(Step::Idle) };
        let (target, event) = td.event(code, slot, index);
        let goes_on = endpoint.is_isochronous() && code != spec::TRB_ERROR;
        if goes_on {
            endpoint.td = None;
        } else {
            endpoint.rest(if code == spec::TRB_ERROR { spec::EP_ERROR } else { spec::EP_HALTED });
        }
        self.post(target, event, false, env)?;
        if goes_on {
            return Ok(Step::On);
        }
        self.save_endpoint(slot, index, env)?;
        Ok(Step::Idle)
    }

    /// The device of a slot, if it answers, and what happens to a packet at `site` that is for the endpoint with this address.
    fn reach(&mut self, slot: u8, site: Site, address: u8, env: &mut dyn Env) -> Result<usize, Packet> {
        let lost = || Packet::Failed(spec::TRANSACTION_ERROR);
        let it = self.slot(slot).ok_or_else(lost)?;
        let (context, device) = (it.context, it.address());
        let unit = self.find(&context, device, env.now()).ok_or_else(lost)?;
        match env.pass(unit, site) {
            Mishap::None => Ok(unit),
            Mishap::Stall => {
                self.tree.function(unit).stall(address);
                Err(Packet::Failed(spec::STALL))
            }
            Mishap::Babble => Err(Packet::Failed(spec::BABBLE)),
            Mishap::Nak(time) => Err(Packet::Later(Some(time))),
            Mishap::Error | Mishap::Gone => Err(lost()),
        }
    }

    /// A setup packet, which is in its TRB.
    fn setup(&mut self, slot: u8, index: u8, env: &mut dyn Env) -> Packet {
        let unit = match self.reach(slot, Site::UsbSetup, 0, env) {
            Ok(unit) => unit,
            Err(packet) => return packet,
        };
        let first = self.endpoint(slot, index).and_then(|it| it.td.as_ref().map(|td| td.first()));
        let first = first.unwrap_or_default();
        let now = env.now();
        self.tree.function(unit).setup(first.parameter.to_le_bytes(), now);
        self.follow_hub(unit, env);
        Packet::Moved(SETUP_BYTES)
    }

    /// Devices below a hub that it has reset or switched off.
    fn follow_hub(&mut self, unit: usize, env: &mut dyn Env) {
        for struck in self.tree.strike_below(unit) {
            env.pass(struck, Site::UsbReset);
        }
    }

    /// The status stage: a packet of no bytes.
    fn status_stage(&mut self, slot: u8, to_host: bool, env: &mut dyn Env) -> Packet {
        let site = if to_host { Site::UsbIn } else { Site::UsbOut };
        let unit = match self.reach(slot, site, 0, env) {
            Ok(unit) => unit,
            Err(packet) => return packet,
        };
        let now = env.now();
        let function = self.tree.function(unit);
        let reply =
            if to_host { function.input(0, &mut [0; PACKET], now) } else { function.output(0, &[], now) };
        self.follow_hub(unit, env);
        match reply {
            Reply::Done(0) => Packet::Moved(0),
            Reply::Done(_) => Packet::Failed(spec::BABBLE),
            reply => refused(reply),
        }
    }

    /// A packet from the device.
    fn receive(&mut self, slot: u8, index: u8, env: &mut dyn Env) -> Result<Packet, Fallen> {
        let unit = match self.reach(slot, Site::UsbIn, (index / 2) | REQUEST_IN, env) {
            Ok(unit) => unit,
            Err(packet) => return Ok(packet),
        };
        let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Packet::Later(None)) };
        let most = usize::from(endpoint.context.packet() & 0x7ff).min(PACKET);
        let mut packet = [0; PACKET];
        let reply = self.tree.function(unit).input(index / 2, &mut packet[..most], env.now());
        let Reply::Done(length) = reply else { return Ok(refused(reply)) };
        let Some(td) = self.endpoint(slot, index).and_then(|it| it.td.as_ref()) else {
            return Ok(Packet::Later(None));
        };
        if length as u64 > td.left() {
            return Ok(Packet::Failed(spec::BABBLE));
        }
        let mut rest = &packet[..length];
        for (place, bytes) in td.pieces(length as u64) {
            let (part, others) = rest.split_at(bytes);
            rest = others;
            // Immediate data cannot be received (6.4.1.1, IDT): the bytes have no place.
            if let Place::Memory(address) = place {
                self.store(address, part, env)?;
            }
        }
        Ok(Packet::Moved(length))
    }

    /// A packet to the device.
    fn send(&mut self, slot: u8, index: u8, env: &mut dyn Env) -> Result<Packet, Fallen> {
        let unit = match self.reach(slot, Site::UsbOut, index / 2, env) {
            Ok(unit) => unit,
            Err(packet) => return Ok(packet),
        };
        let Some(endpoint) = self.endpoint(slot, index) else { return Ok(Packet::Later(None)) };
        let most = u64::from(endpoint.context.packet() & 0x7ff).min(PACKET as u64);
        let Some(td) = endpoint.td.as_ref() else { return Ok(Packet::Later(None)) };
        let length = td.left().min(most) as usize;
        let mut packet = [0; PACKET];
        let mut at = 0;
        for (place, bytes) in td.pieces(length as u64) {
            let into = &mut packet[at..at + bytes];
            at += bytes;
            match place {
                Place::Memory(address) => self.fetch(address, into, env)?,
                Place::Immediate(data) => into.copy_from_slice(&data.to_le_bytes()[..bytes]),
            }
        }
        let reply = self.tree.function(unit).output(index / 2, &packet[..length], env.now());
        Ok(match reply {
            Reply::Done(_) => Packet::Moved(length),
            reply => refused(reply),
        })
    }
}

/// What an answer that is none means.
fn refused(reply: Reply) -> Packet {
    match reply {
        Reply::Nak(time) => Packet::Later(time),
        Reply::Stall => Packet::Failed(spec::STALL),
        Reply::Silence | Reply::Done(_) => Packet::Failed(spec::TRANSACTION_ERROR),
    }
}
