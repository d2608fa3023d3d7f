//! Tiny guests, put together by hand: machine code, an ELF file around it, and a machine to run it.
#![allow(dead_code, reason = "every test takes what it needs")]

pub mod code;
pub mod elf;

use devices::fault::plan::Plan;
use std::time::Duration;
use vmm::{Limits, Options, Outcome, VmmError};

/// Bytes of memory of the tests' machines.
pub const MEMORY: u64 = 16 << 20;

/// A plan with one processor, little memory, and the statements of `text`.
pub fn plan(text: &str) -> Plan {
    let text = format!("machine cpus=1 memory=16M\n{text}");
    Plan::parse("test", &text).expect("a plan without mistakes")
}

/// Options with a watchdog that does not wait long. No assertion depends on how long: the guests under test that are to hang do so
/// forever.
pub fn options() -> Options {
    let limits = Limits { silence: Duration::from_millis(300), finish: Duration::from_secs(5) };
    Options { slow_down: 1, limits, ..Options::default() }
}

/// The outcome, or `None` with a line that says what the host lacks.
pub fn on_this_host(result: Result<Outcome, VmmError>) -> Option<Outcome> {
    match result {
        Ok(outcome) => Some(outcome),
        Err(error @ (VmmError::NoKvm | VmmError::NoPermission)) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Boots `image` without a bench.
pub fn boot(image: &[u8]) -> Option<Outcome> {
    on_this_host(vmm::boot(&plan(""), image, &options()))
}

/// Runs `image` with a bench; the outcome and the number of events.
pub fn run(image: &[u8], options: &Options) -> Option<(Outcome, usize)> {
    let mut events = 0;
    let outcome = on_this_host(vmm::run(&plan("run for=1ms"), image, options, &mut |_| events += 1))?;
    Some((outcome, events))
}

/// A register of processor 0 at the end.
pub fn register(outcome: &Outcome, name: &str) -> u64 {
    let registers = &outcome.cpus[0].registers;
    registers.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no register {name}")).1
}
