//! Priority levels and bands (rule S1): one table.

/// Lowest and highest level of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Name.
    pub name: &'static str,
    /// Lowest level.
    pub low: u8,
    /// Highest level.
    pub high: u8,
}

/// The bands, highest first.
pub const BANDS: [Band; 5] = [
    Band { name: "real time", low: 96, high: 127 },
    Band { name: "kernel", low: 80, high: 95 },
    Band { name: "system", low: 64, high: 79 },
    Band { name: "user", low: 1, high: 63 },
    Band { name: "idle", low: 0, high: 0 },
];

/// Number of priority levels.
pub const LEVELS: usize = 128;
/// Default level of real-time threads.
pub const REAL_TIME: u8 = 97;
/// The cap of priority push (rule S7), the top of the kernel band.
pub const KERNEL_MAX: u8 = 95;
/// Thread calls: high.
pub const THREAD_CALL_HIGH: u8 = 93;
/// Thread calls: kernel high.
pub const THREAD_CALL_KERNEL_HIGH: u8 = 92;
/// Page-out.
pub const PAGE_OUT: u8 = 91;
/// Kernel threads and work loops.
pub const KERNEL: u8 = 81;
/// Graphics.
pub const GRAPHICS: u8 = 76;
/// Foreground user threads.
pub const FOREGROUND: u8 = 47;
/// Regular user threads.
pub const DEFAULT: u8 = 31;
/// Utility.
pub const UTILITY: u8 = 20;
/// Throttled.
pub const THROTTLE: u8 = 4;
/// Idle threads, one a CPU.
pub const IDLE: u8 = 0;

/// The band that `level` belongs to.
pub fn of(level: u8) -> &'static Band {
    BANDS.iter().find(|band| level >= band.low).unwrap_or(&BANDS[BANDS.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_bands_cover_every_level_once() {
        for level in 0..LEVELS as u8 {
            assert_eq!(BANDS.iter().filter(|b| (b.low..=b.high).contains(&level)).count(), 1, "{level}");
            assert!((of(level).low..=of(level).high).contains(&level));
        }
    }
}
