//! Machine time on KVM: the guest's time-stamp counter, slowed down by a stated factor.
//!
//! The guest reads its TSC; the host reads its own and knows the offset. Both convert with [`TscClock`], whose frequency is the
//! processor's times the slow-down. So guest, devices and plan share one clock.

use crate::VmmError;
use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VcpuFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trace::TscClock;

/// IA32_TIME_STAMP_COUNTER.
const MSR_TSC: u32 = 0x10;

/// How often both counters are looked at: a host takes the processor away in few of so many.
const LOOKS: u32 = 16;

/// The clock runs.
const RUNS: u64 = u64::MAX;

/// The machine's clock, as the host reads it.
#[derive(Debug)]
pub struct Clock {
    tsc: TscClock,
    /// What the host's counter lacks to the guest's, less what the clock was stopped for.
    offset: AtomicU64,
    /// The counter at which the clock stands still, or [`RUNS`].
    stopped: AtomicU64,
    slow_down: u64,
}

/// The host's time-stamp counter.
pub fn host_tsc() -> u64 {
    // SAFETY: RDTSC has no precondition on a processor that has KVM; it reads a counter and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// What the host's counter lacks to the guest's: as the quickest of some looks has it, as the host may take the processor away in the midst of one.
fn offset(vcpu: &VcpuFd) -> Result<u64, VmmError> {
    let first = look(vcpu)?;
    (1..LOOKS).try_fold(first, |best, _| Ok(best.min(look(vcpu)?))).map(|(_, offset)| offset)
}

/// How long a look at both counters took, in ticks, and the difference.
fn look(vcpu: &VcpuFd) -> Result<(u64, u64), VmmError> {
    let entry = kvm_msr_entry { index: MSR_TSC, ..Default::default() };
    let mut msrs = Msrs::from_entries(&[entry]).map_err(|_| VmmError::Missing("the TSC register"))?;
    let before = host_tsc();
    vcpu.get_msrs(&mut msrs).map_err(VmmError::system("cannot read the guest's TSC"))?;
    let took = host_tsc().wrapping_sub(before);
    let guest = msrs.as_slice().first().map_or(0, |entry| entry.data);
    Ok((took, guest.wrapping_sub(before.wrapping_add(took / 2))))
}

impl Clock {
    /// The clock of a machine with this vCPU, `slow_down` host seconds to a machine second.
    ///
    /// # Errors
    /// KVM does not tell the counter or its frequency.
    pub fn new(vcpu: &VcpuFd, slow_down: u64) -> Result<Self, VmmError> {
        let khz = vcpu.get_tsc_khz().map_err(VmmError::system("cannot read the TSC frequency"))?;
        let hz = u64::from(khz) * 1000 * slow_down;
        let tsc = TscClock::new(hz).ok_or(VmmError::Missing("a TSC of a usable frequency"))?;
        let offset = AtomicU64::new(offset(vcpu)?);
        Ok(Self { tsc, offset, stopped: AtomicU64::new(RUNS), slow_down })
    }

    /// The same clock, for which machine time zero is when the guest's counter was at `ticks`.
    pub fn since(self, ticks: u64) -> Self {
        self.offset.fetch_sub(ticks, Ordering::AcqRel);
        self
    }

    /// Machine time, ns.
    pub fn now(&self) -> u64 {
        let ticks = match self.stopped.load(Ordering::Acquire) {
            RUNS => self.ticks(),
            stopped => stopped,
        };
        self.tsc.nanoseconds(ticks)
    }

    fn ticks(&self) -> u64 {
        host_tsc().wrapping_add(self.offset.load(Ordering::Acquire))
    }

    /// Machine time stands still.
    pub fn stop(&self) {
        let _ = self.stopped.compare_exchange(RUNS, self.ticks(), Ordering::AcqRel, Ordering::Acquire);
    }

    /// Machine time goes on from where it stood; by how many ticks the guest's counter has gone on meanwhile.
    pub fn go(&self) -> u64 {
        let stopped = self.stopped.load(Ordering::Acquire);
        if stopped == RUNS {
            return 0;
        }
        let gone_on = self.ticks().wrapping_sub(stopped);
        self.offset.fetch_sub(gone_on, Ordering::AcqRel);
        self.stopped.store(RUNS, Ordering::Release);
        gone_on
    }

    /// TSC ticks in a machine second: what the guest is told as `tsc_hz=`.
    pub fn hz(&self) -> u64 {
        self.tsc.hz()
    }

    /// Host seconds to a machine second.
    pub fn slow_down(&self) -> u64 {
        self.slow_down
    }

    /// How long the host has to wait until machine time `deadline`; at least a microsecond, so that it can arm a timer.
    pub fn until(&self, deadline: u64) -> Duration {
        let machine = deadline.saturating_sub(self.now());
        Duration::from_nanos(machine.saturating_mul(self.slow_down).clamp(1000, u64::MAX / 2))
    }
}
