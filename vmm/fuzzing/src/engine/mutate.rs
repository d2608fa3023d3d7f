//! New inputs from old ones.

use super::corpus::Corpus;
use sim::Rng;

/// Changes of one input, at most 2 to the power of this.
const CHANGES: u32 = 4;
/// Bytes that one change moves, removes or adds.
const CHUNK: u32 = 32;
/// Numbers that programs get wrong.
const INTERESTING: [u64; 14] = [0, 1, 2, 7, 8, 16, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0xffff_ffff];

/// Makes inputs.
pub struct Mutator {
    seed: u64,
    most: usize,
    dictionary: Vec<Vec<u8>>,
}

impl Mutator {
    /// Inputs of at most `most` bytes, all of them a matter of `seed` and their number.
    pub fn new(seed: u64, most: usize, dictionary: Vec<Vec<u8>>) -> Self {
        Self { seed, most, dictionary }
    }

    /// The input with this number.
    pub fn input(&self, number: u64, corpus: &Corpus) -> Vec<u8> {
        let mut rng = Rng::new(self.seed.rotate_left(32) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut input = corpus.pick(&mut rng).to_vec();
        for _ in 0..1_u32 << rng.below(CHANGES + 1) {
            self.change(&mut input, corpus, &mut rng);
        }
        input.truncate(self.most);
        input
    }

    fn change(&self, input: &mut Vec<u8>, corpus: &Corpus, rng: &mut Rng) {
        if input.is_empty() {
            input.extend((0..=rng.below(CHUNK)).map(|_| rng.next_u64() as u8));
            return;
        }
        let length = input.len();
        let at = rng.below(length as u32) as usize;
        match rng.below(10) {
            0 => input[at] ^= 1 << rng.below(8),
            1 => input[at] = rng.next_u64() as u8,
            2 => input[at] = input[at].wrapping_add(1 + rng.below(16) as u8),
            3 => input[at] = input[at].wrapping_sub(1 + rng.below(16) as u8),
            4 => {
                let number = INTERESTING[rng.below(INTERESTING.len() as u32) as usize];
                overwrite(input, at, &number.to_le_bytes()[..1 << rng.below(4)]);
            }
            5 => _ = input.drain(at..length.min(at + 1 + rng.below(CHUNK) as usize)),
            6 => {
                let bytes: Vec<u8> = (0..=rng.below(CHUNK)).map(|_| rng.next_u64() as u8).collect();
                self.insert(input, at, &bytes);
            }
            7 => {
                // A stretch again, or over another one.
                let stretch = input[at..length.min(at + 1 + rng.below(CHUNK) as usize)].to_vec();
                let to = rng.below(length as u32) as usize;
                match rng.below(2) {
                    0 => self.insert(input, to, &stretch),
                    _ => overwrite(input, to, &stretch),
                }
            }
            8 => {
                let other = corpus.pick(rng);
                let from = rng.below(other.len().max(1) as u32) as usize;
                match rng.below(2) {
                    0 => overwrite(input, at, other.get(at..).unwrap_or_default()),
                    _ => {
                        input.truncate(at);
                        input.extend(&other[from.min(other.len())..]);
                    }
                }
            }
            _ => match self.dictionary.len() {
                0 => overwrite(input, at, &rng.next_u64().to_le_bytes()[..1 << rng.below(4)]),
                words => self.insert(input, at, &self.dictionary[rng.below(words as u32) as usize]),
            },
        }
    }

    fn insert(&self, input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        if input.len() + bytes.len() <= self.most {
            input.splice(at..at, bytes.iter().copied());
        }
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (into, from) in input[at..].iter_mut().zip(bytes) {
        *into = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn inputs_are_many_bounded_and_a_matter_of_their_number() {
        let corpus = Corpus::new(vec![b"plug edu0".to_vec(), Vec::new(), vec![0; 90]]);
        let mutator = Mutator::new(7, 100, vec![b"unplug".to_vec()]);
        let mut all = HashSet::new();
        for number in 0..5_000 {
            let input = mutator.input(number, &corpus);
            assert!(input.len() <= 100);
            assert_eq!(input, mutator.input(number, &corpus));
            all.insert(input);
        }
        assert!(all.len() > 4_000, "{}", all.len());
        assert!(all.iter().any(|input| input.windows(6).any(|part| part == b"unplug")));
    }
}
