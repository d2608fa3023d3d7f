//! What the driver has between `start` and `stop`: two bulk pipes, and the one client that has the port.
//!
//! ```text
//! device ─► bulk in, asked as long as there is room ─► gate: bytes kept, readers wake
//! client thread ─► read: gate, what there is, else commandSleep until there is, or its time is over
//!               └► write: gate, one writer at a time, bulk out
//! ```

use super::driver::UsbSerial;
use crate::driver::common::{Frame, Parts as _, UsbFrame, UsbHabits};
use crate::family::usb::standard::CLASS_CDC_DATA;
use crate::family::usb::{Data, EndpointKind, Pipe};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use mach::{KernelRef, WaitEvent, WaitMode};

/// SET_LINE_CODING (PSTN 1.2, 6.3.10).
const SET_LINE_CODING: u8 = 0x20;
/// SET_CONTROL_LINE_STATE (6.3.12).
const SET_LINES: u8 = 0x22;
/// Data terminal ready, and request to send.
const READY: u16 = 3;
/// 115200 bits a second, one stop bit, no parity, eight bits.
const CODING: [u8; 7] = [0x00, 0xc2, 0x01, 0, 0, 0, 8];
/// Bytes of one transfer at the most.
const PIECE: usize = 512;
/// Bytes that wait for the client at the most: the device is not asked for more.
const ROOM: usize = 4096;
/// How long a write may take, machine ns.
const WRITE_NS: u64 = 2_000_000_000;

#[derive(Default)]
struct State {
    /// Registry id of the client that has the port; 0 = none.
    owner: u32,
    received: VecDeque<u8>,
    /// The bulk pipe in is being asked.
    asking: bool,
    /// It failed, and whoever can sleep is to end its halt.
    halted: bool,
    /// Somebody writes.
    writing: bool,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    usb: UsbFrame,
    input: Pipe,
    output: Pipe,
    /// What comes, and behind it what goes.
    memory: Arc<MemoryDescriptor>,
    news: WaitEvent,
    turn: WaitEvent,
    state: Gated<State>,
}

impl Parts {
    /// Finds the pipes, which belong to the data interface; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let (usb, _) = UsbFrame::new(me, provider, habits)?;
        let device = usb.device();
        let data = device.facts().configuration.active().find(|i| i.class == CLASS_CDC_DATA);
        let data = data.ok_or(IOReturn::NotFound)?;
        let pipe = |input| data.find(EndpointKind::Bulk, input).ok_or(IOReturn::NotFound);
        let (input, output) = (device.pipe(pipe(true)?), device.pipe(pipe(false)?));
        Ok(Self {
            kernel: me.kernel().clone(),
            state: usb.frame().gated(State::default()),
            news: me.kernel().new_event(),
            turn: me.kernel().new_event(),
            memory: device.buffer(2 * PIECE as u64)?,
            usb,
            input,
            output,
        })
    }

    /// The user client with registry id `client` has the port from now on. ExclusiveAccess: another has it.
    pub fn open(&self, me: &ServiceRef, client: u32) -> IOResult {
        self.frame().call(me, || {
            let taken = self.state.with(|s| {
                let taken = s.owner != 0;
                if !taken {
                    s.owner = client;
                    // It does not get what the one before it left.
                    s.received.clear();
                }
                taken
            });
            if taken {
                return Err(IOReturn::ExclusiveAccess);
            }
            self.usb.device().control(self.usb.setup(SET_LINES, READY, 0), None).inspect_err(|_| {
                self.state.with(|s| s.owner = 0);
            })?;
            self.ask();
            Ok(())
        })
    }

    /// The user client lets go of the port: its sleepers return Aborted. Does not sleep.
    pub fn close(&self, client: u32) {
        self.frame().work_loop().run_action(|| {
            let had = self.state.with(|s| {
                let had = s.owner == client;
                if had {
                    s.owner = 0;
                }
                had
            });
            if had {
                self.frame().wake([self.news, self.turn]);
                self.output.abort();
                self.usb.habits().let_go(&self.memory);
            }
        });
    }

    /// Asks for more, if there is room and nobody does. Gated.
    fn ask(&self) {
        let wanted = self.state.with(|s| {
            let wanted = !s.asking && !s.halted && s.received.len() + PIECE <= ROOM;
            s.asking |= wanted;
            wanted
        });
        if wanted && self.begin_input().is_err() {
            self.state.with(|s| s.asking = false);
        }
    }

    fn begin_input(&self) -> IOResult {
        let data = Data { memory: self.memory.clone(), offset: 0, length: PIECE as u32 };
        self.usb.begin::<UsbSerial>(&self.input, data, Self::answered)
    }

    fn answered(&self, result: IOResult<u32>) {
        self.state.with(|s| s.asking = false);
        if self.frame().closed().is_some() {
            return;
        }
        match result {
            Ok(count) => {
                let mut bytes = [0; PIECE];
                let count = (count as usize).min(PIECE);
                self.memory.read_bytes(0, &mut bytes[..count]);
                self.state.with(|s| {
                    if s.owner != 0 {
                        s.received.extend(&bytes[..count]);
                    }
                });
                self.ask();
            }
            Err(IOReturn::Offline | IOReturn::Aborted) => {}
            Err(_) => self.state.with(|s| s.halted = true),
        }
        self.frame().wake([self.news]);
    }

    /// Ends a halt of the pipe in, if it has one. Gated; sleeps.
    fn mend(&self) -> IOResult {
        if !self.state.with(|s| core::mem::take(&mut s.halted)) {
            return Ok(());
        }
        let mended = self.input.clear_stall();
        match mended {
            Ok(()) => self.ask(),
            // The next reader tries again.
            Err(_) => self.state.with(|s| s.halted = true),
        }
        mended
    }

    fn check(&self, client: u32) -> IOResult {
        self.frame().alive()?;
        if self.state.with(|s| s.owner == client) { Ok(()) } else { Err(IOReturn::Aborted) }
    }

    /// What has come for `client`, at most as much as fits into `into`; waits `wait` ns for the first byte. How many. `me` is the driver.
    /// Offline if the device goes meanwhile; Aborted if the thread or its client is.
    pub fn read(&self, me: &ServiceRef, client: u32, wait: u64, into: &mut [u8]) -> IOResult<usize> {
        let deadline = self.kernel.now().saturating_add(wait);
        self.frame().call(me, || {
            loop {
                self.check(client)?;
                self.mend()?;
                let count = self.state.with(|s| {
                    let count = s.received.len().min(into.len());
                    into.iter_mut().zip(s.received.drain(..count)).for_each(|(into, byte)| *into = byte);
                    count
                });
                self.ask();
                if count != 0 || self.kernel.now() >= deadline {
                    return Ok(count);
                }
                self.frame().sleep(self.news, Some(deadline))?;
            }
        })
    }

    /// Writes all of `from` for `client`. `me` is the driver.
    /// Offline if the device goes meanwhile, Timeout if it does not take it, Aborted if the client goes.
    pub fn write(&self, me: &ServiceRef, client: u32, from: &[u8]) -> IOResult {
        self.frame().call(me, || {
            while self.state.with(|s| core::mem::replace(&mut s.writing, true)) {
                self.frame().gate().command_sleep(self.turn, WaitMode::Uninterruptible, None);
            }
            let result = from.chunks(PIECE).try_for_each(|piece| self.write_piece(client, piece));
            self.state.with(|s| s.writing = false);
            self.frame().gate().command_wakeup(self.turn, true);
            result.map_err(|why| self.frame().closed().unwrap_or(why))
        })
    }

    fn write_piece(&self, client: u32, piece: &[u8]) -> IOResult {
        self.check(client)?;
        self.memory.write_bytes(PIECE as u64, piece);
        let data = Data { memory: self.memory.clone(), offset: PIECE as u64, length: piece.len() as u32 };
        match self.output.transfer(data, WRITE_NS) {
            Ok(count) if count as usize == piece.len() => Ok(()),
            Ok(_) => Err(IOReturn::Error),
            Err(why @ (IOReturn::PipeStalled | IOReturn::NotResponding)) => {
                self.output.clear_stall()?;
                Err(why)
            }
            Err(why) => Err(why),
        }
    }
}

impl crate::driver::common::Parts for Parts {
    fn frame(&self) -> &Frame {
        self.usb.frame()
    }

    fn begin(&self) -> IOResult {
        self.frame().begin()?;
        self.frame().call(&self.usb.me()?, || {
            let mut coding = CODING;
            let setup = self.usb.setup(SET_LINE_CODING, 0, CODING.len() as u16);
            match self.usb.device().request_bytes(setup, &mut coding) {
                // A port without a line has no rate either.
                Ok(_) | Err(IOReturn::PipeStalled) => Ok(()),
                Err(why) => Err(why),
            }
        })
    }

    fn go_offline(&self) {
        self.usb.go_offline([&self.input, &self.output], |frame| frame.wake([self.news, self.turn]));
    }
}
