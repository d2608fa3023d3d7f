//! Oracles, the I/O ledger and expectations over a Workgate trace.
//!
//! A [`Verifier`] is fed every [`trace::Event`] of a run, in order, by either machine. It keeps bounded
//! state, whatever the guest writes, and ends in a [`Verdict`]: what was counted, what was found, and whether
//! each `expect` of the plan held. The oracles run always; a violation is named after the rule it breaks.
#![forbid(unsafe_code)]

mod checks;
mod excuse;
mod expect;
mod finding;
mod lateness;
mod ledger;
mod level;
mod names;
mod order;
mod removal;
mod text;
mod threads;
mod turns;
mod verdict;
mod verifier;

pub use checks::{Checked, Checks};
pub use expect::{Held, time};
pub use finding::{Finding, Rule};
pub use ledger::Counts;
pub use names::Names;
pub use removal::{Removal, is_removal};
pub use text::{defect, render, word};
pub use threads::{GateState, ThreadState, Threads};
pub use verdict::{Ended, Verdict};
pub use verifier::Verifier;
