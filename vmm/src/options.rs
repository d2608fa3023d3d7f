//! What a caller can ask of a machine beyond its plan.

use crate::debug::CoreFile;
use crate::tap::Tap;
use std::time::Duration;

/// Options of a machine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Host seconds to a machine second; 0 counts as 1.
    pub slow_down: u64,
    /// What the plan's probabilities and altered bytes are drawn from.
    pub seed: u64,
    /// Further words for the kernel command line.
    pub command_line: String,
    /// Initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// The serial console goes to the standard output, and the standard input to it.
    pub terminal: bool,
    /// Where else the serial console goes, and what else it reads from.
    pub tap: Option<Tap>,
    /// Lines that are kept of what the guest prints; 0 = the usual number.
    pub console_lines: usize,
    /// How long the host waits for a guest that does nothing.
    pub limits: Limits,
    /// Where a core goes if the guest panics, hangs, or stops in a way that no guest should.
    pub core: Option<CoreFile>,
}

/// Limits of the watchdog of [`crate::run`], in host time. They make a run end; no verdict depends on their length. A slow-down above
/// [`Limits::STRETCHED_FROM`] stretches them: what a guest waits for then takes it longer, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without any sign of life for this long, a guest that boots or finishes hangs.
    pub silence: Duration,
    /// The end of a run may take this long, whatever the guest says meanwhile.
    pub finish: Duration,
}

impl Limits {
    /// Host seconds to a machine second up to which the limits hold as they are.
    pub const STRETCHED_FROM: u64 = 80;

    /// The limits on a host with this slow-down.
    pub(crate) fn stretched(self, slow_down: u64) -> Self {
        let stretch = |limit: Duration| {
            let nanos = limit.as_nanos() * u128::from(slow_down.max(Self::STRETCHED_FROM));
            let nanos = nanos / u128::from(Self::STRETCHED_FROM);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        Self { silence: stretch(self.silence), finish: stretch(self.finish) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { silence: Duration::from_secs(20), finish: Duration::from_secs(120) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stretch_with_the_slow_down() {
        let limits = Limits { silence: Duration::from_secs(20), finish: Duration::from_secs(120) };
        assert_eq!(limits.stretched(1), limits);
        assert_eq!(limits.stretched(17), limits);
        assert_eq!(limits.stretched(800).silence, Duration::from_secs(200));
        assert_eq!(limits.stretched(u64::MAX).finish, Duration::from_nanos(u64::MAX));
    }
}
