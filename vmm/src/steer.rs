//! Somebody outside holds a machine, looks at it, and changes it.

use crate::VmmError;
use crate::debug;
use crate::ending::Ending;
use crate::hold::Holder;
use crate::machine::{Machine, lock};
use crate::watch::Watch;
use devices::platform::{Host, Platform};
use inspect::core::{CoreError, Written};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use trace::ring::Command;
use trace::{Event, Kind};
use vmm_sys_util::eventfd::EventFd;

/// Somebody who steers a machine.
pub trait Steer {
    /// Before the machine's first instruction. Whoever has something to say later writes to [`Held::waker`].
    ///
    /// # Errors
    /// What it needs cannot be had.
    fn begin(&mut self, machine: &mut Held<'_>) -> Result<(), VmmError>;
    /// Looks at the machine, in each turn of its event loop: after a write to its waker, after a device came or went, after it came to where
    /// it was to stop, and now and then. All events that have come have gone to the sink.
    fn look(&mut self, machine: &mut Held<'_>);
}

/// A machine as whoever steers it sees it. It stands still only while it is held.
pub struct Held<'a> {
    machine: &'a Arc<Machine>,
    cpus: usize,
    finish: bool,
}

impl<'a> Held<'a> {
    pub(crate) fn new(machine: &'a Arc<Machine>, cpus: usize) -> Self {
        Self { machine, cpus, finish: false }
    }

    /// The watchdog looks, unless the machine is held: at what came, if `is_watched` says that it is worth while.
    pub(crate) fn follow(&mut self, watch: &mut Watch, events: &[Event], is_watched: bool) {
        if std::mem::take(&mut self.finish) {
            watch.finish();
        }
        if self.machine.hold.is_held() {
            return;
        }
        if self.machine.hold.went_on() {
            watch.held();
        }
        watch.look(self.machine, !events.is_empty(), if is_watched { events } else { &[] });
    }

    /// What wakes the event loop.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn waker(&self) -> Result<EventFd, VmmError> {
        self.machine.steered.store(true, Ordering::Relaxed);
        let copied = self.machine.wake.try_clone();
        copied.map_err(|error| VmmError::System { what: "cannot copy an eventfd", error })
    }

    /// Machine time, ns.
    pub fn now(&self) -> u64 {
        self.machine.clock.now()
    }

    /// The host's number of each processor's thread; 0 = it has none yet.
    pub fn host_threads(&self) -> Vec<u32> {
        self.machine.faults.host_threads().take(self.cpus).collect()
    }

    /// Calls the platform, and does what it asks of the machine.
    pub fn platform(&mut self, call: impl FnOnce(&mut Platform, &mut dyn Host)) {
        self.machine.with_platform(call);
    }

    /// The plan waits for other events than before.
    pub fn arm(&mut self) {
        self.machine.arm();
    }

    /// Holds the machine: when this returns, no processor executes anything and machine time stands still.
    pub fn hold(&mut self) {
        self.machine.stand(Holder::Steer);
    }

    /// Lets it go on, unless a debugger holds it too. A guest without a bench reads its own counter, for which time has not stood still.
    pub fn go(&mut self) {
        self.machine.go_on(Holder::Steer);
    }

    /// Writes a core to `path`, whole or not at all. The machine stands still meanwhile.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn dump(&mut self, path: &Path) -> Result<Written, CoreError> {
        self.machine.stand(Holder::Dump);
        let written = debug::live(self.machine, self.cpus, path, "as asked over the control socket");
        self.machine.go_on(Holder::Dump);
        written
    }

    /// Ends the machine.
    pub fn end(&mut self, ending: Ending) {
        self.machine.end(ending);
    }

    /// Ends the plan now: the guest is asked to end in order, as at the plan's end. False if there is no plan, or its time has not begun.
    pub fn finish(&mut self) -> bool {
        let begun = self.machine.ready_at.load(Ordering::Acquire) != u64::MAX;
        self.finish = begun && self.has_bench();
        self.finish
    }

    /// Asks the guest's kernel for every thread's stack on its console. False if it has no bench.
    pub fn show_stacks(&mut self) -> bool {
        self.command(Command::ShowAllStacks)
    }

    /// Asks the guest's kernel for something; one thing at a time. False if it has no bench.
    pub fn command(&mut self, command: Command) -> bool {
        let bench = self.has_bench();
        if bench {
            self.machine.command(command);
        }
        bench
    }

    /// A non-maskable interrupt to each processor.
    pub fn interrupt(&mut self) {
        self.machine.hold.interrupt(self.machine);
    }

    /// The last console lines.
    pub fn console(&self) -> Vec<String> {
        lock(&self.machine.serial).writer().lines()
    }

    /// The guest tells what it does.
    pub fn has_bench(&self) -> bool {
        self.machine.memory.bench.is_some()
    }

    /// The machine is to stop at plan time `time`, ns, or as soon behind it as this host can.
    pub fn stop_at_time(&mut self, time: u64) {
        self.machine.halt.at_time(time);
        // The event loop sets its timer by it.
        let _ = self.machine.wake.write(1);
    }

    /// The machine is to stop behind the `count`-th event of this kind (of this slot) from now on.
    pub fn stop_at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) {
        self.machine.halt.at_event(kind, slot, count);
        self.machine.arm();
    }

    /// Whether the machine has come to where it was to stop; true once.
    pub fn reached(&mut self) -> bool {
        let zero = self.machine.ready_at.load(Ordering::Acquire);
        self.machine.halt.reached(zero, self.now())
    }
}
