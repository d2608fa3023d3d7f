//! Runs a plan.

use std::sync::{Arc, Mutex, PoisonError};

use devices::fault::plan::Plan;
use iokit::{BootArgs, IoKit};
use mach::{Kernel, KernelRef};
use trace::{Event, ring::Command};

use crate::{Outcome, Sim, SimMachine, StartError, Upcalls};

/// Least and most memory for DMA, in bytes. It is committed page by page, but the kernel keeps books about all of it.
const MEMORY: (u64, u64) = (16 << 20, 1 << 30);
/// Virtual time that the guest has to reach `boot.ready`, in nanoseconds.
const BOOT: u64 = 60_000_000_000;

/// Mach and IOKit, and the order in which they go.
struct Guest {
    kernel: KernelRef,
    iokit: Arc<Mutex<Option<IoKit>>>,
}

impl Upcalls for Guest {
    fn start_cpu(&self, cpu: usize) {
        self.kernel.start_cpu(cpu);
    }

    fn thread_entry(&self) {
        self.kernel.thread_entry();
    }

    fn interrupt(&self, vector: u8) -> bool {
        self.kernel.interrupt(vector)
    }

    fn preempt(&self) {
        self.kernel.preempt();
    }

    fn command(&self, command: Command) {
        self.kernel.command(command);
    }

    fn stop(&self) -> bool {
        self.kernel.stop();
        true
    }

    fn directory(&self) -> Option<u64> {
        self.kernel.directory()
    }

    fn shutdown(&self) {
        let iokit = self.iokit.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(iokit) = iokit {
            iokit.shutdown();
        }
        self.kernel.shutdown();
    }
}

/// Runs `plan` with the schedule of `seed` on this OS thread, from boot to `run.done`. `sink` gets every event in order, in batches.
///
/// # Errors
/// See [`StartError`]. What goes wrong inside of the machine is no error but an [`Outcome`].
pub fn run(plan: &Plan, seed: u64, sink: &mut dyn FnMut(&Event)) -> Result<Outcome, StartError> {
    run_on(Sim::builder().seed(seed), plan, sink)
}

/// [`run`] with drivers from outside: `drivers` adds their personalities to the guest's catalogue.
///
/// # Errors
/// See [`StartError`].
pub fn run_with(
    plan: &Plan,
    seed: u64,
    drivers: impl FnOnce(&IoKit) + Send + 'static,
    sink: &mut dyn FnMut(&Event),
) -> Result<Outcome, StartError> {
    run_machine(Sim::builder().seed(seed), plan, drivers, sink)
}

/// Runs `plan` on a machine whose chooser and bounds the caller has set; its CPUs, memory and devices are the plan's.
///
/// # Errors
/// See [`StartError`].
pub fn run_on<'p>(sim: Sim<'p>, plan: &'p Plan, sink: &mut dyn FnMut(&Event)) -> Result<Outcome, StartError> {
    run_machine(sim, plan, |_| {}, sink)
}

pub(crate) fn run_machine<'p>(
    sim: Sim<'p>,
    plan: &'p Plan,
    drivers: impl FnOnce(&IoKit) + Send + 'static,
    sink: &mut dyn FnMut(&Event),
) -> Result<Outcome, StartError> {
    let args = BootArgs::parse(&plan.guest_command_line());
    let mut kept = std::sync::Weak::new();
    let boot = |machine: Box<SimMachine>| -> Box<dyn Upcalls> {
        let kernel = Kernel::new(machine);
        kept = Arc::downgrade(&kernel);
        kernel.set_user_program(user::native::program());
        let iokit = Arc::new(Mutex::new(None));
        let place = iokit.clone();
        kernel.first_thread(move |kernel| {
            // The run may end before this thread comes back from here.
            let keep =
                |kit: &IoKit| *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(kit.clone());
            iokit::boot_kept(kernel, &args, keep, drivers);
        });
        Box::new(Guest { kernel, iokit })
    };
    let sim = sim.cpus(plan.cpus).memory(plan.memory.clamp(MEMORY.0, MEMORY.1)).plan(plan).boot_within(BOOT);
    let mut outcome = sim.run_upcalls(boot, sink)?;
    outcome.kernel_references = kept.strong_count();
    Ok(outcome)
}
