//! Machine time and the one timer of each CPU.
//!
//! Machine time is the TSC, scaled ([`TscClock`]). Its frequency comes from the command line (`tsc_hz=`, slow-down included), else from
//! CPUID, else it is measured against the ACPI timer or the PIT. With a bench, whose host uses the same clock, machine time zero
//! is where the bench page says (TSC zero in a fresh machine); else it is the kernel's first instruction.

use core::sync::atomic::{AtomicU64, Ordering};

use guest_kernel::acpi::PmTimer;
use trace::TscClock;

use super::apic;
use super::cpu::{self, cpuid, inb, inl, outb};

/// ACPI timer (ACPI 6.5, 4.8.3.3).
const PM_TIMER_HZ: u64 = 3_579_545;
/// PIT input (8254 data sheet).
const PIT_HZ: u64 = 1_193_182;
/// A measurement takes 1/100 s.
const FRACTION: u64 = 100;
/// Turns after which a measurement is given up.
const PATIENCE: u32 = 10_000_000;
/// Turns after which a counter that has not moved is taken for absent.
const STUCK: u32 = 1000;
/// What is assumed if nothing tells.
const FALLBACK_HZ: u64 = 1_000_000_000;

/// The TSC's value at machine time zero.
#[derive(Clone, Copy, Debug)]
pub struct Zero(&'static AtomicU64);

impl Zero {
    /// `value`, for good. There is one machine, with one zero.
    pub fn at(value: u64) -> Self {
        static FIXED: AtomicU64 = AtomicU64::new(0);
        FIXED.store(value, Ordering::Relaxed);
        Self(&FIXED)
    }

    /// What a host that shares this clock says.
    pub fn shared(word: &'static AtomicU64) -> Self {
        Self(word)
    }

    #[inline]
    fn get(self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How this machine measures time.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    clock: TscClock,
    zero: Zero,
    /// APIC timer ticks a nanosecond, times 2^32; `None` = TSC deadline.
    apic_ratio: Option<u64>,
}

/// Where the TSC's frequency came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `tsc_hz=`.
    CommandLine,
    /// A CPUID leaf.
    Cpuid,
    /// Measured against the ACPI timer.
    PmTimer,
    /// Measured against the PIT.
    Pit,
    /// Assumed.
    Assumed,
}

/// The clock: `given` is the frequency from the command line.
pub fn clock(given: Option<u64>, pm_timer: Option<PmTimer>) -> (TscClock, Source) {
    let candidates: [(&dyn Fn() -> Option<u64>, Source); 4] = [
        (&|| given, Source::CommandLine),
        (&from_cpuid, Source::Cpuid),
        (&|| against_pm_timer(pm_timer?.port), Source::PmTimer),
        (&against_pit, Source::Pit),
    ];
    for (hz, source) in candidates {
        if let Some(clock) = hz().and_then(TscClock::new) {
            return (clock, source);
        }
    }
    (TscClock::new(FALLBACK_HZ).expect("in range"), Source::Assumed)
}

/// True if the APIC timer can be armed with a TSC value (CPUID 1, ECX bit 24).
pub fn has_tsc_deadline() -> bool {
    cpuid(1, 0)[2] >> 24 & 1 != 0
}

impl Timer {
    /// Measures the APIC timer if it is needed; the calling CPU's APIC is enabled and idle.
    pub fn new(clock: TscClock, zero: Zero) -> Self {
        let apic_ratio = (!has_tsc_deadline()).then(|| measure_apic(&clock));
        Self { clock, zero, apic_ratio }
    }

    /// Machine time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.nanoseconds(cpu::tsc().saturating_sub(self.zero.get()))
    }

    /// Arms the calling CPU's timer for machine time `deadline`, or disarms it.
    pub fn arm(&self, deadline: Option<u64>) {
        match (self.apic_ratio, deadline) {
            (None, None) => apic::set_deadline(0),
            // A deadline in the past fires at once; 0 would disarm.
            (None, Some(at)) => {
                apic::set_deadline(self.clock.ticks(at).saturating_add(self.zero.get()).max(1))
            }
            (Some(_), None) => apic::set_count(0),
            (Some(ratio), Some(at)) => {
                let ns = at.saturating_sub(self.now());
                // Too long a wait fires early, and is armed again.
                let count = ((u128::from(ns) * u128::from(ratio)) >> 32) + 1;
                apic::set_count(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
    }

    /// Spins for `ns` nanoseconds of machine time.
    pub fn spin(&self, ns: u64) {
        let end = self.now() + ns;
        while self.now() < end {
            core::hint::spin_loop();
        }
    }
}

/// Leaf 0x40000010 of hypervisors that have it (kHz in EAX), then leaf 0x15 (ratio and crystal).
fn from_cpuid() -> Option<u64> {
    if cpuid(1, 0)[2] >> 31 != 0 && (0x4000_0010..0x4000_0100).contains(&cpuid(0x4000_0000, 0)[0]) {
        let khz = cpuid(0x4000_0010, 0)[0];
        if khz != 0 {
            return Some(u64::from(khz) * 1000);
        }
    }
    if cpuid(0, 0)[0] < 0x15 {
        return None;
    }
    let [denominator, numerator, crystal, _] = cpuid(0x15, 0);
    if denominator == 0 || numerator == 0 || crystal == 0 {
        return None;
    }
    Some(u64::from(crystal) * u64::from(numerator) / u64::from(denominator))
}

fn against_pm_timer(port: u16) -> Option<u64> {
    // The counter has 24 bits at least. SAFETY: reading the ACPI timer has no effect.
    against(PM_TIMER_HZ, || u64::from(unsafe { inl(port) }), 0xff_ffff)
}

/// Channel 0 counts down from 65536, again and again; its interrupt is masked at every controller.
fn against_pit() -> Option<u64> {
    const CHANNEL_0: u16 = 0x40;
    const CONTROL: u16 = 0x43;
    // SAFETY: the PIT is nobody else's.
    unsafe {
        outb(CONTROL, 0b0011_0100); // channel 0, both bytes, mode 2
        outb(CHANNEL_0, 0);
        outb(CHANNEL_0, 0);
    }
    let read = || {
        // SAFETY: as above. Latch, then the count's two bytes.
        let count = unsafe {
            outb(CONTROL, 0);
            u64::from(inb(CHANNEL_0)) | u64::from(inb(CHANNEL_0)) << 8
        };
        0u64.wrapping_sub(count)
    };
    against(PIT_HZ, read, 0xffff)
}

/// TSC ticks a second, measured against a counter of `hz` that counts up under `mask`. `None` if it does not move.
fn against(hz: u64, read: impl Fn() -> u64, mask: u64) -> Option<u64> {
    let (first, begin) = (read(), cpu::tsc());
    for turn in 0..PATIENCE {
        let (now, end) = (read(), cpu::tsc());
        let passed = now.wrapping_sub(first) & mask;
        if passed == 0 && turn > STUCK {
            return None;
        }
        if passed >= hz / FRACTION {
            return Some((end - begin) * hz / passed);
        }
    }
    None
}

/// APIC timer ticks a nanosecond of machine time, times 2^32, measured for 200 µs.
fn measure_apic(clock: &TscClock) -> u64 {
    apic::set_count(u32::MAX);
    let begin = cpu::tsc();
    let wanted = clock.hz() / 5000;
    while cpu::tsc().wrapping_sub(begin) < wanted {
        core::hint::spin_loop();
    }
    let ticks = u64::from(u32::MAX - apic::count());
    let passed = cpu::tsc() - begin;
    apic::set_count(0);
    (u128::from(ticks) << 32).checked_div(u128::from(clock.nanoseconds(passed))).unwrap_or(0).max(1) as u64
}
