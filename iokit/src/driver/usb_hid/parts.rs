//! What the driver has between `start` and `stop`: the interrupt pipe, which is always asked, and the clients' places in what comes.
//!
//! ```text
//! device ─► interrupt pipe ─► gate: report kept, readers wake; the pipe is asked again
//! client thread ─► gate: what there is for it, else commandSleep until there is, or its time is over
//! ```

use super::driver::UsbHid;
use super::report::{ENTRY_BYTES, REPORT_BYTES, Reports};
use crate::driver::common::{Frame, Parts as _, UsbFrame, UsbHabits};
use crate::family::usb::{Data, EndpointKind, Pipe};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::{KernelRef, WaitEvent};

/// SET_IDLE (HID 1.11, 7.2.4).
const SET_IDLE: u8 = 0x0a;
/// SET_PROTOCOL (7.2.6); 0 = boot.
const SET_PROTOCOL: u8 = 0x0b;

#[derive(Default)]
struct State {
    reports: Reports,
    /// The pipe failed, and whoever can sleep is to end its halt.
    halted: bool,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    usb: UsbFrame,
    pipe: Pipe,
    memory: Arc<MemoryDescriptor>,
    news: WaitEvent,
    state: Gated<State>,
}

impl Parts {
    /// Finds the pipe; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let (usb, interface) = UsbFrame::new(me, provider, habits)?;
        let pipe = interface.find_pipe(EndpointKind::Interrupt, true).ok_or(IOReturn::NotFound)?;
        Ok(Self {
            kernel: me.kernel().clone(),
            state: usb.frame().gated(State::default()),
            news: me.kernel().new_event(),
            memory: usb.device().buffer(REPORT_BYTES as u64)?,
            usb,
            pipe,
        })
    }

    fn request(&self, request: u8) -> IOResult {
        match self.usb.device().control(self.usb.setup(request, 0, 0), None) {
            // A mouse need not know SET_IDLE (7.2.4).
            Ok(_) | Err(IOReturn::PipeStalled) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Where the next report goes.
    fn data(&self) -> Data {
        let length = u32::from(self.pipe.endpoint().packet).min(REPORT_BYTES as u32);
        Data { memory: self.memory.clone(), offset: 0, length }
    }

    /// Asks the pipe, which answers when there is a report. Gated.
    fn ask(&self) -> IOResult {
        self.usb.begin::<UsbHid>(&self.pipe, self.data(), Self::answered)
    }

    fn answered(&self, result: IOResult<u32>) {
        if self.frame().closed().is_some() {
            return;
        }
        match result {
            Ok(count) => {
                let mut bytes = [0; REPORT_BYTES];
                let count = (count as usize).min(REPORT_BYTES);
                self.memory.read_bytes(0, &mut bytes[..count]);
                self.state.with(|s| s.reports.push(&bytes[..count]));
                self.frame().wake([self.news]);
                let _ = self.ask();
            }
            Err(IOReturn::Offline) => {}
            // A report was lost on the way. A reader's thread, which can sleep, ends the halt and asks the pipe again.
            Err(_) => {
                self.state.with(|s| s.halted = true);
                self.frame().wake([self.news]);
            }
        }
    }

    /// Ends a halt, if the pipe has one. Gated; sleeps.
    fn mend(&self) -> IOResult {
        if !self.state.with(|s| core::mem::take(&mut s.halted)) {
            return Ok(());
        }
        let mended = self.pipe.clear_stall().and_then(|()| self.frame().alive()).and_then(|()| self.ask());
        if mended.is_err() {
            // The next reader tries again.
            self.state.with(|s| s.halted = true);
        }
        mended
    }

    /// The user client with registry id `client` gets what comes from now on.
    pub fn subscribe(&self, me: &ServiceRef, client: u32) -> IOResult {
        self.frame().call(me, || {
            self.state.with(|s| s.reports.add(client));
            Ok(())
        })
    }

    /// The user client gets nothing more: its sleepers return Aborted.
    pub fn unsubscribe(&self, client: u32) {
        self.frame().work_loop().run_action(|| {
            self.state.with(|s| s.reports.remove(client));
            self.frame().wake([self.news]);
        });
    }

    /// As many entries as are there for `client` and fit into `into`; waits `wait` ns for the first. How many. `me` is the driver.
    /// Offline if the device goes meanwhile, NotResponding if it was given up; Aborted if the thread or its client is.
    pub fn read(&self, me: &ServiceRef, client: u32, wait: u64, into: &mut [u8]) -> IOResult<usize> {
        let deadline = self.kernel.now().saturating_add(wait);
        self.frame().call(me, || {
            loop {
                self.frame().alive()?;
                self.mend()?;
                let count = self.take(client, into)?;
                if count != 0 || self.kernel.now() >= deadline {
                    return Ok(count);
                }
                self.frame().sleep(self.news, Some(deadline))?;
                self.usb.habits().woken(&|| {
                    let _ = self.pipe.submit(self.data(), None, Box::new(drop));
                });
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

impl crate::driver::common::Parts for Parts {
    fn frame(&self) -> &Frame {
        self.usb.frame()
    }

    fn begin(&self) -> IOResult {
        self.frame().begin()?;
        self.frame().call(&self.usb.me()?, || {
            self.request(SET_PROTOCOL)?;
            self.request(SET_IDLE)?;
            self.ask()
        })
    }

    fn go_offline(&self) {
        self.usb.go_offline([&self.pipe], |frame| frame.wake([self.news]));
    }
}
