//! Walking a stack by its frame pointers, which our image keeps in every function.

use crate::paging::Space;
use crate::registers::Registers;

/// Frames that are told at the most.
const MAX_FRAMES: usize = 256;

/// Memory by virtual addresses.
pub trait Virtual {
    /// The word at `address`; `None` if it cannot be read.
    fn word(&self, address: u64) -> Option<u64>;
}

impl Virtual for Space<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        Space::word(self, address)
    }
}

/// The instruction pointer, and the return addresses behind it, innermost first. The guest may have written anything there: a frame that comes
/// again ends the walk, as does one that cannot be read.
pub fn unwind(memory: &dyn Virtual, registers: &Registers) -> Vec<u64> {
    let mut found = vec![registers.rip];
    let mut seen = Vec::new();
    let mut frame = registers.rbp;
    while found.len() < MAX_FRAMES && frame.is_multiple_of(8) && !seen.contains(&frame) {
        seen.push(frame);
        let Some(next) = memory.word(frame) else { break };
        match frame.checked_add(8).and_then(|at| memory.word(at)) {
            None | Some(0) => break,
            Some(address) => found.push(address),
        }
        frame = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::flat::Flat;
    use crate::paging::Paging;

    #[test]
    fn frames_lead_outwards_until_one_is_wrong() {
        let mut memory = Flat(0, vec![0; 0x100]);
        for (at, value) in
            [(0x10, 0x40), (0x18, 0x111), (0x40, 0x80), (0x48, 0x222), (0x80, 0x10), (0x88, 0x333)]
        {
            memory.put(at, value);
        }
        fn walk(memory: &Flat) -> Vec<u64> {
            let registers = Registers { rip: 0x99, rbp: 0x10, ..Registers::default() };
            unwind(&Space::new(memory, Paging::Off), &registers)
        }
        assert_eq!(walk(&memory), [0x99, 0x111, 0x222, 0x333], "a circle ends");
        memory.put(0x80, 0x5000);
        assert_eq!(walk(&memory).len(), 4, "the next is no memory");
        memory.put(0x48, 0);
        assert_eq!(walk(&memory), [0x99, 0x111]);
    }
}
