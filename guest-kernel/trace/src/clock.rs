//! Machine time from the time-stamp counter: the one conversion that guest and host share.

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;
/// Fraction bits of the two ratios. With 48, one second of error takes longer than a year of machine time.
const SHIFT: u32 = 48;

/// Converts between TSC ticks (as the guest reads them) and machine time in nanoseconds.
///
/// Machine time zero is TSC zero. On a host that interprets ring 0, the frequency is the processor's times the
/// slow-down, so that a machine second takes longer than one of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TscClock {
    hz: u64,
    ns_per_tick: u64,
    ticks_per_ns: u64,
}

impl TscClock {
    /// The slowest counter that the ratios can express, in Hz.
    pub const MIN_HZ: u64 = 1_000_000;
    /// The fastest counter that the ratios can express, in Hz.
    pub const MAX_HZ: u64 = 10_000_000_000_000;

    /// A clock for a counter with `hz` ticks in a machine second. `None` outside [`Self::MIN_HZ`]..=[`Self::MAX_HZ`].
    pub const fn new(hz: u64) -> Option<Self> {
        if hz < Self::MIN_HZ || hz > Self::MAX_HZ {
            return None;
        }
        let ns_per_tick = ((SECOND << SHIFT) / hz as u128) as u64;
        let ticks_per_ns = (((hz as u128) << SHIFT) / SECOND) as u64;
        Some(Self { hz, ns_per_tick, ticks_per_ns })
    }

    /// TSC ticks in a machine second.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// Machine time at TSC value `ticks`, in nanoseconds, rounded down.
    pub const fn nanoseconds(&self, ticks: u64) -> u64 {
        ((ticks as u128 * self.ns_per_tick as u128) >> SHIFT) as u64
    }

    /// The first TSC value at which machine time is `ns` or a little more (never less); saturating.
    pub const fn ticks(&self, ns: u64) -> u64 {
        let ticks = ((ns as u128 * self.ticks_per_ns as u128) >> SHIFT) + 2;
        // The two ratios are rounded separately: add what the shorter one can lack.
        let ticks = ticks + (ticks >> 32);
        if ticks > u64::MAX as u128 { u64::MAX } else { ticks as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_a_second() {
        for hz in
            [TscClock::MIN_HZ, 999_999_937, 2_100_000_000, 3_000_000_000, 150_000_000_000, TscClock::MAX_HZ]
        {
            let clock = TscClock::new(hz).unwrap();
            let ns = clock.nanoseconds(hz);
            assert!((999_999_990..=1_000_000_000).contains(&ns), "{hz}: {ns}");
        }
        assert_eq!(TscClock::new(0), None);
        assert_eq!(TscClock::new(u64::MAX), None);
    }

    #[test]
    fn a_deadline_is_never_early() {
        for hz in [TscClock::MIN_HZ, 3_579_545, 2_100_000_000, 3_000_000_000, 99_000_000_000] {
            let clock = TscClock::new(hz).unwrap();
            for ns in [0, 1, 999, 1_000_000, 123_456_789_012, 86_400_000_000_000] {
                let ticks = clock.ticks(ns);
                assert!(clock.nanoseconds(ticks) >= ns, "{hz} {ns}");
                let late = clock.nanoseconds(ticks) - ns;
                assert!(late <= 4_000 + ns / 1_000_000_000, "{hz} {ns}: {late} ns late");
            }
        }
        assert_eq!(TscClock::new(TscClock::MAX_HZ).unwrap().ticks(u64::MAX), u64::MAX);
    }
}
