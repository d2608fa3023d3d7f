//! What an oracle says when a rule is broken.

use crate::threads::ThreadState;
use serde::{Deserialize, Serialize};

/// The rules that the host's oracles check. The guest's own checks name further ones by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A request never came back.
    IoLost,
    /// A request came back twice, or came back without having been issued.
    IoTwice,
    /// A request came back with wrong data.
    IoCorrupt,
    /// A request came back with an error other than Offline.
    IoError,
    /// A request came back late, although its device was there and nothing held it up.
    IoLate,
    /// didTerminate calls were not in the exact reverse order of the willTerminate visits (section 3, phase 2).
    TerminateOrder,
    /// stop of an inactive service while clients were still attached to it (section 3, phase 3).
    StopOrder,
    /// stop or finalize called twice (section 3, phase 3).
    CalledTwice,
    /// stop, willTerminate or didTerminate of a service whose start had failed (section 3, order f).
    StopWithoutStart,
    /// A provider terminated, and its client was stopped without a willTerminate (section 3, phase 2).
    WillMissing,
    /// A life-cycle call on an object that had been freed (O1).
    UseAfterFree,
    /// A driver touched a register after it had been told of the removal.
    TouchAfterRemoval,
    /// An action or a filter took longer than it may (OV1).
    Overstay,
    /// A thread waited for a lock whose owner had to wait for somebody less important (S7).
    Inversion,
    /// A gate was closed at primary interrupt level (FI1).
    GateAtInterrupt,
    /// A terminated stack was never detached: its busy count cannot return to zero (section 3, Busy).
    NeverQuiet,
    /// Instances of a class were left at the end (O2).
    Leak,
    /// The guest panicked.
    Panic,
    /// The guest hung: nothing could run, or nothing made progress.
    Hang,
    /// The guest ended in a way that it should not: a triple fault, a reset, a machine error.
    BadEnd,
    /// The guest wrote more state than the verifier will keep for it.
    Flood,
}

impl Rule {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::IoLost,
        Self::IoTwice,
        Self::IoCorrupt,
        Self::IoError,
        Self::IoLate,
        Self::TerminateOrder,
        Self::StopOrder,
        Self::CalledTwice,
        Self::StopWithoutStart,
        Self::WillMissing,
        Self::UseAfterFree,
        Self::TouchAfterRemoval,
        Self::Overstay,
        Self::Inversion,
        Self::GateAtInterrupt,
        Self::NeverQuiet,
        Self::Leak,
        Self::Panic,
        Self::Hang,
        Self::BadEnd,
        Self::Flood,
    ];

    /// The rule's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoLost => "io-lost",
            Self::IoTwice => "io-twice",
            Self::IoCorrupt => "io-corrupt",
            Self::IoError => "io-error",
            Self::IoLate => "io-late",
            Self::TerminateOrder => "terminate-order",
            Self::StopOrder => "stop-order",
            Self::CalledTwice => "called-twice",
            Self::StopWithoutStart => "stop-without-start",
            Self::WillMissing => "will-missing",
            Self::UseAfterFree => "use-after-free",
            Self::TouchAfterRemoval => "touch-after-removal",
            Self::Overstay => "overstay",
            Self::Inversion => "priority-inversion",
            Self::GateAtInterrupt => "gate-at-interrupt",
            Self::NeverQuiet => "never-quiet",
            Self::Leak => "leak",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::BadEnd => "bad-end",
            Self::Flood => "flood",
        }
    }

    /// One sentence that says what the rule demands.
    pub const fn demand(self) -> &'static str {
        match self {
            Self::IoLost => "every request that was issued comes back",
            Self::IoTwice => "a request comes back exactly once",
            Self::IoCorrupt => "what was written is what is read",
            Self::IoError => "a request succeeds, or fails with Offline when its device has gone",
            Self::TerminateOrder => {
                "didTerminate goes back up in the exact reverse of the willTerminate visits"
            }
            Self::IoLate => {
                "a device that is there, and that nothing holds up, does not keep everybody waiting"
            }
            Self::StopOrder => "a terminated service is stopped only after its clients have detached",
            Self::CalledTwice => "stop and finalize are called once",
            Self::StopWithoutStart => "a service whose start failed is only detached",
            Self::WillMissing => {
                "a client hears willTerminate before it is stopped for its provider's removal"
            }
            Self::UseAfterFree => "a freed object is not called",
            Self::TouchAfterRemoval => "no register is touched after the driver was told of the removal",
            Self::Overstay => "who holds the gate, or a CPU at interrupt level, soon lets go of it",
            Self::Inversion => "nobody runs before the owner of a lock for which somebody better waits",
            Self::GateAtInterrupt => "a filter takes no lock that may have to wait",
            Self::NeverQuiet => "a terminated stack detaches, and its busy count returns to zero",
            Self::Leak => "no class of an unloaded driver has instances left",
            Self::Panic => "the kernel does not panic",
            Self::Hang => "the guest makes progress",
            Self::BadEnd => "the run ends by the guest's own power-off",
            Self::Flood => "the trace stays within the verifier's bounds",
        }
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// Plan time, in ns.
    pub time: u64,
    /// Plan name of the device concerned, if one is.
    pub device: Option<String>,
    /// What happened.
    pub message: String,
    /// The last events before it, oldest first.
    pub events: Vec<String>,
    /// What the threads were doing; of the first finding of its rule and device only.
    pub threads: Vec<ThreadState>,
}
