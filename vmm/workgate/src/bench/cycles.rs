//! Cycles of plug, I/O, unplug, finalize through the whole house, in the simulator, on one core.

use super::context::Context;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
use std::fmt::Write;
use std::time::{Duration, Instant};
use trace::{Event, Kind};

/// Cycles that the plan asks for.
const CYCLES: u64 = 400;
/// What a cycle finalizes: nub, driver, user client.
const SERVICES: u64 = 3;
/// Measuring goes on for this long; the best run counts.
const TIME: Duration = Duration::from_secs(2);
/// Runs at the least.
const RUNS: usize = 5;

/// Runs the plan again and again.
pub fn measure(context: &Context) -> Vec<Row> {
    vec![Row::new("cycles", rate(context))]
}

/// A card that goes after each request that came back, and comes back when its nub is finalized, the last of the three.
fn text() -> String {
    let mut text = format!(
        "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for={}us\n",
        CYCLES * 100
    );
    for n in 1..=CYCLES {
        // Writing into a string cannot fail.
        _ = writeln!(text, "on edu0.io.done #{n} unplug edu0");
        _ = writeln!(text, "on edu0.finalize #{} replug edu0", SERVICES * n);
    }
    text
}

fn rate(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let plan = crate::load::parse("cycles.plan", &text()).map_err(|failure| failure.message)?;
    let (mut rates, begin) = (Vec::new(), Instant::now());
    let mut events = 0;
    while rates.len() < RUNS || begin.elapsed() < TIME {
        context.stop.check()?;
        let run = once(&plan)?;
        rates.push(run.0);
        events = run.1;
    }
    rates.sort_unstable_by(f64::total_cmp);
    let (best, median) = (rates[rates.len() - 1], rates[rates.len() / 2]);
    Ok((
        best,
        vec![
            Part::new(format!("median of {} runs", rates.len()), median, "/s"),
            Part::new("host time of a cycle", 1e6 / best, "us"),
            Part::new("trace events of a cycle", events as f64 / CYCLES as f64, ""),
        ],
    ))
}

/// Time that this thread has had a processor: what else the host does costs no cycles then. Wall-clock time where the host does not tell.
pub fn core_time(origin: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
    nanos.map_or_else(|| origin.elapsed(), Duration::from_nanos)
}

/// Cycles a second of one run, boot and end included, and its events.
fn once(plan: &Plan) -> Result<(f64, u64), String> {
    let mut finalized = 0;
    let origin = Instant::now();
    let begin = core_time(origin);
    let count = &mut |event: &Event| finalized += u64::from(event.kind == Kind::Finalize);
    let outcome = sim::run(plan, 1, count).map_err(|error| error.to_string())?;
    let took = core_time(origin).saturating_sub(begin);
    let cycles = finalized / SERVICES;
    match outcome.ended {
        sim::Ended::Done if cycles >= CYCLES => {
            Ok((cycles as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE), outcome.events))
        }
        ended => Err(format!("{cycles} of {CYCLES} cycles, then {ended:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_makes_its_cycles() {
        let plan = crate::load::parse("cycles.plan", &text()).expect("a good plan");
        once(&plan).expect("all cycles");
    }
}
