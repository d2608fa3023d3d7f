//! Somebody outside holds a run, looks at it, and changes it.
//!
//! The machine looks at a flag wherever it stops to think ([`crate::decide`]). That costs nobody a decision: a run that is steered but of which
//! nothing is asked has the same trace as one that is not.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use devices::{
    fault::plane::{SITES, Site},
    platform::{Host, Platform},
};
use mach::seam::ThreadId;
use trace::{
    Event, Kind,
    ring::{COMMAND_VECTOR, Command},
};

use crate::{
    debug::{ALL_THREADS, Board, TO_THE_END},
    ending,
    fibre::Context,
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
    /// The board by which a debugger finds the machine; asked for once, before the machine begins.
    fn board(&self) -> Option<Rc<Board>> {
        None
    }
    /// Where the sites that are passed are written down; asked for once, before the machine begins. Nothing without a board.
    fn passes(&self) -> Option<Passes> {
        None
    }
}

/// Passed sites, in order, until somebody takes them away.
pub type Passes = Rc<RefCell<Vec<Pass>>>;

/// A site of a device was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The device's slot.
    pub slot: u32,
    /// Which of its sites.
    pub site: Site,
    /// Events that had been recorded by then.
    pub behind: u64,
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
    /// The number of events behind which it is to stop; `u64::MAX` = none.
    stop_behind: u64,
    present: Option<u32>,
    board: Option<Rc<Board>>,
    /// The fibre that looks is to call [`crate::debug::stopped`].
    stand: bool,
    /// Contexts and their threads whose stacks are to be shown.
    visits: Vec<(usize, ThreadId)>,
    passes: Option<Passes>,
    /// How often sites had been passed at the last look.
    passed: Vec<(u32, [u64; SITES])>,
}

/// An event that is awaited.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    kind: Kind,
    slot: Option<u32>,
    count: u64,
}

impl Attention {
    pub fn new(flag: Arc<AtomicBool>, board: Option<Rc<Board>>, passes: Option<Passes>) -> Self {
        Self {
            flag,
            noticed: false,
            reached: false,
            stop_at: u64::MAX,
            stop_at_plan: None,
            stop_on: None,
            stop_behind: TO_THE_END,
            present: None,
            board,
            stand: false,
            visits: Vec::new(),
            passes,
            passed: Vec::new(),
        }
    }

    /// Plan time 0 is machine time `zero`.
    fn start_plan(&mut self, zero: u64) {
        if let Some(time) = self.stop_at_plan.take() {
            self.stop_at = zero.saturating_add(time);
        }
    }

    /// Writes down which sites were passed since the last time, if `counts` say so now.
    fn note_passes(&mut self, counts: Vec<(u32, [u64; SITES])>) {
        let (Some(passes), Some(board)) = (&self.passes, &self.board) else { return };
        let behind = board.number.get();
        for (at, (slot, now)) in counts.iter().enumerate() {
            let before = self.passed.get(at).map_or([0; SITES], |(_, before)| *before);
            for (nth, site) in Site::ALL.into_iter().enumerate() {
                let pass = Pass { slot: *slot, site, behind };
                let count = now[nth].saturating_sub(before[nth]);
                passes.borrow_mut().extend(std::iter::repeat_n(pass, count as usize));
            }
        }
        self.passed = counts;
    }

    /// `event` was recorded; true if the machine is to stop there.
    fn event(&mut self, event: &Event) -> bool {
        let counted = self.count();
        self.awaited(event) || counted
    }

    /// Counts an event; true if it is the one behind which the machine is to stop.
    fn count(&mut self) -> bool {
        let Some(board) = &self.board else { return false };
        board.number.set(board.number.get() + 1);
        self.come()
    }

    /// True, once, if the event behind which the machine is to stop has been recorded.
    fn come(&mut self) -> bool {
        let here = self.board.as_ref().is_some_and(|board| board.number.get() >= self.stop_behind);
        if here {
            self.stop_behind = TO_THE_END;
            (self.reached, self.noticed) = (true, true);
        }
        here
    }

    fn awaited(&mut self, event: &Event) -> bool {
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
        if attention.passes.is_some() {
            attention.note_passes(self.bus.site_counts());
        }
    }

    /// The board, if a debugger is to look at the stack of the fibre that asks.
    pub fn take_stand(&mut self) -> Option<Rc<Board>> {
        let attention = self.attention.as_mut()?;
        if std::mem::take(&mut attention.stand) { attention.board.clone() } else { None }
    }

    /// The board, if there is one.
    pub fn board(&self) -> Option<Rc<Board>> {
        self.attention.as_ref()?.board.clone()
    }

    /// The contexts whose stacks are to be shown, with their threads.
    pub fn take_visits(&mut self) -> Vec<(usize, ThreadId)> {
        self.attention.as_mut().map(|attention| std::mem::take(&mut attention.visits)).unwrap_or_default()
    }

    /// The stack of `thread` is shown.
    pub fn visit(&mut self, thread: ThreadId) {
        if let Some(board) = self.board() {
            board.visited.set(thread.into());
        }
    }

    /// After an event of the guest, or of the machine itself.
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

    /// The machine is to stop behind event `number`, counted from 1 on the board; [`TO_THE_END`]: nowhere. Nothing without a board.
    pub fn stop_behind(&mut self, number: u64) {
        hot(|h| {
            cold(|c| {
                let Some(attention) = &mut c.attention else { return };
                attention.stop_behind = number;
                if number != TO_THE_END && attention.come() {
                    h.hurry(0);
                }
            });
        });
    }

    /// When this look is over, the thread that runs calls [`crate::debug::stopped`] on its own stack, and then there is another look.
    pub fn stand(&mut self) {
        hot(|h| {
            cold(|c| {
                let Some(attention) = &mut c.attention else { return };
                attention.stand = true;
                if let Some(board) = &attention.board {
                    board.thread.set(h.thread[h.cpu.get() & 7].get().into());
                }
            });
        });
    }

    /// When this look is over, `thread` (or every one, [`ALL_THREADS`]) calls [`crate::debug::here`] on its own stack, if it has one and is not the one
    /// that runs; and then there is another look.
    pub fn visit(&mut self, thread: u64) {
        let standing = hot(|h| h.current[h.cpu.get() & 7].get());
        cold(|c| {
            let wanted = |(number, context): (usize, &Context)| {
                let asked = thread == ALL_THREADS || u64::from(context.thread) == thread;
                (context.live && number != standing && asked).then_some((number, context.thread))
            };
            let mut visits: Vec<_> = c.contexts.iter().enumerate().filter_map(wanted).collect();
            visits.sort_by_key(|(_, thread)| *thread);
            if let Some(attention) = &mut c.attention {
                attention.visits = visits;
            }
        });
    }

    /// Whether the machine has come to where it was to stop; true once.
    pub fn reached(&mut self) -> bool {
        cold(|c| c.attention.as_mut().is_some_and(|attention| std::mem::take(&mut attention.reached)))
    }
}
