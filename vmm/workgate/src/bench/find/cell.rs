//! One bug, one method, and the fixed twin beside it.

use super::zoo::Bug;
use explore::Run;
use explore::hunt::{self, Bounds, Found, Hunted, Method};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a hunt may cost.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Seed of every hunt.
    pub seed: u64,
    /// Most executions.
    pub executions: u64,
    /// Longest time.
    pub limit: Duration,
    /// Executions of the twin, at the least; it has as many as its bug took.
    pub twins: u64,
}

/// Why a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The bug was found.
    Found,
    /// All that the method would try was tried.
    NothingLeft,
    /// As many executions as were allowed.
    Executions,
    /// The time was up, or somebody pressed Ctrl-C.
    Time,
}

/// How a method did with a bug.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The method's word.
    pub method: &'static str,
    /// How it ended.
    pub end: End,
    /// Executions, the one that found the bug included.
    pub executions: u64,
    /// Host time.
    pub seconds: f64,
    /// The plan that showed the bug, and under which schedule.
    pub shown_by: Option<(String, String)>,
    /// Executions of the twin.
    pub twin_executions: u64,
    /// What the twin was accused of: a false alarm.
    pub alarm: Option<String>,
}

impl Cell {
    /// Whether the bug was found.
    pub fn found(&self) -> bool {
        self.end == End::Found
    }
}

/// Hunts a bug in the simulator by `method`, then its twin. `stop`: end early.
///
/// # Errors
/// A machine cannot be started.
pub fn hunt(bug: &Bug, method: Method, allowed: Allowance, stop: &dyn Fn() -> bool) -> Result<Cell, String> {
    let begin = Instant::now();
    let mut over = || stop() || begin.elapsed() >= allowed.limit;
    let mut bounds = Bounds { executions: allowed.executions, stop: &mut over };
    let breaks = |run: &Run| hunt::breaks(run, bug.specimen.rule);
    let hunted = hunt::hunt(&bug.plan, method, allowed.seed, &breaks, &mut bounds)?;
    let seconds = begin.elapsed().as_secs_f64();
    let end = end(&hunted, allowed.executions);
    let (twin_executions, alarm) = twin(bug, method, &hunted, allowed, stop)?;
    let shown = |found: Found| (found.task.plan.to_string(), found.task.schedule.describe());
    Ok(Cell {
        method: method.word(),
        end,
        executions: hunted.executions,
        seconds,
        shown_by: hunted.found.map(shown),
        twin_executions,
        alarm,
    })
}

fn end(hunted: &Hunted, executions: u64) -> End {
    match hunted {
        Hunted { found: Some(_), .. } => End::Found,
        Hunted { exhausted: true, .. } => End::NothingLeft,
        hunted if hunted.executions >= executions => End::Executions,
        _ => End::Time,
    }
}

/// The twin under what found the bug, and more.
fn twin(
    bug: &Bug,
    method: Method,
    hunted: &Hunted,
    allowed: Allowance,
    stop: &dyn Fn() -> bool,
) -> Result<(u64, Option<String>), String> {
    let begin = Instant::now();
    let mut over = || stop() || begin.elapsed() >= allowed.limit;
    let accused = |run: &Run| run.cause.is_some();
    let executions = allowed.twins.max(hunted.executions);
    let mut bounds = Bounds { executions, stop: &mut over };
    let twin = hunt::hunt(&bug.twin, method, allowed.seed, &accused, &mut bounds)?;
    let told = twin.found.map(|Found { task, cause }| {
        let rule = cause.map_or_else(String::new, |cause| cause.rule);
        format!("{rule} in execution {}: {}\n{}", twin.executions, task.schedule.describe(), task.plan)
    });
    Ok((twin.executions, told))
}
