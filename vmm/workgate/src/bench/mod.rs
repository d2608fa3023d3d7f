//! `workgate bench`: the bench measures itself, beside peers in the same run.
//!
//! Wall-clock figures depend on the host and on what else it does: ratios to a peer that was measured moments before say more, and
//! neither is ever part of `cargo test`. What must be reached is in [`figures`], and the same in SPECIFICATION.md.

mod boot;
mod bulk;
mod child;
mod context;
mod cycles;
mod exits;
mod figures;
mod find;
mod gate;
mod latency;
mod pick;
mod qemu;
mod report;
mod resident;
mod snapshot;
mod start;
mod steered;
mod stop;
mod terminate;
mod tracing;

use crate::cli::{BenchArgs, BenchCommand};
use crate::exit::{Exit, Failure, hint};
use context::Context;
use indicatif::ProgressBar;
use report::{Report, Row};

/// A measurement: what it is called while it goes on, the figures that it answers, and how it does.
struct Step {
    what: &'static str,
    figures: &'static [&'static str],
    measure: fn(&Context) -> Vec<Row>,
}

/// Figures of [`find`].
const FIND_FIGURES: &[&str] = &["find-all", "find-slowest", "find-median", "find-alarms"];

/// In order; the cheap ones first.
const STEPS: &[Step] = &[
    Step { what: "start to verdict", figures: &["start-to-verdict"], measure: start::measure },
    Step { what: "gate", figures: &["run-action"], measure: gate::measure },
    Step { what: "pick", figures: &["pick"], measure: pick::measure },
    Step { what: "termination", figures: &["terminate"], measure: terminate::measure },
    Step { what: "cycles", figures: &["cycles"], measure: cycles::measure },
    Step { what: "bulk transfers", figures: bulk::FIGURES, measure: bulk::measure },
    Step {
        what: "interrupts in the simulator",
        figures: &["interrupt-sim"],
        measure: latency::in_the_simulator,
    },
    Step { what: "exits", figures: &["mmio-exit"], measure: exits::measure },
    Step {
        what: "boot beside QEMU",
        figures: &["start-to-guest", "guest-to-thread"],
        measure: boot::measure,
    },
    Step { what: "boot instructions", figures: &["boot-instructions"], measure: boot::instructions },
    Step { what: "snapshot", figures: &["snapshot"], measure: snapshot::measure },
    Step { what: "interrupts on KVM", figures: &["interrupt-kvm"], measure: latency::on_kvm },
    Step {
        what: "what the trace costs",
        figures: &["trace-cost", "trace-cost-guest"],
        measure: tracing::measure,
    },
    Step { what: "answers in a storm", figures: &["qmp-answer"], measure: steered::answers },
    Step { what: "cores", figures: &["core"], measure: steered::cores },
    Step { what: "finding the zoo's bugs", figures: FIND_FIGURES, measure: find::measure },
    Step { what: "resident memory", figures: &["resident"], measure: resident::measure },
];

/// Measures everything that was asked for and that this host allows, and prints it as it comes.
pub fn bench(args: &BenchArgs) -> Result<Exit, Failure> {
    if let Some(BenchCommand::Find(args)) = &args.command {
        return find::find(args);
    }
    let steps = wanted(&args.figures)?;
    let context = Context::new()?;
    let progress = ProgressBar::new_spinner();
    let mut report = Report::new(&context);
    if !args.json {
        print!("{}", report.head());
    }
    for step in steps {
        progress.set_message(step.what);
        progress.tick();
        let rows = carry_out(step, &context);
        if !args.json {
            progress.suspend(|| rows.iter().for_each(|row| print!("{}", row.text())));
        }
        report.add(rows);
    }
    progress.finish_and_clear();
    match args.json {
        true => println!("{}", crate::run::to_json(&report)?),
        false => print!("{}", report.tail()),
    }
    let fine = !args.check || (report.missed() == 0 && !context.stop.requested());
    Ok(if fine { Exit::Held } else { Exit::Found })
}

/// The steps that measure `figures`; all if there are none.
fn wanted(figures: &[String]) -> Result<Vec<&'static Step>, Failure> {
    if let Some(unknown) = figures.iter().find(|id| figures::FIGURES.iter().all(|f| f.id != id.as_str())) {
        let known: Vec<&str> = figures::FIGURES.iter().map(|figure| figure.id).collect();
        let (expected, hint) = (known.join(", "), hint(unknown, known));
        let unknown = unknown.escape_debug();
        return Err(Failure::request(format_args!("`{unknown}` is no figure; expected {expected}{hint}")));
    }
    let asked = |step: &&Step| figures.iter().any(|id| step.figures.contains(&id.as_str()));
    Ok(STEPS.iter().filter(|step| figures.is_empty() || asked(step)).collect())
}

/// Nothing is begun after Ctrl-C, and nothing is skipped silently.
fn carry_out(step: &Step, context: &Context) -> Vec<Row> {
    match context.stop.check() {
        Ok(()) => (step.measure)(context),
        Err(reason) => step.figures.iter().map(|id| Row::missing(id, reason.clone())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_belongs_to_one_step() {
        let mut measured: Vec<&str> = STEPS.iter().flat_map(|step| step.figures).copied().collect();
        let mut wanted: Vec<&str> = figures::FIGURES.iter().map(|figure| figure.id).collect();
        measured.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(measured, wanted);
    }

    #[test]
    fn figures_are_chosen_by_name() {
        assert_eq!(wanted(&[]).map_err(|f| f.message).expect("all").len(), STEPS.len());
        let some = wanted(&["cycles".to_owned(), "guest-to-thread".to_owned()]).map_err(|f| f.message);
        assert_eq!(some.expect("known").len(), 2);
        let failure = wanted(&["nosuch".to_owned()]).err().expect("unknown");
        assert_eq!(failure.exit, Exit::Request);
    }
}
