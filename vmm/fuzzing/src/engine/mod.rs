//! The engine: keeps the inputs that reach something new, changes them, and looks for the ones that break something.
//!
//! It goes in rounds. The inputs of a round are made from the corpus as it was before, each from its own number; they run on all cores; what they brought
//! is taken in order of their numbers. So a campaign of so many runs with the same seed does the same on one core and on many, and a number names an input.

mod attempt;
mod corpus;
mod crew;
pub mod minimize;
mod mutate;

pub use attempt::{attempt, hung};

use crate::target::{Target, Trouble};
use corpus::Corpus;
use crew::{Crew, Job, Outcome};
use explore::Cause;
use mutate::Mutator;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Inputs of a round.
const ROUND: u64 = 64;
/// Features kept; more are counted no longer.
const MAX_FEATURES: usize = 1 << 22;

/// Which campaign, and how.
pub struct Options<'s> {
    /// Most runs.
    pub runs: Option<u64>,
    /// OS threads.
    pub jobs: usize,
    /// This part of so many: (0, 1) is all. The numbers of the parts do not overlap.
    pub shard: (u64, u64),
    /// What inputs are made from, with their numbers.
    pub seed: u64,
    /// How long one input may take on this host before it counts as a hang.
    pub patience: Duration,
    /// Set by others: end now.
    pub stop: &'s AtomicBool,
}

/// The first input that showed a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub input: Vec<u8>,
    /// What broke.
    pub trouble: Trouble,
}

/// A campaign so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs that ended.
    pub runs: u64,
    /// Features reached.
    pub features: u64,
    /// Inputs kept.
    pub corpus: u64,
    /// The first run of each cause, by number, and how many runs had it.
    pub findings: BTreeMap<Cause, (u64, u64)>,
    /// An input did not end: the campaign is over, and its OS thread is lost.
    pub hung: bool,
}

/// Hears how a campaign goes, on the calling thread.
pub trait Listener {
    /// A few more runs have ended.
    fn progress(&mut self, summary: &Summary);
    /// An input reached something new.
    fn kept(&mut self, _input: &[u8]) {}
    /// A cause was seen for the first time. The campaign waits.
    fn found(&mut self, found: &Found);
}

/// Fuzzes `target`, beginning with its seeds and `more` inputs.
pub fn fuzz(
    target: &Arc<dyn Target>,
    more: Vec<Vec<u8>>,
    options: &Options<'_>,
    listener: &mut dyn Listener,
) -> Summary {
    let mut seeds = target.seeds();
    seeds.extend(more);
    seeds.iter_mut().for_each(|seed| seed.truncate(target.most()));
    let mutator = Mutator::new(options.seed, target.most(), target.dictionary());
    let crew = Crew::new(target.clone(), options.jobs, options.patience);
    let mut campaign = Campaign { summary: Summary::default(), corpus: Corpus::new(seeds.clone()) };
    let (index, shards) = options.shard;
    let most = options.runs.unwrap_or(u64::MAX);
    let mut turn = 0;
    while turn < most && !options.stop.load(Ordering::Relaxed) && !campaign.summary.hung {
        let turns = turn..turn.saturating_add(ROUND).min(most);
        turn = turns.end;
        let numbers = turns.map_while(|turn| turn.checked_mul(shards)?.checked_add(index));
        let jobs: Vec<Job> = numbers
            .map(|number| {
                let seed = usize::try_from(number).ok().and_then(|number| seeds.get(number));
                let input = seed.cloned().unwrap_or_else(|| mutator.input(number, &campaign.corpus));
                Job { number, input }
            })
            .collect();
        if jobs.is_empty() {
            break;
        }
        let outcomes = crew.run(jobs, options.stop, &mut |done| {
            listener.progress(&Summary { runs: campaign.summary.runs + done, ..campaign.summary.clone() });
        });
        campaign.take(outcomes, &crew, listener);
    }
    campaign.summary
}

struct Campaign {
    summary: Summary,
    corpus: Corpus,
}

impl Campaign {
    /// Takes what a round brought, in order of numbers.
    fn take(&mut self, mut outcomes: Vec<Outcome>, crew: &Crew, listener: &mut dyn Listener) {
        outcomes.sort_by_key(|outcome| outcome.number);
        for outcome in outcomes {
            let Outcome { number, input, fresh, trouble, hung } = outcome;
            self.summary.runs += 1;
            self.summary.hung |= hung;
            if self.is_new(&fresh, crew) {
                listener.kept(&input);
                self.corpus.add(input.clone());
                self.summary.corpus += 1;
            }
            let Some(trouble) = trouble else { continue };
            let entry = self.summary.findings.entry(trouble.cause.clone());
            let (_, runs) = entry.or_insert((number, 0));
            *runs += 1;
            if *runs == 1 {
                listener.found(&Found { number, input, trouble });
            }
        }
        listener.progress(&self.summary);
    }

    /// Whether some of `fresh` is still new: another input of the round may have reached it, too.
    fn is_new(&mut self, fresh: &[u64], crew: &Crew) -> bool {
        let mut seen = crew.seen().write().unwrap_or_else(PoisonError::into_inner);
        let room = seen.len() < MAX_FEATURES;
        let new = room && fresh.iter().fold(false, |new, feature| seen.insert(*feature) | new);
        self.summary.features = seen.len() as u64;
        new
    }
}

/// The features that are known.
type Seen = HashSet<u64>;

#[cfg(test)]
mod tests;
