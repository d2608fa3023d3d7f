//! The plain way: the plan on KVM, again and again, until its bug happens to show.

use super::cell::{Allowance, Cell, End};
use super::zoo::Bug;
use devices::fault::plan::Plan;
use std::time::Instant;
use verdict::{Verdict, Verifier};
use vmm::probe::{HostKind, HostReport};

/// The method's word.
pub const WORD: &str = "stress";

/// The host's KVM, if a stress loop on it says anything; else why not. `asked`: also where guest instructions are interpreted.
///
/// # Errors
/// Why there is none.
pub fn host(host: &Result<HostReport, String>, asked: bool) -> Result<&HostReport, String> {
    let host = host.as_ref().map_err(Clone::clone)?;
    match host.kind {
        HostKind::Emulating if !asked => Err(format!("{}; --kvm runs it nevertheless", host.kind)),
        _ => Ok(host),
    }
}

/// Runs the bug's plan until its rule is broken, then its twin's as often.
///
/// # Errors
/// A machine cannot be started.
pub fn hunt(
    bug: &Bug,
    host: &HostReport,
    allowed: Allowance,
    stop: &dyn Fn() -> bool,
) -> Result<Cell, String> {
    let begin = Instant::now();
    let over = |begin: Instant| stop() || begin.elapsed() >= allowed.limit;
    let (mut executions, mut end) = (0, End::Executions);
    while executions < allowed.executions {
        if over(begin) {
            end = End::Time;
            break;
        }
        let verdict = once(&bug.plan, host, allowed.seed.wrapping_add(executions))?;
        executions += 1;
        if verdict.findings.iter().any(|finding| finding.rule == bug.specimen.rule) {
            end = End::Found;
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (mut twin_executions, mut alarm, begin) = (0, None, Instant::now());
    while twin_executions < executions && alarm.is_none() && !over(begin) {
        let verdict = once(&bug.twin, host, allowed.seed.wrapping_add(twin_executions))?;
        twin_executions += 1;
        alarm =
            verdict.findings.first().map(|first| format!("{} in execution {twin_executions}", first.rule));
    }
    Ok(Cell { method: WORD, end, executions, seconds, shown_by: None, twin_executions, alarm })
}

fn once(plan: &Plan, host: &HostReport, seed: u64) -> Result<Verdict, String> {
    let mut verifier = Verifier::new(plan).of_shared_time();
    let options = vmm::Options { seed, ..crate::machine::kvm_options(host) };
    let outcome = vmm::run(plan, guest_image::IMAGE, &options, &mut |event| verifier.event(event));
    let outcome = outcome.map_err(|error| error.to_string())?;
    Ok(verifier.finish(crate::machine::kvm_ended(&outcome)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stressed_is_said_by_name() {
        let none = Err("no KVM device".to_owned());
        assert_eq!(host(&none, true).err().as_deref(), Some("no KVM device"));
    }
}
