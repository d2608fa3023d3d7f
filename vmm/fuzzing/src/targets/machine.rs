//! The machine around a platform whose guest is hostile. It holds the platform to its promises.

use crate::target::Features;
use arbitrary::Arbitrary;
use devices::platform::{Host, Platform, layout};
use vm_memory::{GuestAddress, GuestMemoryMmap};

/// Bytes of guest memory, from address 0.
pub const MEMORY: usize = 64 << 10;
/// Calls of `advance` after one access: what comes due again and again must not keep the target.
const MAX_ROUNDS: usize = 64;
/// DMA writes kept, at the most.
pub const MAX_WRITES: usize = 4096;

/// How wide an access is. Widths that no processor makes are among them: the platform is to refuse them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
pub enum Width {
    /// 1
    Byte,
    /// 2
    Word,
    /// 4
    Long,
    /// 8
    Quad,
    /// 3
    Odd,
}

impl Width {
    /// Its bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
            Self::Quad => 8,
            Self::Odd => 3,
        }
    }
}

/// The machine.
pub struct Machine {
    /// Machine time, in nanoseconds.
    pub now: u64,
    /// Guest memory.
    pub memory: GuestMemoryMmap,
    /// Address and length of each DMA write, of one where no memory is as well; whoever looks at them clears them.
    pub written: Vec<(u64, usize)>,
    messages: u64,
    lines: u64,
    faults: Vec<(u32, &'static str)>,
}

impl Machine {
    /// A machine at time 0.
    ///
    /// # Panics
    /// The host has no memory for it.
    pub fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)])
            .unwrap_or_else(|error| panic!("no memory for the guest: {error}"));
        Self { now: 0, memory, written: Vec::new(), messages: 0, lines: 0, faults: Vec::new() }
    }

    /// Tells what the platform did since the last call.
    pub fn tell(&mut self, features: &mut Features) {
        features.note(0xa0 << 32 | self.lines >> layout::FIRST_GSI << 4 | self.messages.min(8));
        self.messages = 0;
        for (slot, word) in self.faults.drain(..) {
            let word = word.bytes().fold(0_u64, |hash, byte| hash.rotate_left(5) ^ u64::from(byte));
            features.note(0xb0 << 32 | word << 8 | u64::from(slot));
        }
    }
}

impl Host for Machine {
    fn now(&self) -> u64 {
        self.now
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    fn message(&mut self, _address: u64, _data: u32) {
        self.messages += 1;
    }

    fn dma_written(&mut self, _slot: u32, address: u64, bytes: usize) {
        if self.written.len() < MAX_WRITES {
            self.written.push((address, bytes));
        }
    }

    fn line(&mut self, gsi: u32, asserted: bool) {
        assert!((layout::FIRST_GSI..layout::FIRST_GSI + layout::LINES).contains(&gsi), "line {gsi}");
        assert_ne!(self.lines >> gsi & 1 == 1, asserted, "line {gsi} is told what it is already");
        self.lines ^= 1 << gsi;
    }

    fn fault(&mut self, slot: u32, word: &'static str) {
        assert!((1..=layout::MAX_SLOT).contains(&slot), "slot {slot}");
        if self.faults.len() < MAX_ROUNDS {
            self.faults.push((slot, word));
        }
    }
}

/// Lets the platform do what is due.
pub fn pass(platform: &mut Platform, machine: &mut Machine) {
    for _ in 0..MAX_ROUNDS {
        if platform.next_deadline().is_none_or(|time| time > machine.now) {
            break;
        }
        platform.advance(machine);
    }
}

/// Inputs of these lengths, pseudo-random and the same every time: something to begin with where nothing better is known.
pub fn noise(lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut rng = sim::Rng::new(1);
    let input = |length: &usize| (0..*length).map(|_| rng.next_u64() as u8).collect();
    lengths.iter().map(input).collect()
}
