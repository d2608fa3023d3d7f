//! What the trace costs a guest on KVM: requests that it carries through in the same machine time, without the trace and with it.

use super::context::Context;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
use std::time::Duration;
use vmm::Options;
use vmm::probe::HostReport;

/// One processor that never rests: enough requests wait at both cards.
const PLAN: &str = "machine cpus=1 memory=64M\n\
    plug edu0 edu slot=1\n\
    plug disk0 virtio-blk slot=2\n\
    load edu0 clients=2 depth=4\n\
    load disk0 clients=2 depth=8\n\
    run for=";
/// How long a run may be, shortest first: a host that is slow by itself (a machine inside a machine) needs more machine time.
const LENGTHS: [&str; 3] = ["5ms", "50ms", "500ms"];
/// Requests that tell something: the first length in which so many are carried through is taken.
const ENOUGH: u64 = 300;
/// What the guest's command line has for the side without a trace: the host hears that it is ready, and that it is done.
const MARKS: &str = "trace=marks";
/// Times that a run is tried: a machine in a machine may end for reasons that are the host's.
const TRIES: usize = 4;
/// Turns of each side; the median of their ratios counts.
const TURNS: usize = 7;

/// Measures both, in turns.
pub fn measure(context: &Context) -> Vec<Row> {
    let turns = turns(context);
    let figure = |id, of: fn(&[Turn]) -> (f64, Vec<Part>)| {
        Row::new(id, turns.as_deref().map(of).map_err(Clone::clone))
    };
    vec![figure("trace-cost", throughput), figure("trace-cost-guest", processor_time)]
}

/// A run without the trace, and one with it.
struct Turn {
    without: Run,
    with: Run,
}

fn turns(context: &Context) -> Result<Vec<Turn>, String> {
    let host = context.host.as_ref().map_err(Clone::clone)?;
    let plan = plan(host)?;
    let one = |words| often(&plan, &options(host, words));
    let mut turns = Vec::new();
    for turn in 0..TURNS {
        context.stop.check()?;
        // Who is first in a turn has the caches against it: each side is so every other time.
        turns.push(if turn % 2 == 0 {
            let without = one(MARKS)?;
            Turn { without, with: one("")? }
        } else {
            let with = one("")?;
            Turn { without: one(MARKS)?, with }
        });
    }
    Ok(turns)
}

/// What the trace costs the machine: requests in the same machine time. Where the reader of the ring has no processor for itself, it takes the guest's.
fn throughput(turns: &[Turn]) -> (f64, Vec<Part>) {
    let requests = |run: &Run| run.requests as f64;
    let with = median(turns.iter().map(|turn| requests(&turn.with)));
    let events = turns.iter().map(|turn| turn.with.events).max().unwrap_or(0);
    let (ratio, mut parts) = compare(turns, |turn| requests(&turn.without) / requests(&turn.with));
    parts.extend([
        Part::new(
            "requests without the trace, median",
            median(turns.iter().map(|t| requests(&t.without))),
            "",
        ),
        Part::new("requests with it, median", with, ""),
        Part::new("trace events of a request", events as f64 / with, ""),
    ]);
    (ratio, parts)
}

/// What the trace costs the guest, whoever else has a processor: its own thread's time for a request, exits and all.
fn processor_time(turns: &[Turn]) -> (f64, Vec<Part>) {
    let (ratio, mut parts) = compare(turns, |turn| turn.with.each() / turn.without.each());
    parts.extend([
        Part::new("without the trace, median", median(turns.iter().map(|turn| turn.without.each())), "us"),
        Part::new("with it, median", median(turns.iter().map(|turn| turn.with.each())), "us"),
    ]);
    (ratio, parts)
}

/// The median of what the turns say, and between what they lie.
fn compare(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> (f64, Vec<Part>) {
    let ratios = || turns.iter().map(&of);
    let parts = vec![
        Part::new("least of the ratios", ratios().fold(f64::INFINITY, f64::min), "×"),
        Part::new("greatest of the ratios", ratios().fold(0.0, f64::max), "×"),
    ];
    (median(ratios()), parts)
}

/// The plan, of a length in which this host carries enough requests through. The longest is taken if none is long enough.
fn plan(host: &HostReport) -> Result<Plan, String> {
    let of = |length| crate::load::parse("trace.plan", &text(length)).map_err(|failure| failure.message);
    let (last, shorter) = LENGTHS.split_last().expect("there are lengths");
    for length in shorter {
        let plan = of(length)?;
        if often(&plan, &options(host, MARKS)).is_ok_and(|run| run.requests >= ENOUGH) {
            return Ok(plan);
        }
    }
    of(last)
}

/// The plan that runs for `length`.
fn text(length: &str) -> String {
    format!("{PLAN}{length}\n")
}

/// A machine of this host whose kernel's command line has `words`.
fn options(host: &HostReport, words: &str) -> Options {
    Options { command_line: words.to_owned(), ..crate::machine::kvm_options(host) }
}

/// What one run did.
struct Run {
    requests: u64,
    events: u64,
    /// Processor time of the guest's thread.
    worked: Duration,
}

impl Run {
    /// Processor time of the guest's thread for a request, us.
    fn each(&self) -> f64 {
        self.worked.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// The first run that ends in order, or why the last did not.
fn often(plan: &Plan, options: &Options) -> Result<Run, String> {
    let mut run = once(plan, options);
    for _ in 1..TRIES {
        if run.is_ok() {
            break;
        }
        run = once(plan, options);
    }
    run
}

fn once(plan: &Plan, options: &Options) -> Result<Run, String> {
    let mut events = 0;
    let outcome = vmm::run(plan, guest_image::IMAGE, options, &mut |_| events += 1);
    let outcome = outcome.map_err(|error| error.to_string())?;
    if outcome.ending != vmm::Ending::PowerOff {
        return Err(outcome.ending.to_string());
    }
    match outcome.console.iter().filter_map(|line| done(line)).sum() {
        0 => Err(format!(
            "the guest carried no request through; its last words: {}",
            outcome.console.last().map_or("none", String::as_str)
        )),
        requests => Ok(Run { requests, events, worked: outcome.cpus.iter().map(|cpu| cpu.worked).sum() }),
    }
}

/// How many requests a load says that it carried through.
fn done(line: &str) -> Option<u64> {
    let words = line.strip_prefix("load ")?;
    words.split_whitespace().find_map(|word| word.strip_prefix("done="))?.parse().ok()
}

/// The one in the middle. There is one at least.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_what_the_guest_says() {
        assert_eq!(done("load edu0: issued=894 done=893 offline=1 error=0 corrupt=0"), Some(893));
        assert_eq!(done("load edu0: clients=2 depth=4"), None);
        assert_eq!(done("done=3"), None);
    }

    #[test]
    fn a_turn_tells_what_the_machine_pays_and_what_the_guest_pays() {
        let run =
            |requests, micros| Run { requests, events: 24 * requests, worked: Duration::from_micros(micros) };
        let turn = |with| Turn { without: run(200, 2000), with };
        let turns = [turn(run(100, 1100)), turn(run(160, 1680)), turn(run(200, 1800))];
        assert!((throughput(&turns).0 - 1.25).abs() < 1e-9);
        assert!((processor_time(&turns).0 - 1.05).abs() < 1e-9);
        let (_, parts) = compare(&turns, |turn| turn.with.each());
        assert!(parts.iter().map(|part| part.value).eq([9.0, 11.0]));
    }

    #[test]
    fn the_plan_is_one() {
        for length in LENGTHS {
            assert!(crate::load::parse("trace.plan", &text(length)).is_ok(), "{length}");
        }
    }
}
