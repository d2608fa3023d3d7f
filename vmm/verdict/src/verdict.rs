//! What a run showed.

use crate::checks::Checks;
use crate::expect::Held;
use crate::finding::Finding;
use crate::ledger::Counts;
use crate::removal::Removal;
use serde::Serialize;
use std::collections::BTreeMap;

/// How the machine ended, as the verdict needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", content = "detail", rename_all = "kebab-case")]
pub enum Ended {
    /// The guest said `run.done` and powered off.
    Done,
    /// The kernel panicked.
    Panic(String),
    /// Nothing could run, or nothing made progress.
    Hang(String),
    /// A triple fault, a reset, an error of the machine.
    Bad(String),
    /// The guest saw its processor do what no processor does: the run says nothing about the guest.
    HostDefect(String),
    /// Somebody ended it from outside: it says nothing about what would have come.
    Quit,
}

/// The whole result of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// All expectations held and no rule was broken.
    pub passed: bool,
    /// How the machine ended.
    pub ended: Ended,
    /// The ledger, by device name.
    pub io: BTreeMap<String, Counts>,
    /// What the plan did, in order: (plan time in ns, device, action).
    pub faults: Vec<(u64, String, String)>,
    /// What followed each removal.
    pub removals: Vec<Removal>,
    /// The plan's expectations.
    pub expectations: Vec<Held>,
    /// Broken rules, in the order in which they were seen; at most 64 are kept.
    pub findings: Vec<Finding>,
    /// Broken rules seen in all.
    pub findings_total: u64,
    /// Instances left of each class.
    pub classes: Vec<(String, u64)>,
    /// Plan rules that never acted.
    pub never_acted: Vec<String>,
    /// What was looked at: how often each rule could have been found broken.
    pub checks: Checks,
}
