//! The bench page: how a guest on KVM hands events to the host without an exit.
//!
//! The host reserves [`BENCH_BYTES`] of guest memory (not part of the memory map's RAM) and names its
//! physical address, and the doorbell's I/O port, on the kernel command line: `bench=0xADDR,0xPORT`. A guest that is
//! not given one runs without a bench.
//!
//! Layout, little-endian: a header page, then [`RING_EVENTS`] event records. The guest stores record number n at
//! index n mod [`RING_EVENTS`], and then n + 1 into [`HEAD`] to publish it; its processors do so one at a time. The host reads records in order,
//! stores the number it has consumed into [`TAIL`], and treats everything in the ring as hostile.
//!
//! A record is an [`crate::Event`], or a [`crate::Lending`] of memory for DMA. Of an event without a text the guest writes the first five words, with a mark that
//! says so ([`crate::Subject::record`]): what stands in the place of the text is left from an earlier round.
//!
//! A guest that finds the ring full, or the byte of an event's kind set in [`ARMED`], writes any value to the doorbell port after publishing (before
//! storing, when full): that exit lets the host drain the ring and act at that exact point.

/// Records in the ring. A power of two.
pub const RING_EVENTS: usize = 16_384;
/// Offset of the u64 count of records published by the guest.
pub const HEAD: usize = 0;
/// Offset of the u64 count of records consumed by the host.
pub const TAIL: usize = 64;
/// Offset of the u32 [`Command`] word, written by the host, which then raises vector [`COMMAND_VECTOR`] on CPU 0. The guest takes it and
/// leaves zero.
pub const COMMAND: usize = 192;
/// Offset of the u32 mask of slots whose clients shall die, bit n = slot n: the host sets bits, and raises [`COMMAND_VECTOR`]; the guest takes
/// all of them and leaves zero.
pub const KILL: usize = 196;
/// Offset of the u32 number of the allocation that fails, counted from 1, down to it; 0 = none. See [`crate::Scarcity`].
pub const SCARCE_AFTER: usize = 200;
/// Offset of the u32 threshold below which 32 random bits make an allocation fail; 0 = never.
pub const SCARCE_BELOW: usize = 204;
/// Offset of the u64 state of the random numbers for it.
pub const SCARCE_STATE: usize = 208;
/// Offset of the u64 value that the time-stamp counter had at machine time zero. Zero in a fresh machine; a host that takes the machine back to an
/// earlier moment, while the counter goes on, writes how far it went on.
pub const ZERO: usize = 216;
/// Offset of a byte for each kind, by its number: 1 = it rings the doorbell.
pub const ARMED: usize = 256;
/// Offset of the first record.
pub const RECORDS: usize = 4096;
/// Bytes of the header page and the ring.
pub const BENCH_BYTES: usize = RECORDS + RING_EVENTS * crate::EVENT_BYTES;
/// The interrupt vector that tells the guest to look at [`COMMAND`].
pub const COMMAND_VECTOR: u8 = 0xec;

/// The interrupt vector that takes the rest of its quantum from the thread that runs.
pub const PREEMPT_VECTOR: u8 = 0xed;

/// A step of a cycle, done to what drives the device in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The workload's clients close their connections, once their requests are back, and stay away.
    Close = 1,
    /// They come back.
    Open = 2,
    /// The driver's bundle is unloaded, which terminates its instances.
    Unload = 3,
    /// It is loaded again, and matched.
    Load = 4,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Close, Self::Open, Self::Unload, Self::Load];

    /// What reports call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Open => "open",
            Self::Unload => "unload",
            Self::Load => "load",
        }
    }
}

/// What the host asks of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing.
    None,
    /// End the run in order: stop the workload, terminate what is left, report class counts, emit `run.done`.
    Finish,
    /// Print every thread's stack on the console.
    ShowAllStacks,
    /// A client of each of these slots' devices dies: bit n = slot n ([`KILL`]).
    Kill(u32),
    /// Count instances, objects and wired memory: `census` events, then `census.end`.
    Census,
    /// A step of a cycle of the device in this slot (1–31): `cycle.step` when it is done.
    Step(Step, u8),
}

/// Where the slot of a [`Command::Step`] begins in its word; the step's number is one byte above it.
const STEP_SLOT: u32 = 8;
/// Where the step's number begins.
const STEP_NUMBER: u32 = 16;
/// What the lowest byte of a step's word is.
const STEP: u32 = 4;

impl Command {
    /// The number in the [`COMMAND`] word. [`Command::Kill`] has a word of its own.
    pub const fn word(self) -> u32 {
        match self {
            Self::None | Self::Kill(_) => 0,
            Self::Finish => 1,
            Self::ShowAllStacks => 2,
            Self::Census => 3,
            Self::Step(step, slot) => (step as u32) << STEP_NUMBER | (slot as u32) << STEP_SLOT | STEP,
        }
    }

    /// The command with this number; unknown numbers mean [`Command::None`].
    pub fn from_word(word: u32) -> Self {
        match word {
            1 => Self::Finish,
            2 => Self::ShowAllStacks,
            3 => Self::Census,
            word if word & 0xff == STEP => {
                let step = Step::ALL.into_iter().find(|step| *step as u32 == word >> STEP_NUMBER);
                step.map_or(Self::None, |step| Self::Step(step, (word >> STEP_SLOT) as u8))
            }
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_round_trip_and_nonsense_is_none() {
        let plain = [Command::None, Command::Finish, Command::ShowAllStacks, Command::Census];
        let steps = Step::ALL.into_iter().flat_map(|step| [Command::Step(step, 1), Command::Step(step, 31)]);
        for command in plain.into_iter().chain(steps) {
            assert_eq!(Command::from_word(command.word()), command);
        }
        for word in [5, 0x0004, 0x0005_0104, 0x0100_0004, u32::MAX] {
            assert_eq!(Command::from_word(word), Command::None, "{word:#x}");
        }
    }
}
