//! From the start of the process to a verdict: the smallest plan in the simulator.

use super::child;
use super::context::Context;
use super::report::{Part, Row};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The scenario of the same name.
const PLAN: &[u8] = include_bytes!("../../../../tests/scenarios/smallest.plan");
/// Runs, of which the best counts.
const RUNS: usize = 20;

/// Runs this program on the smallest plan.
pub fn measure(context: &Context) -> Vec<Row> {
    vec![Row::new("start-to-verdict", best(context))]
}

fn best(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let plan = context.file("smallest.plan", PLAN)?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        context.stop.check()?;
        let mut command = Command::new(&context.executable);
        command.args(["run", "--machine", "sim"]).arg(&plan);
        times.push(once(&mut command)?);
    }
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let parts = vec![Part::new(format!("median of {RUNS} runs"), millis(times[RUNS / 2]), "ms")];
    Ok((millis(times[0]), parts))
}

fn once(command: &mut Command) -> Result<Duration, String> {
    let begin = Instant::now();
    let mut child = child::spawn(command, Stdio::null())?;
    let status = child.0.wait().map_err(|error| format!("the run cannot be waited for: {error}"))?;
    let took = begin.elapsed();
    if status.success() { Ok(took) } else { Err(format!("the smallest plan does not pass: {status}")) }
}
