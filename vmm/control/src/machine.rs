//! What the controller asks of a machine, and of whoever follows its trace.

use crate::commands::View;
use crate::message::Failure;
use devices::fault::plan::Rule;
use devices::platform::{Host, Platform};
use serde_json::Value;
use std::path::Path;
use trace::Kind;

/// A processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The host's thread that runs it.
    pub host_thread: u32,
    /// It waits for an interrupt, if that is known.
    pub halted: Option<bool>,
    /// The guest's thread that runs on it, if that is known; 0 = none.
    pub guest_thread: Option<u32>,
}

/// A machine between two of its steps. All calls are made on the machine's own thread.
pub trait Machine {
    /// `sim` or `kvm`.
    fn word(&self) -> &'static str;
    /// Machine time, ns.
    fn now(&self) -> u64;
    /// Its processors.
    fn cpus(&self) -> Vec<Cpu>;
    /// Calls its platform, and does what that asks for.
    fn platform(&mut self, call: &mut dyn FnMut(&mut Platform, &mut dyn Host));
    /// The platform has got a further rule: it may wait for other events.
    fn rules_changed(&mut self);
    /// No processor executes anything, and machine time stands still, when this returns.
    fn hold(&mut self);
    /// Processors and time go on.
    fn go(&mut self);
    /// The machine ends.
    fn end(&mut self);
    /// The reset line.
    ///
    /// # Errors
    /// The machine has none.
    fn reset(&mut self) -> Result<(), Failure>;
    /// Asks the guest to end in order.
    ///
    /// # Errors
    /// There is no way to ask.
    fn power_down(&mut self) -> Result<(), Failure>;
    /// A non-maskable interrupt to every processor.
    ///
    /// # Errors
    /// The machine has none.
    fn nmi(&mut self) -> Result<(), Failure>;
    /// Writes a core to `path`, whole or not at all; the machine stands still meanwhile.
    ///
    /// # Errors
    /// The machine has no memory that a core could hold, or the file cannot be written.
    fn dump(&mut self, path: &Path) -> Result<(), Failure>;
    /// Asks the guest's kernel for every thread's stack, on its console.
    ///
    /// # Errors
    /// There is no way to ask.
    fn show_stacks(&mut self) -> Result<(), Failure>;
    /// The last console lines.
    fn console(&mut self) -> Vec<String>;
    /// The machine is to stop at plan time `time`, ns, or at the first point behind it.
    fn stop_at_time(&mut self, time: u64);
    /// The machine is to stop at the `count`-th event of this kind (of this slot) from now on.
    ///
    /// # Errors
    /// The machine has no trace.
    fn stop_at_event(&mut self, kind: Kind, slot: Option<u32>, count: u64) -> Result<(), Failure>;
}

/// What is known of a run from its trace.
pub trait Story {
    /// A view; `None`: nobody follows this machine's trace.
    fn view(&self, view: View) -> Option<Value>;
    /// A rule was added to the plan, or (`at` its time) an action was carried out.
    fn said(&mut self, rule: &Rule);
}
