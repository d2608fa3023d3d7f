//! What the trace costs a guest on KVM: requests that it carries through in the same machine time, without the trace and with it.

use super::context::Context;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
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
    vec![Row::new("trace-cost", ratio(context))]
}

fn ratio(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let host = context.host.as_ref().map_err(Clone::clone)?;
    let plan = plan(host)?;
    let (mut ratios, mut without, mut with) = (Vec::new(), Vec::new(), Vec::new());
    let mut events = 0;
    for turn in 0..TURNS {
        context.stop.check()?;
        // Who is first in a turn has the caches against it: each side is so every other time.
        let mut sides = [MARKS, ""];
        if turn % 2 == 1 {
            sides.reverse();
        }
        let mut done = [0.0; 2];
        for side in sides {
            let run = often(&plan, &options(host, side))?;
            done[usize::from(side.is_empty())] = run.requests as f64;
            events = events.max(run.events);
        }
        ratios.push(done[0] / done[1]);
        without.push(done[0]);
        with.push(done[1]);
    }
    let requests = median(&mut with);
    Ok((
        median(&mut ratios),
        vec![
            Part::new("requests without the trace, median", median(&mut without), ""),
            Part::new("requests with it, median", requests, ""),
            Part::new("trace events of a request", events as f64 / requests, ""),
            Part::new("least of the ratios", ratios[0], "×"),
            Part::new("greatest of the ratios", ratios[TURNS - 1], "×"),
        ],
    ))
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
        requests => Ok(Run { requests, events }),
    }
}

/// How many requests a load says that it carried through.
fn done(line: &str) -> Option<u64> {
    let words = line.strip_prefix("load ")?;
    words.split_whitespace().find_map(|word| word.strip_prefix("done="))?.parse().ok()
}

/// Sorts, and takes the one in the middle.
fn median(values: &mut [f64]) -> f64 {
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
    fn the_plan_is_one() {
        for length in LENGTHS {
            assert!(crate::load::parse("trace.plan", &text(length)).is_ok(), "{length}");
        }
    }
}
