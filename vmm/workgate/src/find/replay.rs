//! `workgate replay`: a capsule's run again, event by event.

use crate::cli::{MachineChoice, ReplayArgs};
use crate::exit::{Exit, Failure};
use crate::load::Bug;
use crate::machine;
use devices::fault::plan::Plan;
use explore::{Capsule, Schedule, execute};
use serde::Serialize;
use verdict::Verifier;

/// The `--json` document.
#[derive(Serialize)]
struct Document {
    machine: &'static str,
    expected_rule: Option<String>,
    rule: Option<String>,
    expected_hash: Option<String>,
    hash: Option<String>,
    same: bool,
}

/// Replays a file.
pub fn replay(args: &ReplayArgs) -> Result<Exit, Failure> {
    let (plan, capsule) = match crate::load::plan_or_capsule(&args.file, &args.script)? {
        Bug::Capsule(plan, capsule) => (plan, Some(capsule)),
        Bug::Plan(plan) => (plan, None),
    };
    let schedule = capsule.as_ref().map_or(Schedule::Seed(args.seed), |capsule| capsule.schedule.clone());
    match (args.machine, &args.stop_at) {
        (MachineChoice::Kvm, Some(_)) => {
            Err(Failure::request("--stop-at needs --machine sim: only the simulator repeats every event"))
        }
        (MachineChoice::Kvm, None) => on_kvm(&plan, capsule.as_ref(), args),
        (_, Some(stop)) => super::stop::stopped(&plan, &schedule, capsule.as_ref(), args, stop),
        (_, None) => in_simulator(&plan, &schedule, capsule.as_ref(), args),
    }
}

fn in_simulator(
    plan: &Plan,
    schedule: &Schedule,
    capsule: Option<&Capsule>,
    args: &ReplayArgs,
) -> Result<Exit, Failure> {
    let run = execute::run(plan, schedule, &mut |_| {}).map_err(Failure::request)?;
    let hash = run.outcome.trace_hash;
    let rule = run.cause.as_ref().map(|cause| cause.rule.clone());
    let same = capsule.is_none_or(|capsule| capsule.hash == hash && capsule.cause == run.cause);
    if args.json {
        let document = Document {
            machine: "sim",
            expected_rule: capsule.and_then(|c| c.cause.as_ref()).map(|cause| cause.rule.clone()),
            rule: rule.clone(),
            expected_hash: capsule.map(|capsule| format!("{:016x}", capsule.hash)),
            hash: Some(format!("{hash:016x}")),
            same,
        };
        crate::output::println(&crate::run::to_json(&document)?)?;
    } else {
        crate::output::print(&verdict::render(&run.verdict))?;
        let told = match capsule {
            None => format!("trace: hash {hash:016x}\n"),
            Some(capsule) => compared(capsule, hash, rule.as_deref()),
        };
        crate::output::print(&told)?;
    }
    match (same, rule) {
        (false, _) => Err(another_run()),
        (true, Some(_)) => Ok(Exit::Found),
        (true, None) => Ok(Exit::Held),
    }
}

/// The capsule's plan and schedule give another trace here.
pub fn another_run() -> Failure {
    Failure::host("this is not the run that the capsule was made of: another version of the program?")
}

fn compared(capsule: &Capsule, hash: u64, rule: Option<&str>) -> String {
    let expected = capsule.cause.as_ref().map_or("nothing", |cause| &cause.rule);
    let same = if hash == capsule.hash { "the same as in the capsule" } else { "NOT that of the capsule" };
    format!(
        "replay: {} broke (the capsule says {expected}); trace hash {hash:016x}, {same}\n",
        rule.unwrap_or("nothing")
    )
}

/// On KVM the schedule is the hardware's own; the plan is the same.
fn on_kvm(plan: &Plan, capsule: Option<&Capsule>, args: &ReplayArgs) -> Result<Exit, Failure> {
    let chosen = machine::choose(MachineChoice::Kvm, None, args.slow_down)?;
    let machine::Machine::Kvm(host) = &chosen.machine else {
        return Err(Failure::host("there is no KVM machine here"));
    };
    if !args.json {
        crate::output::println(&chosen.why)?;
    }
    let mut verifier = Verifier::new(plan);
    let outcome = vmm::run(plan, guest_image::IMAGE, &machine::kvm_options(host), &mut |event| {
        verifier.event(event);
    })
    .map_err(machine::kvm_failure)?;
    let verdict = verifier.finish(machine::kvm_ended(&outcome));
    let rules: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let expected = capsule.and_then(|capsule| capsule.cause.as_ref()).map(|cause| cause.rule.as_str());
    let same = expected.is_none_or(|rule| rules.contains(&rule));
    if args.json {
        let document = Document {
            machine: "kvm",
            expected_rule: expected.map(str::to_owned),
            rule: rules.first().map(|rule| (*rule).to_owned()),
            expected_hash: None,
            hash: None,
            same,
        };
        crate::output::println(&crate::run::to_json(&document)?)?;
    } else {
        let told = match (expected, same) {
            (None, _) => format!("replay on KVM: {} broke\n", rules.first().unwrap_or(&"nothing")),
            (Some(rule), true) => format!("replay on KVM: {rule} broke here, too\n"),
            (Some(rule), false) => format!(
                "replay on KVM: {rule} did not break in this run; KVM does not repeat a schedule, the simulator does\n"
            ),
        };
        crate::output::print(&format!("{}{told}", verdict::render(&verdict)))?;
    }
    Ok(if verdict.passed { Exit::Held } else { Exit::Found })
}
