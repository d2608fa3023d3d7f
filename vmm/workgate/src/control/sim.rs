//! The simulator under control: it stands still by not being resumed, so that its time does.

use super::Steering;
use control::{Cpu, Failure, Machine};
use devices::platform::{Host, Platform};
use sim::{Held, Steer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Kind;
use trace::ring::Command;

impl Steer for Steering<'_> {
    fn attention(&self) -> Arc<AtomicBool> {
        let attention = self.controller.desk().attention();
        if self.controller.holds() {
            attention.store(true, Ordering::Release);
        }
        attention
    }

    fn look(&mut self, held: &mut Held) {
        let reached = held.reached();
        let mut machine = Simulated(held);
        if reached {
            self.controller.reached(&mut machine);
        }
        loop {
            self.controller.turn(&mut machine, &mut self.story);
            if !self.controller.holds() {
                return;
            }
            self.controller.desk().wait();
        }
    }
}

struct Simulated<'a>(&'a mut Held);

impl Machine for Simulated<'_> {
    fn word(&self) -> &'static str {
        "sim"
    }

    fn now(&self) -> u64 {
        self.0.now()
    }

    fn cpus(&self) -> Vec<Cpu> {
        // One thread of the host runs all of them, the one that asks.
        let cpu = |(thread, halted)| Cpu {
            host_thread: std::process::id(),
            halted: Some(halted),
            guest_thread: Some(thread),
        };
        self.0.cpus().into_iter().map(cpu).collect()
    }

    fn platform(&mut self, call: &mut dyn FnMut(&mut Platform, &mut dyn Host)) {
        self.0.platform(call);
    }

    fn rules_changed(&mut self) {
        self.0.arm();
    }

    fn hold(&mut self) {}

    fn go(&mut self) {}

    fn end(&mut self) {
        self.0.end();
    }

    fn reset(&mut self) -> Result<(), Failure> {
        Err(Failure::generic("the simulated machine has no reset line; `quit` ends it"))
    }

    fn power_down(&mut self) -> Result<(), Failure> {
        match self.0.finish() {
            true => Ok(()),
            false => {
                Err(Failure::generic("the plan's time has not begun, or is over: there is nothing to end"))
            }
        }
    }

    fn nmi(&mut self) -> Result<(), Failure> {
        Err(Failure::generic(
            "the simulated machine has no non-maskable interrupt; x-workgate-threads tells what runs",
        ))
    }

    fn dump(&mut self, _: &Path) -> Result<(), Failure> {
        Err(Failure::generic(
            "dump-guest-memory: not on this machine: the simulated kernel runs in this very process and has no memory of its own; run the plan with --machine kvm",
        ))
    }

    fn show_stacks(&mut self) -> Result<(), Failure> {
        self.0.command(Command::ShowAllStacks);
        Ok(())
    }

    fn console(&mut self) -> Vec<String> {
        self.0.console()
    }

    fn stop_at_time(&mut self, time: u64) {
        self.0.stop_at_time(time);
    }

    fn stop_at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) -> Result<(), Failure> {
        self.0.stop_at_event(kind, slot, count);
        Ok(())
    }
}
