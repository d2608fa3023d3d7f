//! The rules on KVM: every test of the crate `conformance` inside of the guest image, on one CPU, on two and, what asks for
//! them, on three.
//!
//! The names are `kvm::CPUS::FILE::TEST`; the usual words of `cargo test` choose among them. The guest carries out all that is wanted in one boot; a run that
//! ends the machine, as some must, costs another. Where this host has no KVM, each test says so and is ignored.

mod guest;
mod plans;
mod record;

use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use conformance::{Lab, Test};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use guest::Boots;
use record::{Host, Record};

/// CPUs of the machines, with their names.
const MACHINES: [(usize, &str); 3] = [(1, "one_cpu"), (2, "two_cpus"), (3, "three_cpus")];

fn name(machine: &str, test: &Test) -> String {
    format!("kvm::{machine}::{}::{}", test.file(), test.name)
}

/// The word that makes the guest carry out what the arguments choose: the last part of the filter, if that alone chooses as much.
fn word(arguments: &Arguments) -> &str {
    let Some(filter) = &arguments.filter else { return conformance::guest::EVERY };
    let word = filter.rsplit("::").next().unwrap_or(filter);
    let chosen =
        |test: &Test| MACHINES.iter().any(|(_, machine)| name(machine, test).contains(filter.as_str()));
    let all_have_it = conformance::tests().filter(chosen).all(|test| test.name.contains(word));
    if word.is_empty() || !all_have_it { conformance::guest::EVERY } else { word }
}

/// What the guest left, looked at with the test's own eyes.
fn judge(test: &Test, place: u32, record: &Record) -> Result<Completion, Failed> {
    if let Some(reason) = &record.no_kvm {
        return Ok(Completion::ignored_with(format!("no KVM: {reason}")));
    }
    if let Some(failure) = record.failures.get(&place).or(record.trouble.as_ref()) {
        return Err(failure.into());
    }
    let host = Host::new(record, place);
    (test.test)(&Lab::new(&host));
    match host.has_nothing() {
        true => Ok(Completion::ignored_with("for another number of CPUs")),
        false => Ok(Completion::Completed),
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // All machines boot at once: one with one CPU would leave half of this host idle while another waits for it.
    arguments.test_threads.get_or_insert(MACHINES.len());
    let word = word(&arguments).to_owned();
    let records = MACHINES.map(|_| Arc::new(OnceLock::new()));
    let mut trials = Vec::new();
    // Neighbours are of different machines, so that machines run side by side.
    for (place, test) in (0..).zip(conformance::tests()) {
        for ((cpus, machine), record) in MACHINES.into_iter().zip(&records) {
            let (record, word) = (record.clone(), word.clone());
            // The boots are for whichever test of the machine comes first.
            let body =
                move || judge(&test, place, record.get_or_init(|| Boots::new(cpus, &word).carry_out()));
            trials.push(Trial::ignorable_test(name(machine, &test), body));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
