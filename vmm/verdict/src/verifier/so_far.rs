//! What a verifier knows before the end of a run.

use super::Verifier;
use crate::finding::Finding;
use crate::ledger::Counts;
use crate::threads::ThreadState;
use devices::fault::plan::Rule;
use std::collections::BTreeMap;

/// Threads told at the most.
const MAX_TOLD: usize = 4_096;

impl Verifier {
    /// A rule was added to the plan while the machine runs (or an action carried out, as a rule for its time): what it explains is
    /// explained as if it had been in the plan from the start.
    pub fn said(&mut self, rule: &Rule) {
        self.plan.rules.push(rule.clone());
    }

    /// Every thread: where it is, since when, what it has entered.
    pub fn threads(&self) -> Vec<ThreadState> {
        self.threads.all(&self.names, MAX_TOLD)
    }

    /// The ledger by device, with the number of requests in flight.
    pub fn ledger(&self) -> BTreeMap<String, (Counts, usize)> {
        let of =
            |(&slot, counts): (&u32, &Counts)| (self.device(slot), (*counts, self.ledger.in_flight(slot)));
        self.ledger.counts().iter().map(of).collect()
    }

    /// The findings that are kept, and how many there were in all.
    pub fn findings(&self) -> (&[Finding], u64) {
        (&self.findings, self.findings_total)
    }
}
