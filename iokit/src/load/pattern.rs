//! Data that can be told from other data.

/// Fills `data` with bytes that follow from `seed`.
pub(super) fn fill(data: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in data.chunks_mut(8) {
        // xorshift64: never zero, no period that a copy could fall into.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_give_different_bytes_and_the_same_seed_the_same() {
        let (mut a, mut b, mut c) = ([0; 20], [0; 20], [0; 20]);
        fill(&mut a, 1);
        fill(&mut b, 1);
        fill(&mut c, 2);
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_ne!(a[..8], a[8..16]);
    }
}
