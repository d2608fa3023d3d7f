//! What this host's KVM is, found out by measuring.
//!
//! `/dev/kvm` that opens says little: there are hosts where guest ring 0 is interpreted instruction by instruction, and hosts
//! where every exit goes through another hypervisor. A tiny machine in long mode (`cell::Cell`) runs counted loops and single
//! instructions, and [`HostReport`] says what came of it.

mod cell;
mod code;
mod measure;

use crate::VmmError;
use measure::Samples;
use serde::Serialize;
use std::fmt;

/// Ring-0 instructions a second below which KVM must be interpreting them, even if none is missing.
const EMULATED_BELOW: u64 = 10_000_000;
/// Ring-0 instructions a second of a processor at machine time's own speed; half of it still counts as native.
const NATIVE_RATE: u64 = 1_000_000_000;
/// Cost of an exit on the machine that plans are written for, ns.
const NATIVE_EXIT: u64 = 2_000;
/// Cost of an exit above which exits, not instructions, are what slows a guest down, ns.
const SLOW_EXIT: u64 = 10_000;

/// The kinds of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// Guest ring 0 runs on the processor.
    Hardware,
    /// Guest ring 0 is interpreted by KVM's instruction emulator, which lacks many instructions.
    Emulating,
    /// The full instruction set, but instructions or exits go through another hypervisor or an emulated processor.
    Slow,
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "KVM runs guest ring 0 natively on this host",
            Self::Emulating => "KVM interprets guest ring 0 instruction by instruction on this host",
            Self::Slow => "KVM runs every instruction on this host, but below another hypervisor or emulator that makes it slow",
        })
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostReport {
    /// The kind of host.
    pub kind: HostKind,
    /// Simple instructions a second in guest ring 0.
    pub instructions_per_second: u64,
    /// Cost of a port write that exits to user space and goes back in, ns.
    pub exit_nanos: u64,
    /// Cost of a read where no memory is, which exits to user space and goes back in, ns.
    pub mmio_exit_nanos: u64,
    /// Making a virtual machine with one processor and dropping it, ns.
    pub create_vm_nanos: u64,
    /// Instructions at which KVM gives up (KVM_EXIT_INTERNAL_ERROR) in guest ring 0.
    pub failing_instructions: Vec<String>,
    /// Instructions that run.
    pub passing_instructions: Vec<String>,
    /// Instructions that the processor does not have: they raise an exception, as they should.
    pub absent_instructions: Vec<String>,
    /// Host seconds that a machine second should take, so that a driver sees the proportions of ordinary hardware.
    pub slow_down: u64,
    /// Frequency of the guest's time-stamp counter, kHz.
    pub tsc_khz: u64,
    /// Version of KVM's interface.
    pub api_version: i32,
    /// Capabilities that the machine can make use of, by name, and whether KVM has them.
    pub capabilities: Vec<(String, bool)>,
}

/// Measures quickly, with few samples: what is needed to choose a machine and its slow-down.
///
/// # Errors
/// KVM is not there, or refuses something.
pub fn quick() -> Result<HostReport, VmmError> {
    measure::report(Samples::QUICK)
}

/// Measures with more samples, for people to read.
///
/// # Errors
/// KVM is not there, or refuses something.
pub fn full() -> Result<HostReport, VmmError> {
    measure::report(Samples::FULL)
}

/// The kind of a host with this many ring-0 instructions a second, this cost of an exit in ns, and instructions that fail.
fn classify(rate: u64, exit: u64, fails: bool) -> HostKind {
    match () {
        () if fails || rate < EMULATED_BELOW => HostKind::Emulating,
        () if rate < NATIVE_RATE / 2 || exit > SLOW_EXIT => HostKind::Slow,
        () => HostKind::Hardware,
    }
}

/// The slow-down that gives a guest the proportions between its own instructions, exits and machine time that hardware has.
fn slow_down(kind: HostKind, rate: u64, exit: u64) -> u64 {
    let by_rate = rounded(NATIVE_RATE, rate);
    let by_exit = rounded(exit, NATIVE_EXIT);
    match kind {
        HostKind::Hardware => 1,
        HostKind::Emulating => by_rate,
        HostKind::Slow => by_rate.max(by_exit),
    }
}

/// The quotient, rounded to the nearest integer, at least 1.
fn rounded(numerator: u64, denominator: u64) -> u64 {
    let denominator = denominator.max(1);
    (numerator.saturating_add(denominator / 2) / denominator).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_by_what_was_measured() {
        assert_eq!(classify(6_000_000_000, 1_500, false), HostKind::Hardware);
        assert_eq!(classify(3_700_000, 9_500, true), HostKind::Emulating);
        assert_eq!(classify(3_700_000, 9_500, false), HostKind::Emulating);
        assert_eq!(classify(6_000_000_000, 1_500, true), HostKind::Emulating);
        assert_eq!(classify(300_000_000, 35_000, false), HostKind::Slow);
        assert_eq!(classify(20_000_000, 35_000, false), HostKind::Slow);
        assert_eq!(classify(6_000_000_000, 35_000, false), HostKind::Slow);
    }

    #[test]
    fn the_slow_down_keeps_the_proportions_of_hardware() {
        assert_eq!(slow_down(HostKind::Hardware, 6_000_000_000, 4_000), 1);
        assert_eq!(slow_down(HostKind::Emulating, 3_700_000, 9_500), 270);
        assert_eq!(slow_down(HostKind::Slow, 300_000_000, 35_000), 18);
        assert_eq!(slow_down(HostKind::Slow, 100_000_000, 5_000), 10);
        assert_eq!(slow_down(HostKind::Emulating, 0, 0), NATIVE_RATE);
        assert_eq!(slow_down(HostKind::Slow, u64::MAX, u64::MAX), rounded(u64::MAX, NATIVE_EXIT));
    }

    #[test]
    fn a_report_of_this_host_is_consistent() {
        let report = match full() {
            Ok(report) => report,
            Err(error @ (VmmError::NoKvm | VmmError::NoPermission)) => return println!("skipped: {error}"),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(report.api_version, 12);
        assert!(report.instructions_per_second > 0 && report.exit_nanos > 0 && report.mmio_exit_nanos > 0);
        assert!(report.slow_down >= 1 && report.tsc_khz > 0);
        let tried = [&report.failing_instructions, &report.passing_instructions, &report.absent_instructions];
        assert_eq!(tried.iter().map(|list| list.len()).sum::<usize>(), code::INSTRUCTIONS.len());
        assert!(report.capabilities.iter().any(|(_, present)| *present));
        let kind = classify(
            report.instructions_per_second,
            report.exit_nanos,
            !report.failing_instructions.is_empty(),
        );
        assert_eq!(report.kind, kind);
    }
}
