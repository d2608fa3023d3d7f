//! Which machine a plan runs on, and how its end is told.

use crate::cli::MachineChoice;
use crate::exit::Failure;
use verdict::Ended;
use vmm::VmmError;
use vmm::probe::{HostKind, HostReport};

/// A machine, with what it needs.
pub enum Machine {
    /// The simulator.
    Sim,
    /// KVM on a host that was measured.
    Kvm(HostReport),
}

/// A choice and its reason.
pub struct Chosen {
    /// Where the plan runs.
    pub machine: Machine,
    /// One line for people.
    pub why: String,
}

/// Chooses the machine. `needs`: an option that only KVM can serve, and why. `slow_down`: host seconds to a machine second
/// on KVM, in place of the measured ones.
pub fn choose(
    choice: MachineChoice,
    needs: Option<(&'static str, &'static str)>,
    slow_down: Option<u64>,
) -> Result<Chosen, Failure> {
    let probe = || {
        let mut host = vmm::probe::quick().map_err(kvm_failure)?;
        host.slow_down = slow_down.unwrap_or(host.slow_down);
        Ok(host)
    };
    match (choice, needs) {
        (MachineChoice::Sim, Some((option, why))) => {
            Err(Failure::request(format_args!("{option} needs --machine kvm: {why}")))
        }
        (MachineChoice::Sim, None) => {
            Ok(Chosen { machine: Machine::Sim, why: "machine: sim, as asked".to_owned() })
        }
        (MachineChoice::Kvm, _) => Ok(on_kvm(probe()?, "as asked")),
        (MachineChoice::Auto, Some((option, _))) => {
            Ok(on_kvm(probe()?, &format!("because {option} needs it")))
        }
        (MachineChoice::Auto, None) => Ok(auto(slow_down)),
    }
}

/// KVM where ring 0 runs natively, else the simulator.
pub fn auto(slow_down: Option<u64>) -> Chosen {
    match vmm::probe::quick() {
        Ok(mut host) if host.kind != HostKind::Emulating => {
            host.slow_down = slow_down.unwrap_or(host.slow_down);
            on_kvm(host, "ring 0 runs natively here")
        }
        Ok(host) => sim(&format!("{}; `--machine kvm` works too, slower", host.kind)),
        Err(error) => sim(&error.to_string()),
    }
}

fn sim(reason: &str) -> Chosen {
    Chosen { machine: Machine::Sim, why: format!("machine: sim, because: {reason}") }
}

fn on_kvm(host: HostReport, reason: &str) -> Chosen {
    let slow = match host.slow_down {
        0 | 1 => String::new(),
        factor => format!("; {}, so a second of machine time takes {factor} s here", host.kind),
    };
    Chosen { machine: Machine::Kvm(host), why: format!("machine: kvm, {reason}{slow}") }
}

/// Options of a KVM machine on this host.
pub fn kvm_options(host: &HostReport) -> vmm::Options {
    vmm::Options { slow_down: host.slow_down, ..vmm::Options::default() }
}

/// A machine that could not be built, with the exit status that its reason calls for.
pub fn kvm_failure(error: VmmError) -> Failure {
    if error.is_host() { Failure::host(error) } else { Failure::request(error) }
}

/// How a run on KVM ended.
pub fn kvm_ended(outcome: &vmm::Outcome) -> Ended {
    match &outcome.ending {
        vmm::Ending::PowerOff => Ended::Done,
        vmm::Ending::Hang { what } => Ended::Hang(format!("{what}\n{}", outcome.describe())),
        _ => Ended::Bad(outcome.describe()),
    }
}
