//! Mach's kernel on the simulated machine.

use std::sync::{Arc, Weak};

use mach::{Kernel, KernelRef};
use trace::{Event, ring::Command};

use crate::{Outcome, Sim, SimMachine, StartError, Upcalls};

impl Upcalls for KernelRef {
    fn start_cpu(&self, cpu: usize) {
        Kernel::start_cpu(self, cpu);
    }

    fn thread_entry(&self) {
        Kernel::thread_entry(self);
    }

    fn interrupt(&self, vector: u8) -> bool {
        Kernel::interrupt(self, vector)
    }

    fn preempt(&self) {
        Kernel::preempt(self);
    }

    fn command(&self, command: Command) {
        Kernel::command(self, command);
    }

    fn stop(&self) -> bool {
        Kernel::stop(self);
        true
    }

    fn directory(&self) -> Option<u64> {
        Kernel::directory(self)
    }

    fn shutdown(&self) {
        Kernel::shutdown(self);
    }
}

impl Sim<'_> {
    /// Runs a new kernel, with `body` on its first thread; the run is done when `body` returns or the machine is powered off.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn run_kernel(
        self,
        body: impl FnOnce(&KernelRef) + Send + 'static,
        sink: &mut dyn FnMut(&Event),
    ) -> Result<Outcome, StartError> {
        let mut kept = Weak::new();
        let boot = |machine: Box<SimMachine>| -> Box<dyn Upcalls> {
            let kernel = Kernel::new(machine);
            kept = Arc::downgrade(&kernel);
            kernel.set_user_program(user::native::program());
            kernel.first_thread(|kernel| {
                body(kernel);
                kernel.machine().power_off();
            });
            Box::new(kernel)
        };
        let mut outcome = self.run_upcalls(boot, sink)?;
        outcome.kernel_references = kept.strong_count();
        Ok(outcome)
    }
}
