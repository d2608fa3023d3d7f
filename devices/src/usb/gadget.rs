//! What a USB device is, to whoever writes one.

use super::descriptor::Descriptors;
use super::hub::Ports;
use crate::spec::usb as spec;

/// Signalling rates (USB 2.0, 4.2.1; USB 3.2, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speed {
    /// 1.5 Mbit/s.
    Low,
    /// 12 Mbit/s.
    Full,
    /// 480 Mbit/s.
    High,
    /// 5 Gbit/s.
    Super,
}

/// A setup packet (9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// bmRequestType.
    pub kind: u8,
    /// bRequest.
    pub request: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// wLength.
    pub length: u16,
}

impl Setup {
    /// From its bytes.
    pub fn parse(bytes: [u8; spec::SETUP_BYTES]) -> Self {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self { kind: bytes[0], request: bytes[1], value: word(2), index: word(4), length: word(6) }
    }

    /// The data stage, if there is one, goes to the host.
    pub fn is_in(&self) -> bool {
        self.kind & spec::REQUEST_IN != 0
    }

    /// Standard, class or vendor (`spec::TYPE_…`).
    pub fn class(&self) -> u8 {
        self.kind & spec::REQUEST_TYPE
    }

    /// To whom (`spec::TO_…`).
    pub fn recipient(&self) -> u8 {
        self.kind & spec::REQUEST_RECIPIENT
    }
}

/// The device does not know the request, or cannot carry it out: it answers with a halt (9.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled;

/// The answer to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// So many bytes came (IN), or were taken (OUT).
    Done(usize),
    /// Not now; worth another try at this machine time, or, without one, when something else has happened to the device.
    Nak(Option<u64>),
    /// The endpoint is halted.
    Stall,
    /// No answer at all.
    Silence,
}

/// A USB device, without what all devices have in common. Called with machine time in ns; holds no clock itself.
pub trait Gadget: Send {
    /// The fastest signalling that it can do.
    fn speed(&self) -> Speed;

    /// What it says about itself at `speed`. Constant.
    fn descriptors(&self, speed: Speed) -> Descriptors;

    /// A request to the control endpoint that is not one of the standard ones, or a standard one for a descriptor of a class. To the host: `data` is
    /// empty and takes the answer, which is cut to the length that was asked for. To the device: `data` is what came.
    ///
    /// # Errors
    /// The request is answered with a halt.
    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled>;

    /// The host asks endpoint `endpoint` (1–15, IN) for a packet; `packet` is as large as the endpoint's packets can be.
    fn input(&mut self, endpoint: u8, packet: &mut [u8], now: u64) -> Reply;

    /// The host sends `packet` to endpoint `endpoint` (1–15, OUT). A packet that is answered with [`Reply::Nak`] comes again.
    fn output(&mut self, endpoint: u8, packet: &[u8], now: u64) -> Reply;

    /// Back to the state after power-on, but for what the device keeps without power.
    fn reset(&mut self) {}

    /// An endpoint (by its address, bit 7: IN) was made to halt by a fault, as if the device had no good answer there. What it answers until the halt is taken
    /// away is not asked for.
    fn stalled(&mut self, _endpoint: u8) {}

    /// The halt of an endpoint (by its address, bit 7: IN) is taken away.
    fn resume(&mut self, _endpoint: u8) {}

    /// The ports, if it is a hub.
    fn ports(&mut self) -> Option<&mut Ports> {
        None
    }
}
