//! A machine that goes back to its `boot.ready`, beside one that boots: from the request to the first event that the guest records behind it.

use super::context::Context;
use super::report::{Part, Row};
use devices::fault::plan::Plan;
use std::time::{Duration, Instant};
use trace::{Event, Kind};
use vmm::{Options, Snapshot};

/// The smallest machine with a device; the run itself is the same on both sides, and ends as soon as it has begun.
const PLAN: &str = "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nrun for=1us\n";
/// Turns of each side, of which the best counts.
const TURNS: usize = 5;
/// Goings back without a run, whose mean is told.
const BACK: u32 = 20;

/// Measures both, in turns.
pub fn measure(context: &Context) -> Vec<Row> {
    vec![Row::new("snapshot", ratio(context))]
}

/// The time from `begin` to the first event behind `boot.ready`.
struct Reached {
    begin: Instant,
    ready: bool,
    took: Option<Duration>,
}

impl Reached {
    fn new() -> Self {
        Self { begin: Instant::now(), ready: false, took: None }
    }

    fn event(&mut self, event: &Event) {
        if self.ready {
            self.took.get_or_insert_with(|| self.begin.elapsed());
        }
        self.ready |= event.kind == Kind::Ready;
    }
}

fn ratio(context: &Context) -> Result<(f64, Vec<Part>), String> {
    let host = context.host.as_ref().map_err(Clone::clone)?;
    let plan = Plan::parse("bench", PLAN).map_err(|errors| format!("{errors:?}"))?;
    let options = Options { slow_down: host.slow_down, ..Options::default() };
    let said = |error: vmm::VmmError| error.to_string();
    let mut snapshot = Snapshot::boot(&plan, guest_image::IMAGE, &options).map_err(said)?;
    let (mut fresh, mut from_snapshot) = (Duration::MAX, Duration::MAX);
    let mut pages = 0;
    for _ in 0..TURNS {
        context.stop.check()?;
        let mut reached = Reached::new();
        vmm::run(&plan, guest_image::IMAGE, &options, &mut |event| reached.event(event)).map_err(said)?;
        fresh = fresh.min(reached.took.ok_or("the guest says nothing behind boot.ready")?);
        let mut reached = Reached::new();
        snapshot.run(&plan, 0, &mut |event| reached.event(event)).map_err(said)?;
        from_snapshot = from_snapshot.min(reached.took.ok_or("the guest says nothing behind boot.ready")?);
        pages = snapshot.changed_pages().map_err(said)?;
    }
    let dirty = Instant::now();
    snapshot.go_back().map_err(said)?;
    let dirty = dirty.elapsed();
    let clean = Instant::now();
    for _ in 0..BACK {
        snapshot.go_back().map_err(said)?;
    }
    let clean = clean.elapsed() / BACK;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok((
        fresh.as_secs_f64() / from_snapshot.as_secs_f64(),
        vec![
            Part::new("fresh boot", micros(fresh), "us"),
            Part::new("from the snapshot", micros(from_snapshot), "us"),
            Part::new("pages that the run changed", pages as f64, ""),
            Part::new("going back after a run", micros(dirty), "us"),
            Part::new("going back when nothing was changed", micros(clean), "us"),
        ],
    ))
}
