//! A processor as it was.

use crate::VmmError;
use crate::run::open;
use kvm_bindings::{
    Msrs, kvm_debugregs, kvm_fpu, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs,
    kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::VcpuFd;

/// IA32_TIME_STAMP_COUNTER.
const TSC: u32 = 0x10;
/// IA32_TSC_DEADLINE.
const TSC_DEADLINE: u32 = 0x6e0;
/// Entries of a processor into the guest that end what an exit began.
const MAX_SETTLE: u32 = 64;

/// Everything that a processor remembers.
pub struct CpuState {
    regs: kvm_regs,
    sregs: kvm_sregs,
    float: Float,
    xcrs: Option<kvm_xcrs>,
    debug: kvm_debugregs,
    events: kvm_vcpu_events,
    lapic: kvm_lapic_state,
    mp: kvm_mp_state,
    msrs: Vec<kvm_msr_entry>,
    tsc: u64,
    deadline: Option<u64>,
}

/// Registers of floating-point and vector units.
enum Float {
    Xsave(Box<kvm_xsave>),
    Fpu(Box<kvm_fpu>),
}

/// Ends what the last exit began: an instruction that writes a port is over only when the processor is entered again.
///
/// # Errors
/// The processor does not come to rest.
pub fn settle(vcpu: &mut VcpuFd) -> Result<(), VmmError> {
    vcpu.set_kvm_immediate_exit(1);
    let mut rests = false;
    for _ in 0..MAX_SETTLE {
        // Other exits are the rest of an access in several parts; nobody answers it any more.
        if let Err(error) = vcpu.run()
            && matches!(error.errno(), libc::EINTR | libc::EAGAIN)
        {
            rests = true;
            break;
        }
    }
    vcpu.set_kvm_immediate_exit(0);
    match rests {
        true => Ok(()),
        false => Err(VmmError::Snapshot("the processor does not come to rest".to_owned())),
    }
}

impl CpuState {
    /// Takes the state of a processor that [`settle`]d.
    ///
    /// # Errors
    /// KVM refuses.
    pub fn take(vcpu: &VcpuFd) -> Result<Self, VmmError> {
        let failed = VmmError::system;
        let float = match vcpu.get_xsave() {
            Ok(xsave) => Float::Xsave(Box::new(xsave)),
            Err(_) => Float::Fpu(Box::new(vcpu.get_fpu().map_err(failed("cannot read the FPU"))?)),
        };
        let (msrs, tsc, deadline) = registers(vcpu)?;
        Ok(Self {
            regs: vcpu.get_regs().map_err(failed("cannot read registers"))?,
            sregs: vcpu.get_sregs().map_err(failed("cannot read registers"))?,
            float,
            // Without XSAVE there are none.
            xcrs: vcpu.get_xcrs().ok(),
            debug: vcpu.get_debug_regs().map_err(failed("cannot read debug registers"))?,
            events: vcpu.get_vcpu_events().map_err(failed("cannot read pending events"))?,
            lapic: vcpu.get_lapic().map_err(failed("cannot read the local APIC"))?,
            mp: vcpu.get_mp_state().map_err(failed("cannot read the processor's state"))?,
            msrs,
            tsc,
            deadline,
        })
    }

    /// Puts the state back, but for the time-stamp counter: not every KVM lets it go back. The answer is how far it has gone on; so much later
    /// the timer is due that was armed.
    ///
    /// # Errors
    /// KVM refuses.
    pub fn restore(&self, vcpu: &VcpuFd) -> Result<u64, VmmError> {
        let failed = VmmError::system;
        vcpu.set_mp_state(self.mp).map_err(failed("cannot set the processor's state"))?;
        vcpu.set_sregs(&self.sregs).map_err(failed("cannot set registers"))?;
        vcpu.set_regs(&self.regs).map_err(failed("cannot set registers"))?;
        if let Some(xcrs) = &self.xcrs {
            vcpu.set_xcrs(xcrs).map_err(failed("cannot set extended control registers"))?;
        }
        match &self.float {
            // SAFETY: the structure is the one that KVM filled in for this processor, with the size that it has without dynamically
            // enabled features, of which this machine enables none.
            Float::Xsave(xsave) => unsafe { vcpu.set_xsave(xsave) },
            Float::Fpu(fpu) => vcpu.set_fpu(fpu),
        }
        .map_err(failed("cannot set the FPU"))?;
        vcpu.set_debug_regs(&self.debug).map_err(failed("cannot set debug registers"))?;
        write(vcpu, &self.msrs)?;
        vcpu.set_lapic(&self.lapic).map_err(failed("cannot set the local APIC"))?;
        vcpu.set_vcpu_events(&self.events).map_err(failed("cannot set pending events"))?;
        let now = read(vcpu, TSC).ok_or(VmmError::Missing("the TSC register"))?;
        let gone_on = now.wrapping_sub(self.tsc);
        // Zero is a timer that is not armed.
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline != 0) {
            write(vcpu, &[entry(TSC_DEADLINE, deadline.wrapping_add(gone_on))])?;
        }
        Ok(gone_on)
    }
}

fn entry(index: u32, data: u64) -> kvm_msr_entry {
    kvm_msr_entry { index, data, ..Default::default() }
}

/// Model-specific registers that can be read and written back; the counter; the time of its timer.
fn registers(vcpu: &VcpuFd) -> Result<(Vec<kvm_msr_entry>, u64, Option<u64>), VmmError> {
    let list =
        open()?.get_msr_index_list().map_err(VmmError::system("cannot list the processor's registers"))?;
    let (mut kept, mut tsc, mut deadline) = (Vec::new(), None, None);
    for &index in list.as_slice() {
        let Some(value) = read(vcpu, index) else { continue };
        match index {
            TSC => tsc = Some(value),
            TSC_DEADLINE => deadline = Some(value),
            // What cannot be written is the same anyway.
            _ if write(vcpu, &[entry(index, value)]).is_ok() => kept.push(entry(index, value)),
            _ => {}
        }
    }
    let tsc = tsc.or_else(|| read(vcpu, TSC)).ok_or(VmmError::Missing("the TSC register"))?;
    Ok((kept, tsc, deadline))
}

fn read(vcpu: &VcpuFd, index: u32) -> Option<u64> {
    let mut msrs = Msrs::from_entries(&[entry(index, 0)]).ok()?;
    let read = vcpu.get_msrs(&mut msrs).ok()?;
    (read == 1).then(|| msrs.as_slice().first().map(|entry| entry.data)).flatten()
}

fn write(vcpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), VmmError> {
    let msrs = Msrs::from_entries(entries).map_err(|_| VmmError::Missing("room for registers"))?;
    let written = vcpu.set_msrs(&msrs).map_err(VmmError::system("cannot set model-specific registers"))?;
    match written == entries.len() {
        true => Ok(()),
        false => Err(VmmError::Snapshot(format!("register {:#x} cannot be set", entries[written].index))),
    }
}
