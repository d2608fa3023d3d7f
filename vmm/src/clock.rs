//! Machine time on KVM: the guest's time-stamp counter, slowed down by a stated factor.
//!
//! The guest reads its TSC; the host reads its own and knows the offset. Both convert with [`TscClock`], whose frequency is the
//! processor's times the slow-down. So guest, devices and plan share one clock.

use crate::VmmError;
use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VcpuFd;
use std::time::Duration;
use trace::TscClock;

/// IA32_TIME_STAMP_COUNTER.
const MSR_TSC: u32 = 0x10;

/// The machine's clock, as the host reads it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    tsc: TscClock,
    offset: u64,
    slow_down: u64,
}

/// The host's time-stamp counter.
pub fn host_tsc() -> u64 {
    // SAFETY: RDTSC has no precondition on a processor that has KVM; it reads a counter and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

impl Clock {
    /// The clock of a machine with this vCPU, `slow_down` host seconds to a machine second.
    ///
    /// # Errors
    /// KVM does not tell the counter or its frequency.
    pub fn new(vcpu: &VcpuFd, slow_down: u64) -> Result<Self, VmmError> {
        let khz = vcpu.get_tsc_khz().map_err(VmmError::system("cannot read the TSC frequency"))?;
        let entry = kvm_msr_entry { index: MSR_TSC, ..Default::default() };
        let mut msrs = Msrs::from_entries(&[entry]).map_err(|_| VmmError::Missing("the TSC register"))?;
        let before = host_tsc();
        vcpu.get_msrs(&mut msrs).map_err(VmmError::system("cannot read the guest's TSC"))?;
        let after = host_tsc();
        let guest = msrs.as_slice().first().map_or(0, |entry| entry.data);
        let host = before + after.wrapping_sub(before) / 2;
        let hz = u64::from(khz) * 1000 * slow_down;
        let tsc = TscClock::new(hz).ok_or(VmmError::Missing("a TSC of a usable frequency"))?;
        Ok(Self { tsc, offset: guest.wrapping_sub(host), slow_down })
    }

    /// The same clock, for which machine time zero is when the guest's counter was at `ticks`.
    pub fn since(self, ticks: u64) -> Self {
        Self { offset: self.offset.wrapping_sub(ticks), ..self }
    }

    /// Machine time, ns.
    pub fn now(&self) -> u64 {
        self.tsc.nanoseconds(host_tsc().wrapping_add(self.offset))
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
