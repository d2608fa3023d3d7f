//! What all USB devices have in common: addresses, configurations, standard requests, the stages of a control transfer.

use super::descriptor::{self, Descriptors};
use super::gadget::{Gadget, Reply, Setup, Speed, Stalled};
use crate::spec::usb as spec;

/// Where the control endpoint is (8.5.3).
enum Stage {
    /// No transfer is under way.
    Idle,
    /// The device has an answer; so much of it is sent.
    Send { data: Vec<u8>, sent: usize },
    /// The device takes data.
    Take { setup: Setup, data: Vec<u8> },
    /// The request was refused: data and status stage are answered with a halt.
    Refused,
}

/// A device in some state of table 9-1.
pub struct Function {
    gadget: Box<dyn Gadget>,
    speed: Speed,
    descriptors: Descriptors,
    address: u8,
    configuration: u8,
    /// Bit n: endpoint n; bit 16 + n: its IN side.
    halted: u32,
    remote_wakeup: bool,
    stage: Stage,
}

impl Function {
    /// A device after power-on.
    pub fn new(gadget: Box<dyn Gadget>) -> Self {
        let speed = gadget.speed();
        let descriptors = gadget.descriptors(speed);
        let stage = Stage::Idle;
        Self {
            gadget,
            speed,
            descriptors,
            address: 0,
            configuration: 0,
            halted: 0,
            remote_wakeup: false,
            stage,
        }
    }

    /// The device behind.
    pub fn gadget(&mut self) -> &mut dyn Gadget {
        self.gadget.as_mut()
    }

    /// The speed at which it works now.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// The port can do no more than `speed`: the device works as fast as both can.
    pub fn limit(&mut self, speed: Speed) {
        self.speed = self.gadget.speed().min(speed);
        self.descriptors = self.gadget.descriptors(self.speed);
    }

    /// The port resets the device (9.1.1.3).
    pub fn reset(&mut self) {
        self.address = 0;
        self.configuration = 0;
        self.halted = 0;
        self.remote_wakeup = false;
        self.stage = Stage::Idle;
        self.gadget.reset();
    }

    /// The address that the host gave it; 0 = none.
    pub fn address(&self) -> u8 {
        self.address
    }

    /// The host's SET_ADDRESS, whose stages the controller carries out by itself (xHCI 1.2, 4.6.5).
    pub fn set_address(&mut self, address: u8) {
        self.address = address;
        self.stage = Stage::Idle;
    }

    /// A setup packet; a device always takes it (8.5.3), and begins anew.
    pub fn setup(&mut self, bytes: [u8; spec::SETUP_BYTES], now: u64) {
        let setup = Setup::parse(bytes);
        self.stage = if setup.is_in() {
            let mut data = Vec::new();
            match self.request(&setup, &mut data, now) {
                Ok(()) => {
                    data.truncate(setup.length.into());
                    Stage::Send { data, sent: 0 }
                }
                Err(Stalled) => Stage::Refused,
            }
        } else {
            Stage::Take { setup, data: Vec::new() }
        };
    }

    /// A token IN; `packet` is as large as the endpoint's packets can be.
    pub fn input(&mut self, endpoint: u8, packet: &mut [u8], now: u64) -> Reply {
        if endpoint == 0 {
            return self.control_in(packet, now);
        }
        let Some(most) = self.packet(endpoint | spec::REQUEST_IN) else { return Reply::Silence };
        if self.halted & halt_bit(endpoint | spec::REQUEST_IN) != 0 {
            return Reply::Stall;
        }
        let room = packet.len().min(most.into());
        self.gadget.input(endpoint, &mut packet[..room], now)
    }

    /// A token OUT with its packet.
    pub fn output(&mut self, endpoint: u8, packet: &[u8], now: u64) -> Reply {
        if endpoint == 0 {
            return self.control_out(packet);
        }
        if self.packet(endpoint).is_none() {
            return Reply::Silence;
        }
        if self.halted & halt_bit(endpoint) != 0 {
            return Reply::Stall;
        }
        self.gadget.output(endpoint, packet, now)
    }

    /// The device has no good answer on the endpoint with this address: it is halted from now on, until the host takes that away. The control
    /// endpoint is not: the next request ends its halt (8.5.3.4).
    pub fn stall(&mut self, address: u8) {
        if address & 0xf == 0 {
            self.stage = Stage::Refused;
        } else if self.packet(address).is_some() {
            self.halted |= halt_bit(address);
            self.gadget.stalled(address);
        }
    }

    /// The largest packet of an endpoint that the device has now.
    fn packet(&self, address: u8) -> Option<u16> {
        if self.configuration == 0 {
            return None;
        }
        self.descriptors.configuration.packet(address)
    }

    /// The control endpoint is asked for data, or for the status of a request to the device.
    fn control_in(&mut self, packet: &mut [u8], now: u64) -> Reply {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Send { data, sent } => {
                let most = packet.len().min(descriptor::control_packet(self.speed).into());
                let part = &data[sent..data.len().min(sent + most)];
                packet[..part.len()].copy_from_slice(part);
                let (done, sent) = (part.len(), sent + part.len());
                self.stage = Stage::Send { data, sent };
                Reply::Done(done)
            }
            Stage::Take { setup, mut data } => match self.request(&setup, &mut data, now) {
                Ok(()) => Reply::Done(0),
                Err(Stalled) => {
                    self.stage = Stage::Refused;
                    Reply::Stall
                }
            },
            Stage::Refused => {
                self.stage = Stage::Refused;
                Reply::Stall
            }
            Stage::Idle => Reply::Stall,
        }
    }

    /// The control endpoint is sent data, or the host's status of a request to the host.
    fn control_out(&mut self, packet: &[u8]) -> Reply {
        match &mut self.stage {
            Stage::Take { setup, data } if data.len() + packet.len() <= setup.length.into() => {
                data.extend(packet);
                Reply::Done(packet.len())
            }
            Stage::Send { .. } if packet.is_empty() => {
                self.stage = Stage::Idle;
                Reply::Done(0)
            }
            _ => {
                self.stage = Stage::Refused;
                Reply::Stall
            }
        }
    }

    fn request(&mut self, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled> {
        if setup.class() != spec::TYPE_STANDARD {
            return self.gadget.control(setup, data, now);
        }
        match (setup.recipient(), setup.request) {
            (spec::TO_DEVICE, spec::GET_DESCRIPTOR) => self.describe(setup, data, now),
            (spec::TO_DEVICE, spec::SET_ADDRESS) => {
                self.address = setup.value as u8 & 0x7f;
                Ok(())
            }
            (spec::TO_DEVICE, spec::GET_CONFIGURATION) => {
                data.push(self.configuration);
                Ok(())
            }
            (spec::TO_DEVICE, spec::SET_CONFIGURATION) => self.configure(setup.value),
            (spec::TO_DEVICE, spec::SET_SEL | spec::SET_ISOCH_DELAY) if self.speed == Speed::Super => Ok(()),
            (_, spec::GET_STATUS) => self.status(setup, data),
            (_, spec::SET_FEATURE) => self.feature(setup, true),
            (_, spec::CLEAR_FEATURE) => self.feature(setup, false),
            (spec::TO_INTERFACE, request) => self.interface(request, setup, data, now),
            _ => Err(Stalled),
        }
    }

    fn describe(&mut self, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled> {
        let [index, kind] = setup.value.to_le_bytes();
        let can_do_super = self.gadget.speed() == Speed::Super;
        *data = match kind {
            spec::DESCRIPTOR_DEVICE => self.descriptors.device(self.speed),
            spec::DESCRIPTOR_CONFIGURATION if index == 0 => self.descriptors.configuration.bytes(),
            spec::DESCRIPTOR_STRING => self.descriptors.string(index).ok_or(Stalled)?,
            spec::DESCRIPTOR_QUALIFIER if self.speed == Speed::High => self.descriptors.qualifier(),
            spec::DESCRIPTOR_BOS if can_do_super => descriptor::object_store(),
            _ => return self.gadget.control(setup, data, now),
        };
        Ok(())
    }

    fn configure(&mut self, value: u16) -> Result<(), Stalled> {
        if value > 1 {
            return Err(Stalled);
        }
        self.configuration = value as u8;
        self.halted = 0;
        Ok(())
    }

    fn status(&self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stalled> {
        let bits = match setup.recipient() {
            spec::TO_DEVICE => 1 | u8::from(self.remote_wakeup) << 1,
            spec::TO_INTERFACE => 0,
            spec::TO_ENDPOINT => {
                let address = setup.index as u8;
                if address & 0x7f != 0 && self.packet(address).is_none() {
                    return Err(Stalled);
                }
                u8::from(self.halted & halt_bit(address) != 0)
            }
            _ => return Err(Stalled),
        };
        data.extend([bits, 0]);
        Ok(())
    }

    fn feature(&mut self, setup: &Setup, set: bool) -> Result<(), Stalled> {
        match (setup.recipient(), setup.value) {
            (spec::TO_DEVICE, spec::FEATURE_REMOTE_WAKEUP) => {
                self.remote_wakeup = set;
                Ok(())
            }
            (spec::TO_DEVICE, spec::FEATURE_U1 | spec::FEATURE_U2) if self.speed == Speed::Super => Ok(()),
            (spec::TO_INTERFACE, _) if self.speed == Speed::Super => Ok(()),
            (spec::TO_ENDPOINT, spec::FEATURE_HALT) => self.halt(setup.index as u8, set),
            _ => Err(Stalled),
        }
    }

    fn halt(&mut self, address: u8, set: bool) -> Result<(), Stalled> {
        if address & 0x7f == 0 {
            // A halt of the control endpoint ends with the next setup packet anyway.
            return Ok(());
        }
        self.packet(address).ok_or(Stalled)?;
        if set {
            self.halted |= halt_bit(address);
        } else {
            self.halted &= !halt_bit(address);
            self.gadget.resume(address);
        }
        Ok(())
    }

    fn interface(&mut self, request: u8, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled> {
        if request == spec::GET_DESCRIPTOR {
            return self.gadget.control(setup, data, now);
        }
        let there =
            self.configuration != 0 && setup.index < self.descriptors.configuration.interfaces().into();
        match request {
            spec::GET_INTERFACE if there => {
                data.push(0);
                Ok(())
            }
            spec::SET_INTERFACE if there && setup.value == 0 => Ok(()),
            _ => Err(Stalled),
        }
    }
}

/// The bit of an endpoint, by its address, in the set of those that are halted.
fn halt_bit(address: u8) -> u32 {
    let side = if address & spec::REQUEST_IN != 0 { 16 } else { 0 };
    1 << (u32::from(address & 0xf) + side)
}
