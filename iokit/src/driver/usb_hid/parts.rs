//! What the driver has between `start` and `stop`: the interrupt pipe, which is always asked, and the clients' places in what comes.
//!
//! ```text
//! device ─► interrupt pipe ─► gate: report kept, readers wake; the pipe is asked again
//! client thread ─► gate: what there is for it, else commandSleep until there is, or its time is over
//! ```

use super::driver::UsbHidDriver;
use super::report::{ENTRY_BYTES, REPORT_BYTES, Reports};
use crate::driver::common::{self, Frame};
use crate::family::usb::standard::{CLASS, TO_INTERFACE};
use crate::family::usb::{Data, Device, EndpointKind, Pipe, Setup, UsbInterface};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use crate::work_loop::Gated;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use mach::{KernelRef, WaitEvent, WaitMode, WaitResult};

/// SET_IDLE (HID 1.11, 7.2.4).
const SET_IDLE: u8 = 0x0a;
/// SET_PROTOCOL (7.2.6); 0 = boot.
const SET_PROTOCOL: u8 = 0x0b;
/// What the frame's watchdog would wait for; it is never armed.
const NEVER_NS: u64 = u64::MAX;
/// Errors in a row before the device is left alone.
const ERRORS_MAX: u32 = 8;

#[derive(Default)]
struct State {
    reports: Reports,
    errors: u32,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    me: Weak<Service>,
    frame: Frame,
    device: Arc<Device>,
    interface: u8,
    pipe: Pipe,
    memory: Arc<MemoryDescriptor>,
    news: WaitEvent,
    state: Gated<State>,
}

/// The parts of the driver that `service` is.
pub fn parts_of(service: &ServiceRef) -> IOResult<Arc<Parts>> {
    service.driver_as::<UsbHidDriver>().ok_or(IOReturn::Offline)?.parts()
}

impl Parts {
    /// Finds the pipe; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        let interface = UsbInterface::of(provider).ok_or(IOReturn::BadArgument)?;
        let pipe = interface.find_pipe(EndpointKind::Interrupt, true).ok_or(IOReturn::NotFound)?;
        let device = interface.device().clone();
        let work_loop = device.bus().host().work_loop().clone();
        let frame = Frame::sharing(work_loop, me, vec![], NEVER_NS, |_| {});
        Ok(Self {
            kernel: me.kernel().clone(),
            me: Arc::downgrade(me),
            state: frame.gated(State::default()),
            news: me.kernel().new_event(),
            memory: device.buffer(REPORT_BYTES as u64)?,
            interface: interface.descriptor().number,
            frame,
            device,
            pipe,
        })
    }

    fn request(&self, request: u8) -> IOResult {
        let setup = Setup {
            kind: CLASS | TO_INTERFACE,
            request,
            value: 0,
            index: u16::from(self.interface),
            length: 0,
        };
        match self.device.control(setup, None) {
            // A mouse need not know SET_IDLE (7.2.4).
            Ok(_) | Err(IOReturn::PipeStalled) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Asks the pipe, which answers when there is a report. Gated.
    fn ask(&self) -> IOResult {
        self.frame.hold()?;
        let length = u32::from(self.pipe.endpoint().packet).min(REPORT_BYTES as u32);
        let data = Data { memory: self.memory.clone(), offset: 0, length };
        let me = self.me.clone();
        let done = Box::new(move |result| {
            if let Some(me) = me.upgrade()
                && let Ok(parts) = parts_of(&me)
            {
                parts.answered(result);
                parts.frame.release(&me);
            }
        });
        let begun = self.pipe.submit(data, None, done);
        if begun.is_err()
            && let Some(me) = self.me.upgrade()
        {
            self.frame.release(&me);
        }
        begun
    }

    fn answered(&self, result: IOResult<u32>) {
        if self.frame.closed().is_some() {
            return;
        }
        match result {
            Ok(count) => {
                let mut bytes = [0; REPORT_BYTES];
                let count = (count as usize).min(REPORT_BYTES);
                self.memory.read_bytes(0, &mut bytes[..count]);
                self.state.with(|s| {
                    s.errors = 0;
                    s.reports.push(&bytes[..count]);
                });
                self.frame.wake([self.news]);
                let _ = self.ask();
            }
            Err(IOReturn::Offline) => {}
            Err(why) => self.failed(why),
        }
    }

    /// A report was lost on the way. A reader's thread, which can sleep, ends the halt and asks the pipe again.
    fn failed(&self, why: IOReturn) {
        let errors = self.state.with(|s| {
            s.errors += 1;
            s.errors
        });
        if errors > ERRORS_MAX {
            self.kernel.log(format_args!("usb-hid: {why}, and again; the device is left alone"));
            self.frame.close(IOReturn::NotResponding);
        }
        self.frame.wake([self.news]);
    }

    /// Ends a halt, if the pipe has one. Gated; sleeps.
    fn mend(&self) -> IOResult {
        if self.state.with(|s| s.errors == 0) {
            return Ok(());
        }
        let errors = self.state.with(|s| core::mem::take(&mut s.errors));
        let mended = self.pipe.clear_stall().and_then(|()| match self.frame.closed() {
            None => self.ask(),
            Some(why) => Err(why),
        });
        if mended.is_err() {
            // The next reader tries again, as long as there is hope.
            self.state.with(|s| s.errors = errors + 1);
        }
        mended
    }

    /// The user client with registry id `client` gets what comes from now on.
    pub fn subscribe(&self, me: &ServiceRef, client: u32) -> IOResult {
        self.frame.call(me, || {
            self.state.with(|s| s.reports.add(client));
            Ok(())
        })
    }

    /// The user client gets nothing more: its sleepers return Aborted.
    pub fn unsubscribe(&self, client: u32) {
        self.frame.work_loop().run_action(|| {
            self.state.with(|s| s.reports.remove(client));
            self.frame.wake([self.news]);
        });
    }

    /// As many entries as are there for `client` and fit into `into`; waits `wait` ns for the first. How many. `me` is the driver.
    /// Offline if the device goes meanwhile, NotResponding if it was given up; Aborted if the thread or its client is.
    pub fn read(&self, me: &ServiceRef, client: u32, wait: u64, into: &mut [u8]) -> IOResult<usize> {
        let deadline = self.kernel.now().saturating_add(wait);
        self.frame.call(me, || {
            loop {
                if let Some(why) = self.frame.closed() {
                    return Err(why);
                }
                self.mend()?;
                let count = self.take(client, into)?;
                if count != 0 || self.kernel.now() >= deadline {
                    return Ok(count);
                }
                let woken = self.frame.gate().command_sleep(self.news, WaitMode::AbortSafe, Some(deadline));
                if woken == WaitResult::Interrupted {
                    return Err(IOReturn::Aborted);
                }
            }
        })
    }

    fn take(&self, client: u32, into: &mut [u8]) -> IOResult<usize> {
        let mut count = 0;
        for place in into.chunks_exact_mut(ENTRY_BYTES) {
            match self.state.with(|s| s.reports.take(client)).ok_or(IOReturn::Aborted)? {
                Some(entry) => place.copy_from_slice(&entry.encode()),
                None => break,
            }
            count += 1;
        }
        Ok(count)
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        self.frame.call(&me, || {
            self.request(SET_PROTOCOL)?;
            self.request(SET_IDLE)?;
            self.ask()
        })
    }

    /// The pipe comes back with the device, or is aborted if that is still there.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            self.frame.wake([self.news]);
            self.pipe.abort();
        });
    }
}
