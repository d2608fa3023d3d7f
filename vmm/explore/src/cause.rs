//! What a failing run is about: duplicates of one bug have one cause.

use serde::{Deserialize, Serialize};
use sim::Outcome;
use std::fmt;
use verdict::{Ended, Verdict};

/// The rule that broke first, and for which model. Slots and names are the plan's; two plans that show the same bug may differ in them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// The rule's name, or `expect …` for an expectation that did not hold.
    pub rule: String,
}

impl Cause {
    /// The cause of a run that did not go as correct drivers let it. `None` = it did.
    ///
    /// An expectation that was not shown (nothing was removed) has not failed: a plan under change may well lose its removals.
    pub fn of(verdict: &Verdict, outcome: &Outcome) -> Option<Self> {
        let rule = |rule: &str| Some(Self { rule: rule.to_owned() });
        if let Some(first) = verdict.findings.first() {
            return rule(&first.rule);
        }
        let shown = |expect: &str| expect == "no-leaks" || !verdict.removals.is_empty();
        if let Some(failed) = verdict.expectations.iter().find(|e| !e.held && shown(&e.expect)) {
            return rule(&format!("expect {}", failed.expect));
        }
        if verdict.ended != Ended::Done {
            return rule("bad-end");
        }
        match (outcome.abandoned, outcome.kernel_references) {
            (0, 0) => None,
            _ => rule("kernel-leak"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}
