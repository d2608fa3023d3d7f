//! What the driver has between `start` and `stop`: the status pipe, which is always asked, and the hub on the bus.
//!
//! ```text
//! status pipe ─► gate: which ports ─► the bus's thread looks at them; the pipe is asked again
//!      └ an error other than the end ─► the bus's thread clears the halt and asks again
//! ```

use super::driver::{UsbHub, UsbHubDriver};
use super::ports::HubPorts;
use super::wire;
use crate::driver::common::{Frame, Parts as _, UsbFrame, UsbHabits};
use crate::family::bus::Bus as _;
use crate::family::usb::standard::{CLASS, GET_DESCRIPTOR, HUB, IN, SUPER_HUB};
use crate::family::usb::{Data, EndpointKind, Hub, HubFacts, Pipe, Setup, Speed};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use mach::{WaitEvent, WaitMode};

/// Bytes of the status pipe's bitmap that are asked for: 31 ports and the hub.
const BITMAP_BYTES: u64 = 4;
/// Errors of the status pipe before it is left alone.
const ERRORS_MAX: u32 = 8;
/// How long the ports' power may take at the most, machine ns: what a hub says is not believed beyond.
const POWER_NS_MAX: u64 = 500_000_000;

#[derive(Default)]
struct State {
    hub: Option<Arc<Hub>>,
    /// The status pipe failed, and the bus's thread is to ask it again.
    failed: bool,
    errors: u32,
}

/// Everything of a started driver.
pub struct Parts {
    usb: UsbFrame,
    pipe: Pipe,
    memory: Arc<MemoryDescriptor>,
    nap: WaitEvent,
    state: Gated<State>,
}

impl Parts {
    /// Finds the status pipe; nothing is asked of the hub yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let (usb, interface) = UsbFrame::new(me, provider, habits)?;
        let pipe = interface.find_pipe(EndpointKind::Interrupt, true).ok_or(IOReturn::NotFound)?;
        Ok(Self {
            state: usb.frame().gated(State::default()),
            nap: me.kernel().new_event(),
            memory: usb.device().buffer(BITMAP_BYTES)?,
            usb,
            pipe,
        })
    }

    /// What the hub says of itself. Gated; sleeps.
    fn describe(&self) -> IOResult<(HubFacts, u64)> {
        let of = if self.usb.device().facts().place.speed == Speed::Super { SUPER_HUB } else { HUB };
        let setup = Setup {
            kind: IN | CLASS,
            request: GET_DESCRIPTOR,
            value: u16::from(of) << 8,
            index: 0,
            length: wire::DESCRIPTOR_BYTES,
        };
        let mut bytes = [0; wire::DESCRIPTOR_BYTES as usize];
        let count = self.usb.device().request_bytes(setup, &mut bytes)?;
        wire::describe(&bytes[..count]).ok_or(IOReturn::NotResponding)
    }

    /// Makes the device a hub: for the controller, and its ports for everybody. Gated; sleeps.
    fn set_up(&self, parts: Weak<Self>) -> IOResult<HubPorts> {
        let (facts, power) = self.describe()?;
        let host = self.usb.device().bus().host().clone();
        host.configure(self.usb.device().handle(), &[], Some(facts))?;
        let place = self.usb.device().facts().place;
        if place.speed == Speed::Super {
            let setup = Setup {
                kind: CLASS,
                request: wire::SET_DEPTH,
                value: u16::from(place.depth),
                ..Setup::default()
            };
            self.usb.device().control(setup, None)?;
        }
        let ports =
            HubPorts::new(self.usb.device(), facts.ports.min(crate::family::usb::hub::PORTS_MAX), parts);
        for port in 1..=facts.ports.min(crate::family::usb::hub::PORTS_MAX) {
            ports.power(port)?;
        }
        self.nap((power * 1_000_000).min(POWER_NS_MAX));
        Ok(ports)
    }

    /// Sleeps in the gate. The hub may go meanwhile.
    fn nap(&self, nanos: u64) {
        let Ok(me) = self.usb.me() else { return };
        let deadline = me.kernel().now().saturating_add(nanos);
        while self.frame().closed().is_none() && me.kernel().now() < deadline {
            self.frame().gate().command_sleep(self.nap, WaitMode::Uninterruptible, Some(deadline));
        }
    }

    /// The parts as they are in their driver, which has just got them: sets the hub up and asks its status pipe.
    fn begin_hub(&self, me: &ServiceRef) -> IOResult {
        let own = UsbHubDriver::parts_of(me)?;
        let ports = self.frame().call(me, || self.set_up(Arc::downgrade(&own)))?;
        // In one stay in the gate: no port is looked at before it is certain that this driver starts.
        self.usb.device().bus().gated(|| {
            self.frame().alive()?;
            let parent = self.usb.habits().parent(me);
            let hub = self.usb.device().bus().add_hub(&parent, self.usb.device(), Box::new(ports))?;
            self.state.with(|s| s.hub = Some(hub.clone()));
            let begun = self.ask();
            if begun.is_err() {
                self.leave();
            }
            begun
        })
    }

    /// Asks the status pipe, which answers when there is news. Gated.
    fn ask(&self) -> IOResult {
        let data = Data { memory: self.memory.clone(), offset: 0, length: self.bytes() };
        self.usb.begin::<UsbHub>(&self.pipe, data, Self::answered)
    }

    fn bytes(&self) -> u32 {
        u32::from(self.pipe.endpoint().packet).min(BITMAP_BYTES as u32)
    }

    /// The status pipe has answered. Gated.
    fn answered(&self, result: IOResult<u32>) {
        let Some(hub) = self.state.with(|s| s.hub.clone()) else { return };
        if self.frame().closed().is_some() {
            return;
        }
        match result {
            Ok(count) => {
                let mut bytes = [0; BITMAP_BYTES as usize];
                self.memory.read_bytes(0, &mut bytes);
                let count = (count as usize).min(bytes.len());
                self.state.with(|s| s.errors = 0);
                wire::named(&bytes[..count])
                    .filter(|&port| port != 0)
                    .for_each(|port| hub.call_attention(port));
                self.usb.device().bus().wake();
                self.ask_or_tend(&hub);
            }
            Err(IOReturn::Offline) => {}
            Err(_) => self.need_tending(&hub),
        }
    }

    fn ask_or_tend(&self, hub: &Arc<Hub>) {
        match self.ask() {
            Ok(()) | Err(IOReturn::Offline) => {}
            Err(_) => self.need_tending(hub),
        }
    }

    fn need_tending(&self, hub: &Arc<Hub>) {
        self.state.with(|s| s.failed = true);
        hub.call_attention(0);
        self.usb.device().bus().wake();
    }

    /// On the bus's thread: a status pipe that failed is asked again, a number of times. Gated; sleeps.
    pub fn tend(&self) {
        let again = self.state.with(|s| {
            let failed = core::mem::replace(&mut s.failed, false);
            s.errors += u32::from(failed);
            failed && s.errors <= ERRORS_MAX
        });
        if !again || self.frame().closed().is_some() {
            return;
        }
        let Some(hub) = self.state.with(|s| s.hub.clone()) else { return };
        match self.pipe.clear_stall() {
            Ok(()) => self.ask_or_tend(&hub),
            Err(IOReturn::Offline) => return,
            Err(_) => self.need_tending(&hub),
        }
        // What the pipe did not tell of meanwhile.
        if self.frame().closed().is_none() {
            (1..=hub.ports().count()).for_each(|port| hub.call_attention(port));
            self.usb.device().bus().wake();
        }
    }

    /// The hub is no hub of the bus any more.
    pub fn leave(&self) {
        let hub = self.usb.device().bus().gated(|| self.state.with(|s| s.hub.take()));
        if let Some(hub) = hub {
            self.usb.device().bus().remove_hub(&hub);
        }
    }
}

impl crate::driver::common::Parts for Parts {
    fn frame(&self) -> &Frame {
        self.usb.frame()
    }

    fn begin(&self) -> IOResult {
        self.frame().begin()?;
        self.begin_hub(&self.usb.me()?)
    }

    fn go_offline(&self) {
        self.usb.go_offline([&self.pipe], |frame| {
            if let Some(hub) = self.state.with(|s| s.hub.clone()) {
                hub.set_gone();
            }
            frame.wake([self.nap]);
        });
    }
}
