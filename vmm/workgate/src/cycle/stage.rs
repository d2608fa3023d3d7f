//! Where a pass is.

use super::request::Request;

/// Machine time that each half of a pass may take, ns: more than any timeout of a driver that is right.
pub const PATIENCE: u64 = 2_000_000_000;

/// The stages of a pass, and what is before the first and behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The machine boots.
    Boot,
    /// The device comes.
    Coming,
    /// It works until this machine time.
    Working { until: u64 },
    /// It was told to go at this machine time.
    Going { since: u64 },
    /// It is gone; the guest is asked for census number `nth` since this pass was over.
    Counting { nth: u32, asked: u64 },
    /// The next census is asked for at this machine time.
    Breathing { nth: u32, until: u64 },
    /// The next pass begins at this machine time.
    Resting { until: u64 },
    /// The guest was asked to end.
    Ending,
}

impl Stage {
    /// The pass that is under way, and what it is at.
    pub fn place(self, request: &Request, pass: u64) -> String {
        let what = match self {
            Self::Boot => return "before the first pass".to_owned(),
            Self::Coming | Self::Working { .. } => request.come.word(),
            Self::Going { .. } => request.go.word(),
            Self::Counting { .. } | Self::Breathing { .. } | Self::Resting { .. } => {
                "what is left is counted"
            }
            Self::Ending => return format!("behind pass {pass}"),
        };
        format!("in pass {pass} ({what})")
    }
}
