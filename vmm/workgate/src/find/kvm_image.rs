//! The fuzz target that runs the real guest image on KVM, each input from a snapshot of its boot.
//!
//! An input is what `teardown` makes of it: rules on top of a plan. What it reaches is told by the trace, and by the guest's own counters if the image
//! was built with some.

use crate::cli::MachineChoice;
use crate::exit::Failure;
use crate::machine::{self, Machine};
use devices::fault::plan::Plan;
use explore::coverage::Coverage;
use explore::{Cause, Schedule, execute};
use fuzzing::plans::Case;
use fuzzing::plans::case::CASE_BYTES;
use fuzzing::plans::scenarios;
use fuzzing::plans::tempo::Onset;
use fuzzing::targets::Setting;
use fuzzing::{Features, Target, Trouble};
use parking_lot::Mutex;
use verdict::{Ended, Verdict, Verifier};
use vmm::{Options, Snapshot, VmmError};

/// The word on the command line.
pub const NAME: &str = "kvm-image";
/// Without a plan of the user's. On a host that interprets the guest's kernel, a millisecond of machine time takes up to a second.
const PLAN: &str = "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nplug disk0 virtio-blk slot=2 size=1M\n\
                    load edu0 clients=1 depth=2\nload disk0 clients=1 depth=1\nexpect no-leaks\nrun for=2ms\n";
/// Seeds of the simulator that are tried, to see whether it shows a bug of the image, too.
const SEEDS: u64 = 8;
/// Features of the guest's counters: above all that the trace tells.
const COUNTED: u64 = 1 << 63;

/// The target.
pub struct KvmImage {
    plan: Plan,
    options: Options,
    /// Machines that nobody uses now: each thread takes one, or boots one more.
    idle: Mutex<Vec<Snapshot>>,
}

impl KvmImage {
    /// Boots the first machine.
    ///
    /// # Errors
    /// This host has no KVM, or the plan is none for a machine that goes back.
    pub fn new(setting: &Setting) -> Result<Self, Failure> {
        let mut plan = match &setting.plan {
            Some(plan) => plan.clone(),
            None => crate::load::parse("kvm-image.plan", PLAN)?,
        };
        setting.apply(&mut plan);
        let chosen = machine::choose(MachineChoice::Kvm, None, None)?;
        let Machine::Kvm(host) = &chosen.machine else {
            return Err(Failure::host("there is no KVM machine here"));
        };
        let target = Self { plan, options: machine::kvm_options(host), idle: Mutex::new(Vec::new()) };
        let first = target.boot().map_err(machine::kvm_failure)?;
        target.idle.lock().push(first);
        Ok(target)
    }

    fn boot(&self) -> Result<Snapshot, VmmError> {
        Snapshot::boot(&self.plan, guest_image::IMAGE, &self.options)
    }

    /// What an input means.
    fn task(&self, input: &[u8]) -> (Plan, u64) {
        let case = Case::from_bytes(input);
        let plan = case.plan_on(&self.plan, Onset::Boot);
        let printed = Plan::parse(&plan.name, &plan.to_string());
        (printed.unwrap_or(plan), case.seed)
    }

    fn play(&self, plan: &Plan, seed: u64, features: &mut Features) -> Result<Option<Trouble>, VmmError> {
        let idle = self.idle.lock().pop();
        let mut snapshot = idle.map_or_else(|| self.boot(), Ok)?;
        let mut verifier = Verifier::new(plan).of_shared_time();
        let mut coverage = Coverage::default();
        coverage.begin();
        let outcome = snapshot.run(plan, seed, &mut |event| {
            verifier.event(event);
            coverage.event(event);
        })?;
        coverage.take_fresh().into_iter().for_each(|state| features.note(state));
        count(&snapshot, features)?;
        self.idle.lock().push(snapshot);
        let verdict = verifier.finish(machine::kvm_ended(&outcome));
        let told = |cause| Trouble { cause, told: verdict::render(&verdict) };
        Ok(cause(&verdict).map(told))
    }
}

/// Notes how often the guest passed each edge, in steps of doubling.
fn count(snapshot: &Snapshot, features: &mut Features) -> Result<(), VmmError> {
    let Some((address, bytes)) = guest_image::COUNTERS else { return Ok(()) };
    let mut counters = vec![0; bytes as usize];
    snapshot.read(address, &mut counters)?;
    for (edge, count) in counters.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        features.note(COUNTED | (edge as u64) << 8 | u64::from(count.ilog2()));
    }
    Ok(())
}

/// As [`Cause::of`], of a run that no simulator made.
fn cause(verdict: &Verdict) -> Option<Cause> {
    let rule = |rule: &str| Some(Cause { rule: rule.to_owned() });
    if let Some(first) = verdict.findings.first() {
        return rule(&first.rule);
    }
    let shown = |expect: &str| expect == "no-leaks" || !verdict.removals.is_empty();
    if let Some(failed) = verdict.expectations.iter().find(|e| !e.held && shown(&e.expect)) {
        return rule(&format!("expect {}", failed.expect));
    }
    (verdict.ended != Ended::Done).then(|| rule("bad-end"))?
}

impl Target for KvmImage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        match guest_image::COUNTERS {
            Some(_) => {
                "the guest image on KVM, from a snapshot of its boot, guided by the trace and by its own counters"
            }
            None => "the guest image on KVM, from a snapshot of its boot, guided by the trace",
        }
    }

    fn most(&self) -> usize {
        CASE_BYTES
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let plans = std::iter::once(self.plan.clone()).chain(scenarios::plans());
        plans.map(|plan| Case::like(&plan, 1).to_bytes()).collect()
    }

    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble> {
        let (plan, seed) = self.task(input);
        self.play(&plan, seed, features).unwrap_or_else(|error| Some(Trouble::new("host", error.to_string())))
    }

    /// The plan, with a schedule under which the simulator finds fault with it, too.
    fn plan(&self, input: &[u8]) -> Option<(Plan, Schedule)> {
        let (plan, _) = self.task(input);
        let schedules = std::iter::once(Schedule::Plain).chain((0..SEEDS).map(Schedule::Seed));
        let shows = |schedule: &Schedule| {
            execute::run(&plan, schedule, &mut |_| {}).is_ok_and(|run| run.cause.is_some())
        };
        let schedule = schedules.into_iter().find(shows)?;
        Some((plan, schedule))
    }

    fn describe(&self, input: &[u8]) -> String {
        let (plan, seed) = self.task(input);
        format!("{plan}# seed {seed}\n")
    }
}
