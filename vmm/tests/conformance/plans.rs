//! Plans on KVM, with the ordinary guest image: its devices are there, and no time is skipped.

use conformance::{Ended, Judged, PlanJob, Run};
use devices::fault::plan::Plan;
use std::sync::OnceLock;
use verdict::Verifier;
use vmm::{Ending, Options, Outcome};

/// Runs a plan and judges it. There is a KVM: others were asked before.
pub fn run(job: &PlanJob<'_>) -> Run {
    let text = format!("machine cpus={} memory=32M\n{}", job.cpus, job.text);
    let plan = Plan::parse("conformance", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut verifier = Verifier::new(&plan).of_shared_time();
    let mut events = Vec::new();
    let options = Options { slow_down: slow_down(), ..Options::default() };
    let outcome = vmm::run(&plan, guest_image::IMAGE, &options, &mut |event| {
        verifier.event(event);
        if job.kinds.contains(&event.kind) {
            events.push(*event);
        }
    });
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    let (ended, end) = match &outcome.ending {
        Ending::PowerOff => (Ended::Done, verdict::Ended::Done),
        _ => (Ended::Otherwise(outcome.describe()), verdict::Ended::Bad(outcome.describe())),
    };
    let verdict = verifier.finish(end);
    let passed = verdict.passed && verdict.io.values().all(|counts| counts.balanced());
    let judged = Some(Judged { passed, text: verdict::render(&verdict) });
    let Outcome { console, .. } = outcome;
    Run { seed: 0, ended, events, console, standing: Vec::new(), judged }
}

/// Host seconds to a machine second: what gives the guest the proportions of hardware.
fn slow_down() -> u64 {
    static MEASURED: OnceLock<u64> = OnceLock::new();
    *MEASURED.get_or_init(|| vmm::probe::quick().unwrap_or_else(|error| panic!("{error}")).slow_down)
}
