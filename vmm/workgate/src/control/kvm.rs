//! The KVM machine under control.

use super::Steering;
use control::{Cpu, Failure, Machine};
use devices::platform::{Host, Platform};
use std::path::Path;
use trace::Kind;
use vmm::{Ending, Held, Steer, VmmError};

impl Steer for Steering<'_> {
    fn begin(&mut self, held: &mut Held<'_>) -> Result<(), VmmError> {
        self.controller.desk().wake_by(held.waker()?);
        if self.controller.holds() {
            held.hold();
        }
        Ok(())
    }

    fn look(&mut self, held: &mut Held<'_>) {
        let reached = held.reached();
        let mut machine = Virtual(held);
        if reached {
            self.controller.reached(&mut machine);
        }
        self.controller.turn(&mut machine, &mut self.story);
    }
}

struct Virtual<'a, 'm>(&'a mut Held<'m>);

/// A guest that is not ours cannot be asked.
fn no_bench(what: &str) -> Failure {
    Failure::generic(format_args!(
        "{what}: the guest has no bench to be asked through, and the machine no button"
    ))
}

impl Machine for Virtual<'_, '_> {
    fn word(&self) -> &'static str {
        "kvm"
    }

    fn now(&self) -> u64 {
        self.0.now()
    }

    fn cpus(&self) -> Vec<Cpu> {
        let cpu = |host_thread| Cpu { host_thread, halted: None, guest_thread: None };
        self.0.host_threads().into_iter().map(cpu).collect()
    }

    fn platform(&mut self, call: &mut dyn FnMut(&mut Platform, &mut dyn Host)) {
        self.0.platform(call);
    }

    fn rules_changed(&mut self) {
        self.0.arm();
    }

    fn hold(&mut self) {
        self.0.hold();
    }

    fn go(&mut self) {
        self.0.go();
    }

    fn end(&mut self) {
        self.0.end(Ending::Stopped);
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.0.end(Ending::Reset);
        Ok(())
    }

    fn power_down(&mut self) -> Result<(), Failure> {
        match (self.0.has_bench(), self.0.finish()) {
            (false, _) => Err(no_bench("system_powerdown")),
            (true, false) => Err(Failure::generic("the plan's time has not begun: there is nothing to end")),
            (true, true) => Ok(()),
        }
    }

    fn nmi(&mut self) -> Result<(), Failure> {
        self.0.interrupt();
        Ok(())
    }

    fn dump(&mut self, path: &Path) -> Result<(), Failure> {
        self.0.dump(path).map(|_| ()).map_err(Failure::generic)
    }

    fn show_stacks(&mut self) -> Result<(), Failure> {
        if self.0.show_stacks() { Ok(()) } else { Err(no_bench("x-workgate-showallstacks")) }
    }

    fn console(&mut self) -> Vec<String> {
        self.0.console()
    }

    fn stop_at_time(&mut self, time: u64) {
        self.0.stop_at_time(time);
    }

    fn stop_at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) -> Result<(), Failure> {
        if !self.0.has_bench() {
            return Err(no_bench("x-workgate-until"));
        }
        self.0.stop_at_event(kind, slot, count);
        Ok(())
    }
}
