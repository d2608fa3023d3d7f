//! The two machines, as whoever cycles a device needs them.

use super::conductor::Conductor;
use devices::fault::plan::{Action, Plan};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Kind;
use trace::ring::Command;
use vmm::VmmError;

/// A machine between two of its steps.
pub trait Bench {
    /// Machine time, ns.
    fn now(&self) -> u64;
    /// Carries out an action of the plan language now.
    fn act(&mut self, plan: &Plan, action: &Action);
    /// Asks the guest for something.
    fn command(&mut self, command: Command);
    /// Looks again at machine time `time`, which is plan time `plan_time`, ns.
    fn at_time(&mut self, time: u64, plan_time: u64);
    /// Looks again behind the `count`-th event of this kind and slot from now on.
    fn at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64);
    /// Asks the guest to end in order. False: the plan's time has not begun.
    fn finish(&mut self) -> bool;
    /// Ends the machine at once.
    fn end(&mut self);
}

impl Bench for sim::Held {
    fn now(&self) -> u64 {
        sim::Held::now(self)
    }

    fn act(&mut self, plan: &Plan, action: &Action) {
        self.platform(|platform, host| platform.perform(plan, action, host));
    }

    fn command(&mut self, command: Command) {
        sim::Held::command(self, command);
    }

    fn at_time(&mut self, time: u64, _: u64) {
        self.alarm(time);
    }

    fn at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) {
        self.stop_at_event(kind, slot, count);
    }

    fn finish(&mut self) -> bool {
        sim::Held::finish(self)
    }

    fn end(&mut self) {
        sim::Held::end(self);
    }
}

impl Bench for vmm::Held<'_> {
    fn now(&self) -> u64 {
        vmm::Held::now(self)
    }

    fn act(&mut self, plan: &Plan, action: &Action) {
        self.platform(|platform, host| platform.perform(plan, action, host));
    }

    fn command(&mut self, command: Command) {
        // `cycle` has no other guest than the built-in one, which has a bench.
        let _ = vmm::Held::command(self, command);
    }

    fn at_time(&mut self, _: u64, plan_time: u64) {
        self.stop_at_time(plan_time);
    }

    fn at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) {
        self.stop_at_event(kind, slot, count);
    }

    fn finish(&mut self) -> bool {
        vmm::Held::finish(self)
    }

    fn end(&mut self) {
        vmm::Held::end(self, vmm::Ending::Stopped);
    }
}

impl sim::Steer for Conductor<'_> {
    fn attention(&self) -> Arc<AtomicBool> {
        self.attention.clone()
    }

    fn look(&mut self, held: &mut sim::Held) {
        self.attention.store(false, Ordering::Release);
        // Why it stopped is of no interest: each turn looks at what there is.
        let _ = held.reached();
        self.turn(held);
    }
}

impl vmm::Steer for Conductor<'_> {
    fn begin(&mut self, _: &mut vmm::Held<'_>) -> Result<(), VmmError> {
        Ok(())
    }

    fn look(&mut self, held: &mut vmm::Held<'_>) {
        // At an event the processors stand already; with them time has to.
        let stands = held.reached();
        if stands {
            held.hold();
        }
        self.turn(held);
        if stands {
            held.go();
        }
    }
}
