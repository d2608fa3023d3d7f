//! Work loop, event sources and calls in flight of a started driver.

use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Options, ServiceRef};
use crate::work_loop::{CommandGate, Gated, InterruptSource, TimerPriority, TimerSource, WorkLoop};
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::{KernelRef, WaitEvent, WaitMode, WaitResult};

/// What the gate protects.
#[derive(Default)]
struct State {
    /// Calls between their first and their last use of the provider.
    calls: u32,
    /// Why nothing is started any more.
    closed: Option<IOReturn>,
    /// The last call closes the provider.
    closing: bool,
    /// The watchdog is armed.
    watched: bool,
}

/// The frame of a started driver: one work loop with a command gate, interrupts and a watchdog.
pub struct Frame {
    kernel: KernelRef,
    work_loop: Arc<WorkLoop>,
    gate: Arc<CommandGate>,
    interrupts: Vec<Arc<InterruptSource>>,
    watchdog: Arc<TimerSource>,
    /// Machine ns from arming to firing.
    patience: u64,
    /// Its interrupts stay disabled.
    mute: bool,
    state: Gated<State>,
}

impl Frame {
    /// The frame of driver `me`, with nothing attached yet. `watch` is the watchdog's action: it runs in the gate, `patience` machine ns
    /// after [`Frame::arm_watchdog`].
    pub fn new(
        me: &ServiceRef,
        interrupts: Vec<Arc<InterruptSource>>,
        patience: u64,
        watch: impl Fn(&ServiceRef) + Send + Sync + 'static,
    ) -> Self {
        Self::sharing(WorkLoop::new(me), me, interrupts, patience, watch)
    }

    /// As [`Frame::new`], in a work loop that the driver shares with others: its provider's.
    pub fn sharing(
        work_loop: Arc<WorkLoop>,
        me: &ServiceRef,
        interrupts: Vec<Arc<InterruptSource>>,
        patience: u64,
        watch: impl Fn(&ServiceRef) + Send + Sync + 'static,
    ) -> Self {
        let watchdog = TimerSource::new(me, TimerPriority::ThreadCall, move |owner, _| watch(owner));
        let gate = CommandGate::new(me);
        let state = Gated::new(&work_loop, State::default());
        Self {
            kernel: me.kernel().clone(),
            work_loop,
            gate,
            interrupts,
            watchdog,
            patience,
            mute: false,
            state,
        }
    }

    /// The same, of a driver that forgets to enable its interrupts if `mute`.
    #[must_use]
    pub fn muted(mut self, mute: bool) -> Self {
        self.mute = mute;
        self
    }

    /// The work loop.
    pub fn work_loop(&self) -> &Arc<WorkLoop> {
        &self.work_loop
    }

    /// The gate through which clients' threads come.
    pub fn gate(&self) -> &Arc<CommandGate> {
        &self.gate
    }

    /// State that this frame's gate protects.
    pub fn gated<T>(&self, value: T) -> Gated<T> {
        Gated::new(&self.work_loop, value)
    }

    /// Attaches the event sources and enables the interrupts.
    pub fn begin(&self) -> IOResult {
        self.work_loop.add_event_source(&self.gate)?;
        self.work_loop.add_event_source(&self.watchdog)?;
        for interrupt in &self.interrupts {
            self.work_loop.add_event_source(interrupt)?;
        }
        self.interrupts.iter().filter(|_| !self.mute).for_each(|interrupt| interrupt.enable());
        Ok(())
    }

    /// Why nothing is started any more, if so: Offline (the device is going), or what [`Frame::close`] said. Gated.
    pub fn closed(&self) -> Option<IOReturn> {
        self.state.with(|s| s.closed)
    }

    /// Ok as long as something may be started, else what [`Frame::closed`] says. Gated.
    pub fn alive(&self) -> IOResult {
        self.closed().map_or(Ok(()), Err)
    }

    /// The device is given up: calls to come fail with `why`. Gated.
    pub fn close(&self, why: IOReturn) {
        self.state.with(|s| s.closed = Some(why));
    }

    /// Calls in flight, and what else uses the provider. Gated.
    pub fn calls(&self) -> u32 {
        self.state.with(|s| s.calls)
    }

    /// The kernel.
    pub fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// Runs `action` in the gate as a call that uses the provider of driver `me`; the last one closes it if the driver waits for that.
    pub fn call<R>(&self, me: &ServiceRef, action: impl FnOnce() -> IOResult<R>) -> IOResult<R> {
        let mut close = false;
        let result = self.gate.run_action(|| {
            self.state.with(|s| match s.closed {
                Some(why) => Err(why),
                None => {
                    s.calls += 1;
                    Ok(())
                }
            })?;
            let result = action();
            close = self.state.with(|s| {
                s.calls -= 1;
                s.calls == 0 && s.closing
            });
            result
        });
        if close && let Some(provider) = me.provider() {
            provider.close(me, Options::empty());
        }
        result
    }

    /// Something of the driver's own, without a thread, uses the provider from now on, until [`Frame::release`]. Gated.
    /// What [`Frame::closed`] says if nothing is started any more.
    pub fn hold(&self) -> IOResult {
        self.state.with(|s| match s.closed {
            Some(why) => Err(why),
            None => {
                s.calls += 1;
                Ok(())
            }
        })
    }

    /// What was begun by [`Frame::hold`] is over; the last one closes the provider of driver `me` if that waits for it. Gated.
    pub fn release(&self, me: &ServiceRef) {
        let close = self.state.with(|s| {
            s.calls = s.calls.saturating_sub(1);
            s.calls == 0 && s.closing
        });
        if close && let Some(provider) = me.provider() {
            provider.close(me, Options::empty());
        }
    }

    /// Sleeps on `event`, until machine time `deadline` if there is one. The gate is open meanwhile. Aborted: the thread shall not wait any longer.
    pub fn sleep(&self, event: WaitEvent, deadline: Option<u64>) -> IOResult {
        match self.gate.command_sleep(event, WaitMode::AbortSafe, deadline) {
            WaitResult::Interrupted => Err(IOReturn::Aborted),
            _ => Ok(()),
        }
    }

    /// Wakes every sleeper on each of `events`.
    pub fn wake(&self, events: impl IntoIterator<Item = WaitEvent>) {
        for event in events {
            self.gate.command_wakeup(event, false);
        }
    }

    /// Arms the watchdog unless it is armed. Gated.
    pub fn arm_watchdog(&self) {
        let armed = self.state.with(|s| core::mem::replace(&mut s.watched, true));
        if !armed {
            // The timer has an action, which is all that arming can fail for.
            let _ = self.watchdog.set_timeout(self.patience);
        }
    }

    /// The watchdog fired: it can be armed again. Gated.
    pub fn watchdog_fired(&self) {
        self.state.with(|s| s.watched = false);
    }

    /// Cancels the watchdog. Gated: exact, except in 10.3 (T3, T4).
    pub fn disarm_watchdog(&self) {
        self.state.with(|s| s.watched = false);
        self.watchdog.cancel_timeout();
    }

    /// The removal: nothing starts any more; `fail` fails what is in flight and wakes who waits for it, in the gate; then no interrupt and no
    /// timer comes. Takes the gate, so it waits for an action that runs.
    pub fn go_offline(&self, fail: impl FnOnce()) {
        self.work_loop.run_action(|| {
            self.close(IOReturn::Offline);
            self.watchdog.cancel_timeout();
            fail();
        });
        self.detach_interrupts();
    }

    /// A registered handler that is disabled would mute a shared line, so it goes altogether.
    fn detach_interrupts(&self) {
        for interrupt in &self.interrupts {
            // BadArgument is for sources of another loop.
            let _ = self.work_loop.remove_event_source(interrupt);
        }
    }

    /// Whether no call uses the provider; otherwise the last one will close it.
    pub fn close_when_idle(&self) -> bool {
        self.work_loop.run_action(|| {
            self.state.with(|s| {
                s.closing = true;
                s.calls == 0
            })
        })
    }

    /// Takes the event sources off the loop, which then goes with its last reference.
    pub fn end(&self) {
        self.detach_interrupts();
        let _ = self.work_loop.remove_event_source(&self.watchdog);
        let _ = self.work_loop.remove_event_source(&self.gate);
    }
}
