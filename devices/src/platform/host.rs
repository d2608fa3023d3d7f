//! What a machine gives the platform.

use crate::fault::plan::Scarcity;
use vm_memory::GuestMemoryMmap;

/// What a plan asks of the machine around its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// CPU `cpu` executes nothing for `duration` ns of machine time.
    Stall {
        /// From 0.
        cpu: u32,
        /// How long.
        duration: u64,
    },
    /// Machine time goes forward by `by` ns between two instructions.
    ClockJump {
        /// By how much.
        by: u64,
    },
    /// The thread that runs on `cpu` has used up its quantum; `None` = on the CPU that runs now, if there is one.
    Preempt {
        /// From 0.
        cpu: Option<u32>,
    },
    /// Allocations of the guest's kernel fail.
    FailAlloc {
        /// Which.
        which: Scarcity,
        /// What probabilities are drawn from.
        seed: u64,
    },
    /// There is memory again.
    Plenty,
    /// A client of the device in this slot dies.
    Kill {
        /// Root port number.
        slot: u32,
    },
    /// The interrupt that is raised next, in the same call, meets a timer that is due now: which of the two the guest takes first.
    Race {
        /// The timer.
        timer_first: bool,
    },
}

/// The machine around the platform, passed to every call.
pub trait Host {
    /// Machine time, in nanoseconds.
    fn now(&self) -> u64;
    /// Guest memory, for DMA.
    fn memory(&self) -> &GuestMemoryMmap;
    /// An MSI or MSI-X write: to the local APICs at 0xFEEx_xxxx, or wherever the guest said (the machine judges it).
    fn message(&mut self, address: u64, data: u32);
    /// Level of an INTx line; the wired OR is already done. Called on changes only.
    fn line(&mut self, gsi: u32, asserted: bool);
    /// The card in `slot` has read or written `bytes` bytes at `address` by DMA, or has tried to where no memory is. For a machine that checks
    /// where.
    fn dma_done(&mut self, slot: u32, address: u64, bytes: usize) {
        let _ = (slot, address, bytes);
    }
    /// The same, for writes only, beside [`Host::dma_done`]: for who compares what a card has written.
    fn dma_written(&mut self, slot: u32, address: u64, bytes: usize) {
        let _ = (slot, address, bytes);
    }
    /// The plan acted on `slot` (0 = the machine): for the trace ([`trace::Kind::Fault`]).
    fn fault(&mut self, slot: u32, word: &'static str);
    /// The plan wants something of the machine itself. One without processors has nothing to do.
    fn ask(&mut self, _ask: Ask) {}
    /// Machine ns by which this machine may miss the time of a timer: so much earlier or later an interrupt is raised that is to come before
    /// or after it.
    fn race_margin(&self) -> u64 {
        0
    }
}
