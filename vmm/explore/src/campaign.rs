//! Many schedules of one plan, on all cores.
//!
//! Each number names one schedule, so a campaign can be cut into shards, whose numbers do not overlap, and be continued.

use crate::cause::Cause;
use crate::coverage::Coverage;
use crate::execute;
use crate::phase::Phase;
use crate::schedule::Schedule;
use crate::teardown::Teardown;
use devices::fault::plan::Plan;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// One run of a campaign: what to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its plan.
    pub plan: Plan,
    /// Its schedule.
    pub schedule: Schedule,
}

/// A source of runs, by number.
pub trait Tasks: Sync {
    /// How many there are; `None`: without end.
    fn count(&self) -> Option<u64>;
    /// The run with this number.
    fn task(&self, number: u64) -> Task;
}

/// Random schedules: number n is the seed n.
#[derive(Clone, Debug)]
pub struct Random(pub Plan);

impl Tasks for Random {
    fn count(&self) -> Option<u64> {
        None
    }

    fn task(&self, number: u64) -> Task {
        Task { plan: self.0.clone(), schedule: Schedule::Seed(number) }
    }
}

/// Steps between locks in the order of random ranks: number n has the ranks of seed n.
#[derive(Clone, Debug)]
pub struct Sampled(pub Plan);

impl Tasks for Sampled {
    fn count(&self) -> Option<u64> {
        None
    }

    fn task(&self, number: u64) -> Task {
        Task { plan: self.0.clone(), schedule: Schedule::Pos { seed: number } }
    }
}

/// PCT schedules with 1 to `depth` changes of mind.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The plan.
    pub plan: Plan,
    /// Most changes of mind.
    pub depth: u32,
    /// Machine time in which they fall, in nanoseconds.
    pub horizon: u64,
}

impl Tasks for Changes {
    fn count(&self) -> Option<u64> {
        None
    }

    fn task(&self, number: u64) -> Task {
        let depth = 1 + (number % u64::from(self.depth.max(1))) as u32;
        Task {
            plan: self.plan.clone(),
            schedule: Schedule::Pct { seed: number, depth, horizon: self.horizon },
        }
    }
}

/// Which runs, and how.
pub struct Options<'s> {
    /// Most runs.
    pub runs: Option<u64>,
    /// OS threads.
    pub jobs: usize,
    /// This part of so many: (0, 1) is all.
    pub shard: (u64, u64),
    /// True = end at the first bug.
    pub first_only: bool,
    /// Set by others: end now.
    pub stop: &'s AtomicBool,
}

/// What a run brought.
#[derive(Clone, Debug)]
pub struct Result {
    /// Its number.
    pub number: u64,
    /// Hash of its trace.
    pub hash: u64,
    /// Events.
    pub events: u64,
    /// The bug that it shows.
    pub cause: Option<Cause>,
    /// States that its OS thread had not seen before.
    pub fresh: Vec<u64>,
    /// What the stack did when the first surprise removal hit it.
    pub removed_in: Option<Phase>,
}

/// A campaign so far.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs that ended.
    pub runs: u64,
    /// Events in them.
    pub events: u64,
    /// Traces that differ.
    pub traces: u64,
    /// States reached.
    pub states: u64,
    /// The first run of each cause, by number, and how many runs had it.
    pub findings: BTreeMap<Cause, (u64, u64)>,
    /// What the runs have exercised; complete when the campaign has ended.
    pub teardown: Teardown,
    /// Why a machine could not be started, if one could not.
    pub trouble: Option<String>,
}

/// Hashes kept to tell traces apart.
const MAX_TRACES: usize = 1 << 22;

/// Runs `tasks`. `told` hears of every run, in the order in which they end, on the calling thread.
pub fn run(tasks: &dyn Tasks, options: &Options<'_>, told: &mut dyn FnMut(&Result, &Summary)) -> Summary {
    let (index, shards) = options.shard;
    let turn = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let most = options.runs.unwrap_or(u64::MAX);
    let last = tasks.count().unwrap_or(u64::MAX);
    let next = || {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let number = turn.checked_mul(shards)?.checked_add(index)?;
        let ended = over.load(Ordering::Relaxed) || options.stop.load(Ordering::Relaxed);
        (!ended && turn < most && number < last).then_some(number)
    };
    let mut summary = Summary::default();
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(256);
        let worker = |_| {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || work(tasks, next, &sender))
        };
        let workers: Vec<_> = (0..options.jobs.max(1)).map(worker).collect();
        drop(sender);
        for result in receiver {
            match result {
                Ok(result) => {
                    seen.take(&result, &mut summary);
                    told(&result, &summary);
                    if result.cause.is_some() && options.first_only {
                        over.store(true, Ordering::Relaxed);
                    }
                }
                Err(trouble) => {
                    summary.trouble = Some(trouble);
                    over.store(true, Ordering::Relaxed);
                }
            }
        }
        for worker in workers {
            match worker.join() {
                Ok(teardown) => summary.teardown.merge(&teardown),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    summary
}

type Sender = mpsc::SyncSender<std::result::Result<Result, String>>;

fn work(tasks: &dyn Tasks, next: &dyn Fn() -> Option<u64>, sender: &Sender) -> Teardown {
    let (mut coverage, mut teardown) = (Coverage::default(), Teardown::default());
    while let Some(number) = next() {
        let task = tasks.task(number);
        coverage.begin();
        teardown.begin();
        let ran = execute::run(&task.plan, &task.schedule, &mut |event| {
            coverage.event(event);
            teardown.event(event);
        });
        if let Ok(run) = &ran {
            teardown.end(run);
        }
        let result = ran.map_err(|error| error.to_string()).map(|run| Result {
            number,
            hash: run.outcome.trace_hash,
            events: run.outcome.events,
            cause: run.cause,
            fresh: coverage.take_fresh(),
            removed_in: coverage.removed_in(),
        });
        // The campaign has ended if nobody listens.
        if sender.send(result).is_err() {
            break;
        }
    }
    teardown
}

#[derive(Default)]
struct Seen {
    traces: HashSet<u64>,
    states: HashSet<u64>,
}

impl Seen {
    fn take(&mut self, result: &Result, summary: &mut Summary) {
        summary.runs += 1;
        summary.events += result.events;
        if self.traces.len() < MAX_TRACES {
            self.traces.insert(result.hash);
        }
        self.states.extend(&result.fresh);
        summary.traces = self.traces.len() as u64;
        summary.states = self.states.len() as u64;
        if let Some(cause) = &result.cause {
            let entry = summary.findings.entry(cause.clone()).or_insert((result.number, 0));
            entry.0 = entry.0.min(result.number);
            entry.1 += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(driver: &str) -> Plan {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1{driver}\nload edu0 clients=2 depth=2\n\
             on edu0.mmio.write #40 unplug edu0\nrun for=1ms\n"
        );
        Plan::parse("t.plan", &text).expect("a good plan")
    }

    fn explore(tasks: &dyn Tasks, runs: u64, shard: (u64, u64), jobs: usize) -> (Summary, Vec<(u64, u64)>) {
        let stop = AtomicBool::new(false);
        let options = Options { runs: Some(runs), jobs, shard, first_only: false, stop: &stop };
        let mut ran = Vec::new();
        let summary = run(tasks, &options, &mut |result, _| ran.push((result.number, result.hash)));
        ran.sort_unstable();
        (summary, ran)
    }

    #[test]
    fn shards_do_the_same_work_without_overlap() {
        let tasks = Random(plan(""));
        let (whole, all) = explore(&tasks, 12, (0, 1), 2);
        assert_eq!((whole.runs, whole.findings.len(), whole.trouble), (12, 0, None));
        assert!(whole.traces > 6 && whole.states > 50, "{} {}", whole.traces, whole.states);
        let mut parts: Vec<_> = (0..3).flat_map(|n| explore(&tasks, 4, (n, 3), 1).1).collect();
        parts.sort_unstable();
        assert_eq!(parts, all);
    }

    #[test]
    fn a_buggy_driver_is_found_and_told_apart() {
        let tasks = Changes { plan: plan(" driver=close-early"), depth: 3, horizon: 2_000_000 };
        let (summary, _) = explore(&tasks, 10, (0, 1), 2);
        let causes: Vec<_> = summary.findings.keys().map(|cause| cause.rule.as_str()).collect();
        assert!(causes.contains(&"close-before-return"), "{causes:?}");
    }

    #[test]
    fn a_campaign_that_is_told_to_stop_stops() {
        let stop = AtomicBool::new(true);
        let options = Options { runs: None, jobs: 2, shard: (0, 1), first_only: false, stop: &stop };
        assert_eq!(run(&Random(plan("")), &options, &mut |_, _| {}).runs, 0);
    }
}
