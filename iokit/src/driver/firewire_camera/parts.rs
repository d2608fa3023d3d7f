//! What the driver has between `start` and `stop`: the stream, and the clients' places in it.
//!
//! ```text
//! client thread ─► gate: what there is for it, else sleep ─┬─ not tuned in ─► channel, bandwidth, context, the camera's registers
//! camera ─► packet in each cycle ─► context's ring ─► gate: kept, readers wake
//! ```
//!
//! *A bus reset* takes channel and bandwidth away, and the camera stops by itself. The next reader tunes in anew, as soon as the camera was found again.
//! Only clients' threads tune in: they can sleep. To tune out takes no thread: what has to be said is said, and nobody waits for an answer.

use super::feed::{ENTRY_BYTES, Feed, PACKET_BYTES, PIECES};
use crate::driver::common::{FireWireFrame, Frame, Parts as _};
use crate::family::firewire::standard::REGISTERS;
use crate::family::firewire::{Ask, Generation, Share, StreamId};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::KernelRef;

/// Register: bit 31 = send; bits 21:16 = channel; bits 1:0 = speed code.
const CONTROL: u64 = REGISTERS + 0x1_0000;
/// In it: send.
const SEND: u32 = 1 << 31;
/// Register: bytes of a packet.
const PACKET: u64 = CONTROL + 4;
/// Register: pieces of a frame.
const FRAME: u64 = CONTROL + 8;
/// Attempts of each step that fail for another reason than a bus reset.
const TRIES: u32 = 4;

/// A stream that is received.
struct Running {
    share: Share,
    stream: StreamId,
}

#[derive(Default)]
struct State {
    feed: Feed,
    running: Option<Running>,
    /// A thread is tuning in.
    tuning: bool,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    wire: FireWireFrame,
    state: Arc<Gated<State>>,
}

impl Parts {
    /// The parts of driver `me`; nothing is asked of the camera yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        let wire = FireWireFrame::new(me, provider)?;
        let state = Arc::new(wire.frame().gated(State::default()));
        Ok(Self { kernel: me.kernel().clone(), wire, state })
    }

    /// The user client with registry id `client` gets what comes from now on.
    pub fn subscribe(&self, me: &ServiceRef, client: u32) -> IOResult {
        self.frame().call(me, || {
            self.state.with(|s| s.feed.add(client));
            Ok(())
        })
    }

    /// The user client gets nothing more: its sleepers return Aborted. With the last one the camera is stopped.
    pub fn unsubscribe(&self, client: u32) {
        self.frame().work_loop().run_action(|| {
            let wanted = self.state.with(|s| {
                s.feed.remove(client);
                s.feed.is_wanted()
            });
            if !wanted && self.frame().alive().is_ok() {
                self.tune_out();
            }
            self.wire.device().wake();
        });
    }

    /// As many entries as are there for `client` and fit into `into`; waits `wait` ns for the first. How many. `me` is the driver.
    /// Offline if the camera goes meanwhile; Aborted if the client does. NoSpace, NoResources: there is no channel, bandwidth or context for it.
    pub fn read(&self, me: &ServiceRef, client: u32, wait: u64, into: &mut [u8]) -> IOResult<usize> {
        let deadline = self.kernel.now().saturating_add(wait);
        self.frame().call(me, || {
            loop {
                self.frame().alive()?;
                let count = self.take(client, into)?;
                if count != 0 || self.kernel.now() >= deadline {
                    return Ok(count);
                }
                match self.wanted_generation() {
                    Some(generation) => self.tune_in(generation)?,
                    None => self.wire.device().sleep(deadline),
                }
            }
        })
    }

    fn take(&self, client: u32, into: &mut [u8]) -> IOResult<usize> {
        let mut count = 0;
        for place in into.chunks_exact_mut(ENTRY_BYTES) {
            match self.state.with(|s| s.feed.take(client)).ok_or(IOReturn::Aborted)? {
                Some(entry) => place.copy_from_slice(&entry.encode()),
                None => break,
            }
            count += 1;
        }
        Ok(count)
    }

    /// The generation to tune in in, if that is to be done. Gated.
    fn wanted_generation(&self) -> Option<Generation> {
        let generation = self.wire.device().generation().ok()?;
        self.state.with(|s| {
            let runs = s.running.as_ref().is_some_and(|running| running.share.generation == generation);
            (!runs && !s.tuning).then_some(generation)
        })
    }

    /// Lets the camera send, on a channel of this generation. A bus reset meanwhile is no error: it is to be done again. Gated; sleeps.
    fn tune_in(&self, generation: Generation) -> IOResult {
        self.state.with(|s| s.tuning = true);
        self.tune_out();
        let result = self.begin(generation);
        self.state.with(|s| s.tuning = false);
        // Whoever wanted it may have gone, and the camera, too.
        if result.is_err() || self.frame().closed().is_some() || !self.state.with(|s| s.feed.is_wanted()) {
            self.tune_out();
        }
        self.wire.device().wake();
        match result {
            Err(IOReturn::BusReset) => Ok(()),
            other => other.map_err(|why| self.frame().closed().unwrap_or(why)),
        }
    }

    fn begin(&self, generation: Generation) -> IOResult {
        let device = self.wire.device();
        let speed = device.speed();
        self.persist(|| device.bus().keep_cycles(generation))?;
        // An acknowledge that was lost costs a channel until the next bus reset: nobody knows who has it.
        let share = self.persist(|| device.bus().take_share(generation, PACKET_BYTES as u16, speed))?;
        if let Err(why) = self.open(share) {
            device.bus().give_back(share);
            return Err(why);
        }
        let control = SEND | u32::from(share.channel) << 16 | u32::from(speed);
        for (register, value) in [(PACKET, PACKET_BYTES as u32), (FRAME, PIECES), (CONTROL, control)] {
            let ask = Ask::Write(&value.to_be_bytes());
            self.persist(|| device.ask(generation, register, ask).map(drop))?;
        }
        Ok(())
    }

    /// Receives before the camera sends: so its first packet is not missed. Gated.
    fn open(&self, share: Share) -> IOResult {
        self.frame().alive()?;
        let (state, device) = (Arc::downgrade(&self.state), Arc::downgrade(self.wire.device()));
        let sink = Arc::new(move |packet: crate::family::firewire::StreamPacket| {
            if let (Some(state), Some(device)) = (state.upgrade(), device.upgrade()) {
                state.with(|s| s.feed.push(&packet.data));
                device.wake();
            }
        });
        let link = self.wire.device().bus().link();
        let stream = link.open_stream(share.channel, PACKET_BYTES as u16, sink)?;
        self.state.with(|s| {
            s.feed.begin();
            s.running = Some(Running { share, stream });
        });
        Ok(())
    }

    /// A step, again and again while it fails in a way that may pass.
    fn persist<R>(&self, mut step: impl FnMut() -> IOResult<R>) -> IOResult<R> {
        let mut tries = TRIES;
        loop {
            self.frame().alive()?;
            match step() {
                Err(IOReturn::NotResponding | IOReturn::Timeout | IOReturn::Busy) if tries > 1 => tries -= 1,
                other => return other,
            }
        }
    }

    /// Nothing is received any more, the camera is told to stop, channel and bandwidth are given back; of a generation that is over the bus reset has
    /// done all that. Gated; does not sleep.
    fn tune_out(&self) {
        let Some(Running { share, stream }) = self.state.with(|s| s.running.take()) else { return };
        let device = self.wire.device();
        device.bus().link().close_stream(stream);
        if device.generation() == Ok(share.generation) {
            let _ = device.submit(share.generation, CONTROL, Ask::Write(&[0; 4]), Box::new(drop));
        }
        // The camera may be gone from a bus that has not been reset; of a generation that is over this does nothing.
        device.bus().give_back(share);
    }
}

impl crate::driver::common::Parts for Parts {
    fn frame(&self) -> &Frame {
        self.wire.frame()
    }

    fn go_offline(&self) {
        self.wire.go_offline(|| self.tune_out());
    }
}
