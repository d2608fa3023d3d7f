//! The event loop: deadlines, doorbells, ended interrupts, what is typed.

use crate::VmmError;
use crate::machine::{Machine, lock};
use crate::serial;
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::timerfd::TimerFd;

const WAKE: u32 = 0;
const TIMER: u32 = 1;
const DOORBELL: u32 = 2;
const TYPED: u32 = 3;
const DEBUGGER: u32 = 4;
const PAUSE: u32 = 5;
const RESAMPLE: u32 = 16;

/// Rounds of due work before doorbells, events and the watchdog get their turn: a storm that is faster than this host is always due.
const ROUNDS: usize = 64;

fn system(what: &'static str) -> impl FnOnce(event_manager::Error) -> VmmError {
    move |error| VmmError::System { what, error: std::io::Error::other(error.to_string()) }
}

/// Waits for events and acts on them.
pub struct EventLoop {
    manager: EventManager<Subscriber>,
}

/// Whether more may be typed now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typing {
    Goes,
    /// What was typed last, then, is still on the line, or the guest has time for it.
    Pauses(Instant),
    /// The guest has not read what was typed then.
    Waits(Instant),
}

struct Subscriber {
    machine: Arc<Machine>,
    timer: TimerFd,
    doorbell: EventFd,
    /// What is typed into the serial port.
    input: Option<Arc<File>>,
    typing: Typing,
    /// Ends a pause in it.
    pause: TimerFd,
    debugger: Option<RawFd>,
}

impl EventLoop {
    /// A loop for `machine`; what can be read from `input` goes to the serial port. It turns when `debugger` can be read.
    ///
    /// # Errors
    /// The system refuses a timer or a registration.
    pub fn new(
        machine: Arc<Machine>,
        input: Option<Arc<File>>,
        debugger: Option<RawFd>,
    ) -> Result<Self, VmmError> {
        let timer = || TimerFd::new().map_err(VmmError::system("cannot make a timer"));
        let (timer, pause, typing) = (timer()?, timer()?, Typing::Goes);
        let doorbell = lock(&machine.doorbells).event()?;
        let mut manager = EventManager::new().map_err(system("cannot make the event loop"))?;
        manager.add_subscriber(Subscriber { machine, timer, doorbell, input, typing, pause, debugger });
        Ok(Self { manager })
    }

    /// Waits for events, at most for `patience`, and acts on them.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn wait(&mut self, patience: Duration) -> Result<(), VmmError> {
        let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        self.manager.run_with_timeout(milliseconds).map_err(system("cannot wait for events"))?;
        Ok(())
    }
}

/// That there is something to type.
fn typed(input: &File) -> Events {
    Events::with_data_raw(input.as_raw_fd(), TYPED, EventSet::IN)
}

impl Subscriber {
    /// When the platform wants to run, and may.
    fn deadline(&self) -> u64 {
        self.machine.deadline.load(Ordering::Acquire).max(self.machine.faults.asleep_until())
    }

    /// When the event loop wants to run: then, or where the machine is to stop.
    fn alarm(&self) -> u64 {
        let zero = self.machine.ready_at.load(Ordering::Acquire);
        self.deadline().min(self.machine.halt.time(zero))
    }

    /// Runs what is due, and sets the timer for what comes next.
    fn advance(&mut self) {
        for _ in 0..ROUNDS {
            let deadline = self.deadline();
            if deadline > self.machine.clock.now() {
                break;
            }
            self.machine.done_at(deadline);
            self.machine.with_platform(|platform, host| platform.advance(host));
            if self.machine.is_stopping() {
                return;
            }
        }
        // While the machine is held its time stands still, and nothing falls due.
        let held = self.machine.hold.is_asked();
        let set = match self.alarm() {
            _ if held => self.timer.clear(),
            u64::MAX => self.timer.clear(),
            deadline => self.timer.reset(self.machine.clock.until(deadline), None),
        };
        if set.is_err() {
            // Without the timer the loop still turns at its patience.
            let _ = self.machine.wake.write(1);
        }
    }

    fn ring(&self) {
        // A lock in the loop's head would be held throughout, and every access takes it again.
        let rung = lock(&self.machine.doorbells).rung();
        for bell in rung {
            let bytes = bell.value.unwrap_or(0).to_le_bytes();
            let width = usize::from(bell.width).min(bytes.len());
            self.machine.memory_write(bell.address, &bytes[..width]);
        }
    }

    /// Types as much as the port takes now, and pauses. Nothing is lost: the rest stays where it comes from.
    fn type_in(&mut self, ops: &mut EventOps<'_>) {
        let Some(input) = &self.input else { return };
        let mut bytes = [0; serial::BUFFER];
        let room = serial::room(&mut lock(&self.machine.serial)).min(bytes.len());
        match input.as_ref().read(&mut bytes[..room]) {
            Ok(n) if n > 0 || room == 0 => {
                // It fits, unless the guest fills the buffer itself: its loop mode takes the port off the line.
                let _ = lock(&self.machine.serial).enqueue_raw_bytes(&bytes[..n]);
                if ops.remove(typed(input)).is_ok() {
                    self.rest(serial::PAUSE, Instant::now());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            _ => {
                let _ = ops.remove(typed(input));
            }
        }
    }

    /// Types nothing for so long.
    fn rest(&mut self, pause: Duration, since: Instant) {
        self.typing = match self.pause.reset(pause, None) {
            Ok(()) => Typing::Pauses(since),
            // Without the timer the next turn tries again.
            Err(_) => {
                let _ = self.machine.wake.write(1);
                Typing::Waits(since)
            }
        };
    }

    /// The pause is over: goes on typing, if the guest has read; otherwise it wakes the loop when it has.
    fn type_on(&mut self, since: Instant, ops: &mut EventOps<'_>) {
        let Some(input) = &self.input else { return };
        self.typing = match serial::is_read(&lock(&self.machine.serial)) && ops.add(typed(input)).is_ok() {
            true => Typing::Goes,
            false => Typing::Waits(since),
        };
    }
}

impl MutEventSubscriber for Subscriber {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let mut events = vec![
            Events::with_data(&self.machine.wake, WAKE, EventSet::IN),
            Events::with_data(&self.timer, TIMER, EventSet::IN),
            Events::with_data(&self.doorbell, DOORBELL, EventSet::IN),
            Events::with_data(&self.pause, PAUSE, EventSet::IN),
        ];
        for (number, resample) in self.machine.interrupts.resamples().enumerate() {
            events.push(Events::with_data_raw(resample.as_raw_fd(), RESAMPLE + number as u32, EventSet::IN));
        }
        if let Some(debugger) = self.debugger {
            events.push(Events::with_data_raw(debugger, DEBUGGER, EventSet::IN));
        }
        if let Some(input) = &self.input {
            events.push(typed(input));
        }
        for event in events {
            if let Err(error) = ops.add(event) {
                let what = format!("the event loop cannot watch a descriptor: {error}");
                self.machine.end(crate::ending::Ending::Hang { what });
            }
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        match events.data() {
            WAKE => {
                let _ = self.machine.wake.read();
                self.advance();
                if let Typing::Waits(since) = self.typing
                    && serial::is_read(&lock(&self.machine.serial))
                {
                    self.rest(serial::respite(since.elapsed()), since);
                }
            }
            // Not read: another event of the same round may have set the timer anew, and a read would then wait for that. Setting
            // it, as `advance` does, forgets what has expired.
            TIMER => self.advance(),
            DOORBELL => self.ring(),
            PAUSE => {
                // What has expired is forgotten with it.
                let _ = self.pause.clear();
                if let Typing::Pauses(since) = self.typing {
                    self.type_on(since, ops);
                }
            }
            TYPED => self.type_in(ops),
            // Whoever turns the loop looks after it.
            DEBUGGER => {}
            line => self.machine.interrupts.resample((line - RESAMPLE) as usize),
        }
    }
}
