//! What a fuzz target is.

use devices::fault::plan::Plan;
use explore::{Cause, Schedule};

/// What an input reached: numbers that mean something to its target only. An input that reaches a new one is worth keeping.
#[derive(Clone, Debug, Default)]
pub struct Features(Vec<u64>);

/// Features kept of one input; what is beyond is a loop, and says nothing new.
const MAX_FEATURES: usize = 1 << 16;

impl Features {
    /// Something was reached.
    pub fn note(&mut self, feature: u64) {
        if self.0.len() < MAX_FEATURES {
            self.0.push(feature);
        }
    }

    /// The features, each once, in order.
    pub fn into_sorted(mut self) -> Vec<u64> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0
    }
}

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// By which duplicates are recognised.
    pub cause: Cause,
    /// The whole story, for people.
    pub told: String,
}

impl Trouble {
    /// Trouble with this rule.
    pub fn new(rule: impl Into<String>, told: impl Into<String>) -> Self {
        Self { cause: Cause { rule: rule.into() }, told: told.into() }
    }
}

/// Gives any bytes a meaning, and says what must hold whatever they are.
pub trait Target: Send + Sync {
    /// The word on the command line.
    fn name(&self) -> &'static str;
    /// One line about it.
    fn about(&self) -> &'static str;
    /// Bytes beyond these mean nothing.
    fn most(&self) -> usize;
    /// Inputs to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;
    /// Strings of bytes that mean something.
    fn dictionary(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    /// Runs an input. A panic is trouble, too.
    fn run(&self, input: &[u8], features: &mut Features) -> Option<Trouble>;
    /// The plan and the schedule that an input means, if it means that.
    fn plan(&self, _input: &[u8]) -> Option<(Plan, Schedule)> {
        None
    }
    /// The input in words.
    fn describe(&self, input: &[u8]) -> String;
}
