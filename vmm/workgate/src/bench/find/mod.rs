//! `workgate bench find`: how long each method takes to find each bug of the zoo, the fixed twins beside them.

mod cell;
mod stress;
mod table;
mod zoo;

use super::context::Context;
use super::report::Row;
use crate::cli::FindArgs;
use crate::exit::{Exit, Failure};
use cell::{Allowance, Cell};
use explore::hunt::Method;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use table::{Document, Line};
use zoo::Bug;

/// What `workgate bench` does with it: the same as `workgate bench find` without options.
const ALLOWANCE: Allowance =
    Allowance { seed: 1, executions: 2_000, limit: Duration::from_secs(60), twins: 50 };

/// Hunts every bug with every method, and tells.
pub fn find(args: &FindArgs) -> Result<Exit, Failure> {
    let bugs = zoo::bugs(&args.bugs).map_err(Failure::request)?;
    let context = Context::new()?;
    let allowed = Allowance {
        seed: args.seed,
        executions: args.executions,
        limit: args.limit.unwrap_or(ALLOWANCE.limit),
        twins: args.twins,
    };
    let mut lines = in_the_simulator(&bugs, allowed, args.jobs(), &context).map_err(Failure::request)?;
    let host = stress::host(&context.host, args.kvm);
    if let Ok(host) = host {
        let stop = || context.stop.requested();
        for (bug, line) in bugs.iter().zip(&mut lines) {
            for way in stress::Way::ALL {
                line.cells.push(stress::hunt(bug, way, host, allowed, &stop).map_err(Failure::host)?);
            }
        }
    }
    let document = Document {
        seed: allowed.seed,
        most_executions: allowed.executions,
        limit_seconds: allowed.limit.as_secs(),
        no_stress: host.err(),
        figures: table::figures(&lines),
        bugs: lines,
    };
    let text = match args.json {
        true => crate::run::to_json(&document)? + "\n",
        false => document.text(),
    };
    crate::output::print(&text)?;
    let fine = document.figures.iter().all(Row::is_fine) && !context.stop.requested();
    // A correct driver that was accused is a finding, whatever was asked for.
    let held = document.alarms().next().is_none() && (fine || !args.check);
    Ok(if held { Exit::Held } else { Exit::Found })
}

/// The figures, for `workgate bench`.
pub fn measure(context: &Context) -> Vec<Row> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let found = zoo::bugs(&[]).and_then(|bugs| in_the_simulator(&bugs, ALLOWANCE, jobs, context));
    match found.and_then(|lines| context.stop.check().map(|()| lines)) {
        Ok(lines) => table::figures(&lines),
        Err(reason) => super::FIND_FIGURES.iter().map(|id| Row::missing(id, reason.clone())).collect(),
    }
}

/// Every bug by every method, several at a time.
fn in_the_simulator(
    bugs: &[Bug],
    allowed: Allowance,
    jobs: usize,
    context: &Context,
) -> Result<Vec<Line>, String> {
    let hunts: Vec<(&Bug, Method)> =
        bugs.iter().flat_map(|bug| Method::ALL.map(|method| (bug, method))).collect();
    let cells: Vec<Mutex<Option<Result<Cell, String>>>> = hunts.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let progress = progress(hunts.len());
    let stop = || context.stop.requested();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, hunts.len().max(1)) {
            scope.spawn(|| {
                while let Some(index) = claim(&next, hunts.len()) {
                    let (bug, method) = hunts[index];
                    progress.set_message(format!("{} by {}", bug.specimen.name, method.word()));
                    let cell = cell::hunt(bug, method, allowed, &stop);
                    *cells[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(cell);
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut cells = cells.into_iter().map(|cell| {
        let cell = cell.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        cell.unwrap_or_else(|| Err("a hunt was not made".to_owned()))
    });
    let line = |bug: &Bug| {
        let cells = cells.by_ref().take(Method::ALL.len()).collect::<Result<_, _>>()?;
        Ok(Line { bug: bug.specimen.name, rule: bug.specimen.rule, cells })
    };
    bugs.iter().map(line).collect()
}

/// The next number below `bound`, once each.
fn claim(next: &AtomicUsize, bound: usize) -> Option<usize> {
    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < bound)
}

/// Invisible unless the error stream is a terminal.
fn progress(hunts: usize) -> ProgressBar {
    let bar = ProgressBar::new(hunts as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_bar} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Executions are a function of the seed, however many hunts run at a time; every bug is found by one method at the least.
    #[test]
    fn executions_are_the_same_every_time() {
        let names = ["close-early", "request-list"].map(str::to_owned);
        let bugs = zoo::bugs(&names).expect("in the zoo");
        let context = Context::new().map_err(|failure| failure.message).expect("a context");
        let allowed = Allowance { executions: 12, twins: 2, limit: Duration::from_secs(3_600), ..ALLOWANCE };
        let executions = |jobs| -> Vec<_> {
            let lines = in_the_simulator(&bugs, allowed, jobs, &context).expect("they run");
            assert!(lines.iter().all(|line| line.quickest().is_some()), "{lines:?}");
            let cells = lines.iter().flat_map(|line| &line.cells);
            cells.map(|cell| (cell.end, cell.executions, cell.twin_executions, cell.alarm.clone())).collect()
        };
        assert_eq!(executions(1), executions(3));
    }
}
