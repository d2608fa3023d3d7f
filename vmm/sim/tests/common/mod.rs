//! Runs plans and judges them.

use devices::fault::plan::Plan;
use sim::{Ended, Outcome};
use verdict::{Verdict, Verifier};

/// Runs the plan `text` under the schedule of `seed`, and judges it.
pub fn judge(text: &str, seed: u64) -> (Verdict, Outcome) {
    let plan = Plan::parse("test.plan", text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut verifier = Verifier::new(&plan);
    let mut log = std::env::var_os("DRIVERS_TRACE").map(|_| Vec::new());
    let outcome = sim::run(&plan, seed, &mut |event| {
        verifier.event(event);
        if let Some(log) = &mut log {
            log.push(*event);
        }
    })
    .unwrap_or_else(|error| panic!("{error}"));
    for event in log.unwrap_or_default() {
        let trace::Event { time, cpu, thread, object, other, slot, arg, kind, .. } = event;
        println!(
            "{time:>12} cpu{cpu} t{thread:<3} s{slot} {} {object} {other} {arg:#x} {}",
            kind.word(),
            event.text_str()
        );
    }
    let ended = match &outcome.ended {
        Ended::Done => verdict::Ended::Done,
        Ended::Fatal { message } => verdict::Ended::Panic(message.clone()),
        Ended::Deadlock => verdict::Ended::Hang("deadlock".to_owned()),
        Ended::Stuck { reason } => verdict::Ended::Hang(reason.clone()),
        Ended::Stopped => verdict::Ended::Quit,
    };
    (verifier.finish(ended), outcome)
}

/// Runs the plan under each of the seeds: every run must pass, with every request accounted for and nothing left behind.
pub fn passes(text: &str, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let (verdict, outcome) = judge(text, seed);
        assert!(
            verdict.passed,
            "seed {seed}: {text}\n{}\nconsole: {:#?}",
            verdict::render(&verdict),
            outcome.console
        );
        for (name, counts) in &verdict.io {
            assert!(counts.balanced(), "seed {seed}: {name}: {counts:?}");
        }
        assert_eq!(outcome.kernel_references, 0, "seed {seed}: the kernel is still referred to");
    }
}
