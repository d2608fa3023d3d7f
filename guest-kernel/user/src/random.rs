//! Numbers that look random, and data that can be told from other data.

/// A generator (splitmix64): the same numbers from the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of `choices`, of which there is at least one.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Fills `data` with bytes that follow from `seed`.
pub fn fill(data: &mut [u8], seed: u64) {
    let mut random = Random::new(seed);
    for chunk in data.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
}

/// Whether `data` is what [`fill`] made of `seed`.
pub fn is_filled(data: &[u8], seed: u64) -> bool {
    let mut random = Random::new(seed);
    data.chunks(8).all(|chunk| chunk == &random.next().to_le_bytes()[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_known_again_and_no_other_is() {
        let mut data = [0; 21];
        fill(&mut data, 7);
        assert!(is_filled(&data, 7) && !is_filled(&data, 8));
        data[20] ^= 1;
        assert!(!is_filled(&data, 7));
    }
}
