//! The inputs that are worth changing.

use sim::Rng;

/// Inputs kept; beyond, new ones take the place of old ones.
const MOST: usize = 1 << 16;
/// One in so many is among the newest.
const NEWEST: usize = 8;

/// The corpus.
pub struct Corpus {
    inputs: Vec<Vec<u8>>,
    /// Where the next one goes once it is full.
    next: usize,
}

impl Corpus {
    /// With what there is to begin with.
    pub fn new(mut seeds: Vec<Vec<u8>>) -> Self {
        if seeds.is_empty() {
            seeds.push(Vec::new());
        }
        Self { inputs: seeds, next: 0 }
    }

    /// An input has reached something new.
    pub fn add(&mut self, input: Vec<u8>) {
        if self.inputs.len() < MOST {
            self.inputs.push(input);
        } else {
            self.inputs[self.next] = input;
            self.next = (self.next + 1) % MOST;
        }
    }

    /// Any of them; every other time one of the newest, which lead on from what was found last.
    pub fn pick(&self, rng: &mut Rng) -> &[u8] {
        let newest = (self.inputs.len() / NEWEST).max(1);
        let from = if rng.below(2) == 0 { self.inputs.len() - newest } else { 0 };
        let at = from + rng.below((self.inputs.len() - from) as u32) as usize;
        &self.inputs[at]
    }
}
