//! The plane's dice: what a seed means for probabilities and altered bytes.

/// SplitMix64 (Steele, Lea and Flood, 2014): one word of state, and good enough for dice. Our own, so that a seed means the same in every
/// release.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of `seed`. They are not those of the scheduler, which has the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x6661_756c_7473_2e2e)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Alters `bytes`: at least one of them, each with the chance of one in eight, by at least one bit.
    pub fn alter(&mut self, bytes: &mut [u8]) {
        let Some(last) = bytes.len().checked_sub(1) else { return };
        let certain = (self.roll() % (last as u64 + 1)) as usize;
        for (at, byte) in bytes.iter_mut().enumerate() {
            let roll = self.roll();
            if at == certain || roll & 7 == 0 {
                *byte ^= (roll >> 8) as u8 | 1 << (roll >> 61);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_rolls_and_another_seed_others() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            [dice.roll(), dice.roll(), dice.roll()]
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }

    #[test]
    fn altered_bytes_differ() {
        let mut dice = Dice::new(7);
        for length in 1..200 {
            let mut bytes = vec![0x5a; length];
            dice.alter(&mut bytes);
            assert!(bytes.iter().any(|&byte| byte != 0x5a), "{length}");
        }
        dice.alter(&mut []);
    }
}
