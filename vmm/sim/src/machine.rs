//! The seam, answered by the simulator.

use std::fmt;

use mach::seam::{Bdf, ContextId, Machine, OutOfMemory, Point, ThreadId, Width};
use trace::{Event, Kind, Subject};

use crate::{
    cost, decide,
    ending::{end, never, record},
    fibre::{Context, MAX_CONTEXTS, Suspend, suspend, suspend_or_end},
    interrupts,
    outcome::Ended,
    state::{Hot, Mode, cold, hot},
};

/// A handle on a simulated machine. The machine itself lives on the OS thread that runs it: a call from any other panics.
#[derive(Debug)]
pub struct SimMachine {
    number: u64,
    cpus: usize,
    traced: bool,
    points: bool,
    /// A debugger may look at this process's memory.
    publishes: bool,
}

impl SimMachine {
    pub(crate) fn new(number: u64, cpus: usize, traced: bool, points: bool, publishes: bool) -> Self {
        Self { number, cpus, traced, points, publishes }
    }

    #[inline(always)]
    fn hot<R>(&self, f: impl FnOnce(&Hot) -> R) -> R {
        hot(|h| {
            if h.machine.get() != self.number {
                foreign(self.number);
            }
            f(h)
        })
    }

    /// A point that costs `cost` ns.
    #[inline(always)]
    fn pass(&self, cost: u64) {
        if self.hot(|h| h.pass(cost)) {
            decide::slow();
        }
    }

    fn misuse(&self, what: fmt::Arguments<'_>) -> ! {
        self.fatal(format_args!("the kernel broke the machine's rules: {what}"))
    }

    fn running(&self) -> bool {
        self.hot(|h| h.mode.get() == Mode::Running)
    }

    /// Records `event`, here and now; machine time, ns.
    #[inline(always)]
    fn record(&self, mut event: Event) -> u64 {
        let (now, recorded) = self.hot(|h| {
            let now = h.now.get();
            if h.mode.get() != Mode::Running {
                return (now, Recorded::Nothing);
            }
            let cpu = h.cpu.get();
            event.time = now;
            event.cpu = cpu as u8;
            event.thread = h.thread[cpu & 7].get();
            if cold(|c| c.record(h, &event)) && h.links.get().on_fibre() {
                return (now, Recorded::Full);
            }
            (now, if h.pass(cost::POINT) { Recorded::Due } else { Recorded::Nothing })
        });
        match recorded {
            Recorded::Nothing => {}
            Recorded::Due => decide::slow(),
            Recorded::Full => {
                suspend(Suspend::Flush);
                self.pass(cost::POINT);
            }
        }
        now
    }
}

/// What there is to do after an event.
enum Recorded {
    /// Nothing.
    Nothing,
    /// The point behind it is a slow one.
    Due,
    /// The batch is full; the point has not been passed.
    Full,
}

#[cold]
#[inline(never)]
fn foreign(number: u64) -> ! {
    panic!(
        "simulated machine {number} was called from an OS thread that does not run it, or after its run: \
         kernel objects must not be used there"
    )
}

impl Machine for SimMachine {
    fn cpu_count(&self) -> usize {
        self.cpus
    }

    #[inline]
    fn cpu(&self) -> usize {
        self.hot(|h| h.cpu.get())
    }

    #[inline]
    fn thread(&self) -> ThreadId {
        self.hot(|h| h.thread[h.cpu.get() & 7].get())
    }

    fn adopt(&self, thread: ThreadId) -> ContextId {
        self.hot(|h| {
            let cpu = h.cpu.get();
            h.thread[cpu].set(thread);
            cold(|c| c.contexts[cpu].thread = thread);
            ContextId(cpu)
        })
    }

    #[inline]
    fn now(&self) -> u64 {
        self.hot(|h| h.now.get())
    }

    fn arm(&self, deadline: Option<u64>) {
        self.hot(|h| {
            cold(|c| {
                c.interrupts.arm(h.cpu.get(), deadline);
                c.refresh_due();
                h.hurry(c.due);
            });
        });
    }

    #[inline]
    fn mask(&self) -> bool {
        self.hot(|h| {
            let (masked, bit) = (h.masked.get(), h.bit());
            h.masked.set(masked | bit);
            masked & bit == 0
        })
    }

    #[inline]
    fn unmask(&self) {
        let due = self.hot(|h| {
            let bit = h.bit();
            h.masked.set(h.masked.get() & !bit);
            if h.pending.get() & bit != 0 {
                h.hurry(0);
            }
            h.pass(cost::POINT)
        });
        if due {
            decide::slow();
        }
    }

    fn ipi(&self, cpu: usize) {
        self.hot(|h| cold(|c| c.raise(h, cpu, mach::seam::RESCHEDULE_VECTOR)));
    }

    fn idle(&self) {
        if !self.running() {
            never();
        }
        decide::idle();
    }

    fn relax(&self) {
        if self.running() {
            decide::relax();
        } else {
            suspend(Suspend::Spin);
        }
    }

    fn create(&self, thread: ThreadId) -> Result<ContextId, OutOfMemory> {
        if !self.running() {
            return Err(OutOfMemory);
        }
        cold(|c| {
            let context = Context { thread, live: true, cpu: None };
            if let Some(number) = c.free.pop() {
                c.contexts[number] = context;
                return Ok(ContextId(number));
            }
            if c.contexts.len() == MAX_CONTEXTS {
                return Err(OutOfMemory);
            }
            c.contexts.push(context);
            Ok(ContextId(c.contexts.len() - 1))
        })
    }

    fn switch(&self, from: ContextId, to: ContextId, thread: ThreadId) {
        if !self.running() {
            never();
        }
        let (cpu, current, masked) =
            self.hot(|h| (h.cpu.get(), h.current[h.cpu.get()].get(), h.masked.get() & h.bit() != 0));
        if current != from.0 || !masked {
            self.misuse(format_args!(
                "switch from {from:?} on CPU {cpu} (masked: {masked}), which runs context {current}"
            ));
        }
        if from == to {
            return;
        }
        let target = cold(|c| c.contexts.get(to.0).copied()).unwrap_or_default();
        if !target.live || target.cpu.is_some() {
            self.misuse(format_args!("switch to {to:?}, which is {target:?}"));
        }
        cold(|c| {
            c.contexts[from.0].cpu = None;
            c.contexts[to.0].cpu = Some(cpu as u8);
        });
        self.hot(|h| {
            h.current[cpu].set(to.0);
            h.thread[cpu].set(thread);
            h.now.set(h.now.get() + cost::SWITCH);
        });
        if from.0 < self.cpus {
            suspend_or_end(Suspend::Next);
        } else {
            suspend(Suspend::Next);
        }
    }

    fn destroy(&self, context: ContextId) {
        let state = cold(|c| c.contexts.get(context.0).copied()).unwrap_or_default();
        if !state.live || state.cpu.is_some() {
            if self.running() {
                self.misuse(format_args!("destroy of {context:?}, which is {state:?}"));
            }
            return;
        }
        cold(|c| {
            c.contexts[context.0].live = false;
            c.dead.push(context.0);
        });
        self.hot(|h| h.reap.set(true));
    }

    fn has_memory(&self) -> bool {
        self.hot(|_| cold(|c| c.faults.has_memory()))
    }

    fn has_points(&self) -> bool {
        self.points
    }

    fn publishes(&self) -> bool {
        self.publishes
    }

    #[inline]
    fn point(&self, point: Point) {
        if self.hot(|h| h.pass_at(point)) {
            decide::slow();
        }
    }

    #[inline]
    fn point_of(&self, point: Point) -> ThreadId {
        let (due, thread) = self.hot(|h| (h.pass_at(point), h.thread[h.cpu.get() & 7].get()));
        if due {
            decide::slow();
        }
        // Another CPU may have run meanwhile; this thread is the one that it was.
        thread
    }

    fn trace(&self, event: Event) {
        self.record(event);
    }

    fn trace_brief(&self, kind: Kind, subject: Subject, arg: u64) -> u64 {
        self.record(subject.event(kind, arg))
    }

    #[inline]
    fn traced(&self) -> bool {
        self.traced
    }

    fn console(&self, text: &str) {
        self.hot(|_| cold(|c| c.console.write(text)));
    }

    fn backtrace(&self, _: &mut [u64]) -> usize {
        0
    }

    fn fatal(&self, message: fmt::Arguments<'_>) -> ! {
        if !self.hot(|h| h.links.get()).on_fibre() {
            panic!("{message}");
        }
        let message = message.to_string();
        if self.running() {
            cold(|c| c.console.write(&format!("{message}\n")));
        }
        end(Ended::Fatal { message })
    }

    fn power_off(&self) {
        if self.running() {
            record(Ended::Done);
            suspend_or_end(Suspend::End);
        }
    }

    fn config_read(&self, function: Bdf, offset: u16, width: Width) -> u32 {
        let value = self.hot(|h| cold(|c| c.config_read(h, function, offset, width)));
        self.pass(cost::READ);
        value
    }

    fn config_write(&self, function: Bdf, offset: u16, width: Width, value: u32) {
        self.hot(|h| cold(|c| c.config_write(h, function, offset, width, value)));
        self.pass(cost::WRITE);
    }

    fn reg_read(&self, address: u64, width: Width) -> u64 {
        let value = self.hot(|h| cold(|c| c.reg_read(h, address, width)));
        self.pass(cost::READ);
        value
    }

    fn reg_write(&self, address: u64, width: Width, value: u64) {
        self.hot(|h| cold(|c| c.reg_write(h, address, width, value)));
        self.pass(cost::WRITE);
    }

    fn dma_region(&self) -> (u64, u64) {
        self.hot(|_| cold(|c| c.bus.dma_region()))
    }

    fn dma_read(&self, address: u64, into: &mut [u8]) {
        let found = self.hot(|_| cold(|c| c.bus.dma_read(address, into)));
        if !found {
            self.misuse(format_args!("no DMA memory at {address:#x}"));
        }
    }

    fn dma_write(&self, address: u64, from: &[u8]) {
        let found = self.hot(|_| cold(|c| c.bus.dma_write(address, from)));
        if !found {
            self.misuse(format_args!("no DMA memory at {address:#x}"));
        }
    }

    fn dma_lent(&self, slot: u32, address: u64, bytes: u64) {
        self.hot(|_| cold(|c| c.bus.lent().lend(slot, address, bytes)));
    }

    fn dma_returned(&self, address: u64) {
        self.hot(|_| cold(|c| c.bus.lent().take_back(address)));
    }

    fn message(&self, cpu: usize, vector: u8) -> (u64, u32) {
        interrupts::message(cpu, vector)
    }

    fn line_route(&self, gsi: u32, vector: u8, cpu: usize) {
        self.hot(|_| cold(|c| c.interrupts.route(gsi, cpu, vector)));
    }

    fn line_mask(&self, gsi: u32, masked: bool) {
        self.hot(|h| {
            cold(|c| {
                let fired = c.interrupts.mask_line(gsi, masked);
                c.raise_line(h, fired);
            });
        });
    }
}
