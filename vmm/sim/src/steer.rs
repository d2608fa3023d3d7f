//! Somebody outside holds a run, looks at it, and changes it.
//!
//! The machine looks at a flag wherever it stops to think ([`crate::decide`]). That costs nobody a decision: a run that is steered but of which
//! nothing is asked has the same trace as one that is not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use devices::platform::{Host, Platform};
use mach::seam::ThreadId;
use trace::{
    Event, Kind,
    ring::{COMMAND_VECTOR, Command},
};

use crate::{
    ending,
    outcome::Ended,
    state::{Cold, Hot, cold, hot},
};

/// Somebody who steers a machine.
pub trait Steer {
    /// Set, by whatever thread, when the machine is to let this one look at it. Asked for once, before the machine begins.
    fn attention(&self) -> Arc<AtomicBool>;
    /// Looks at the machine, which stands still until this returns; all events so far have gone to the sink. Clears the flag, if there is no more to
    /// look at. Called also when the machine has come to where it was to stop, or a device has come or gone.
    fn look(&mut self, machine: &mut Held);
}

/// A machine that stands still.
pub struct Held(());

/// What makes the machine let somebody look.
pub(crate) struct Attention {
    flag: Arc<AtomicBool>,
    /// Something happened that is to be looked at.
    noticed: bool,
    /// The machine has come to where it was to stop, and nobody has been told.
    reached: bool,
    /// Machine time at which it is to stop; `u64::MAX` = none.
    stop_at: u64,
    /// The same as plan time, before that has begun.
    stop_at_plan: Option<u64>,
    /// The event at which it is to stop.
    stop_on: Option<Awaited>,
    present: Option<u32>,
}

/// An event that is awaited.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    kind: Kind,
    slot: Option<u32>,
    count: u64,
}

impl Attention {
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Self {
            flag,
            noticed: false,
            reached: false,
            stop_at: u64::MAX,
            stop_at_plan: None,
            stop_on: None,
            present: None,
        }
    }

    /// Plan time 0 is machine time `zero`.
    fn start_plan(&mut self, zero: u64) {
        if let Some(time) = self.stop_at_plan.take() {
            self.stop_at = zero.saturating_add(time);
        }
    }

    /// The guest recorded `event`; true if the machine is to stop there.
    fn event(&mut self, event: &Event) -> bool {
        let Some(awaited) = &mut self.stop_on else { return false };
        if awaited.kind != event.kind || awaited.slot.is_some_and(|slot| slot != event.slot) {
            return false;
        }
        awaited.count -= 1;
        let here = awaited.count == 0;
        if here {
            self.stop_on = None;
            (self.reached, self.noticed) = (true, true);
        }
        here
    }
}

impl Cold {
    /// Whether somebody is to look at the machine now.
    pub fn wanted(&mut self, h: &Hot) -> bool {
        let Some(attention) = &mut self.attention else { return false };
        if h.now.get() >= attention.stop_at {
            attention.stop_at = u64::MAX;
            (attention.reached, attention.noticed) = (true, true);
        }
        std::mem::take(&mut attention.noticed) || attention.flag.load(Ordering::Acquire)
    }

    /// The time has come for which somebody asked.
    pub fn notice_alarm(&mut self) {
        if let Some(attention) = &mut self.attention {
            (attention.reached, attention.noticed) = (true, true);
        }
    }

    /// After a call of the platform: a device that has come or gone is looked at.
    pub fn notice_devices(&mut self, h: &Hot) {
        let Some(attention) = &mut self.attention else { return };
        let present = self.bus.present();
        if attention.present.replace(present).is_some_and(|before| before != present) {
            attention.noticed = true;
            h.hurry(0);
        }
    }

    /// After an event of the guest.
    pub fn notice_event(&mut self, h: &Hot, event: &Event) {
        let Some(attention) = &mut self.attention else { return };
        if event.kind == Kind::Ready {
            attention.start_plan(event.time);
            h.hurry(attention.stop_at);
        }
        if attention.event(event) {
            h.hurry(0);
        }
    }
}

impl Held {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Machine time, ns.
    pub fn now(&self) -> u64 {
        hot(|h| h.now.get())
    }

    /// What each CPU does: its thread, and whether it halts.
    pub fn cpus(&self) -> Vec<(ThreadId, bool)> {
        let cpus = cold(|c| c.cpus);
        hot(|h| (0..cpus).map(|cpu| (h.thread[cpu].get(), h.halted.get() >> cpu & 1 != 0)).collect())
    }

    /// Calls the platform, and does what it asks of the machine; nothing if the machine has none.
    pub fn platform(&mut self, call: impl FnOnce(&mut Platform, &mut dyn Host)) {
        hot(|h| {
            cold(|c| {
                _ = c.with_platform(h, call);
            });
        });
    }

    /// The plan waits for other events than before.
    pub fn arm(&mut self) {
        cold(|c| c.bus.arm());
    }

    /// The last console lines.
    pub fn console(&self) -> Vec<String> {
        cold(|c| c.console.lines())
    }

    /// Asks the kernel for something, by an interrupt to CPU 0.
    pub fn command(&mut self, command: Command) {
        hot(|h| {
            cold(|c| {
                c.command = command;
                c.raise(h, 0, COMMAND_VECTOR);
            });
        });
    }

    /// Ends the plan now: the kernel is asked to end in order, as it would be at the plan's end. False if there is no plan, or it has not begun.
    pub fn finish(&mut self) -> bool {
        hot(|h| {
            cold(|c| {
                let begun = c.plan.finish_at != u64::MAX;
                if begun {
                    c.plan.finish_at = h.now.get();
                    c.limits.time = h.now.get().saturating_add(c.plan.grace);
                    c.refresh_due();
                    h.hurry(0);
                }
                begun
            })
        })
    }

    /// Ends the machine: [`Ended::Stopped`].
    pub fn end(&mut self) {
        ending::record(Ended::Stopped);
    }

    /// The machine is to stop at the first point at or behind plan time `time`, ns.
    pub fn stop_at_time(&mut self, time: u64) {
        hot(|h| {
            cold(|c| {
                let zero = c.bus.plan_zero(h.now.get());
                let Some(attention) = &mut c.attention else { return };
                attention.stop_at_plan = Some(time);
                attention.stop_at = u64::MAX;
                if let Some(zero) = zero {
                    attention.start_plan(zero);
                    h.hurry(attention.stop_at);
                }
            });
        });
    }

    /// The machine is to stop at machine time `time`, also if nothing of its own happens then: one that idles does not sleep through it. It has another
    /// course than without, therefore.
    pub fn alarm(&mut self, time: u64) {
        hot(|h| {
            cold(|c| {
                c.look_at = time.max(h.now.get());
                c.refresh_due();
                h.hurry(c.look_at);
            });
        });
    }

    /// The machine is to stop behind the `count`-th event of this kind (of this slot) from now on.
    pub fn stop_at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) {
        cold(|c| {
            if let Some(attention) = &mut c.attention {
                attention.stop_on = Some(Awaited { kind, slot, count: count.max(1) });
            }
        });
    }

    /// Whether the machine has come to where it was to stop; true once.
    pub fn reached(&mut self) -> bool {
        cold(|c| c.attention.as_mut().is_some_and(|attention| std::mem::take(&mut attention.reached)))
    }
}
