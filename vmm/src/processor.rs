//! A virtual processor: its first state, its loop, its registers at the end.

use crate::VmmError;
use crate::ending::{CpuReport, Ending};
use crate::machine::Machine;
use crate::memory::{BOOT_GDT, BOOT_PARAMS, PAGE_TABLES, START_INFO};
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, KVM_MP_STATE_HALTED, kvm_cpuid_entry2, kvm_segment};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use nix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress};

/// TSC-deadline mode of the local APIC timer, leaf 1 ECX.
const CPUID_TSC_DEADLINE: u32 = 1 << 24;
/// A hypervisor is present, leaf 1 ECX.
const CPUID_HYPERVISOR: u32 = 1 << 31;
/// A hypervisor's signature and highest leaf.
const CPUID_SIGNATURE: u32 = 0x4000_0000;
/// A hypervisor's leaf of frequencies: EAX = kHz of the time-stamp counter, EBX = kHz of the local APIC's timer.
const CPUID_FREQUENCIES: u32 = 0x4000_0010;
/// KVM's local APIC timer counts nanoseconds.
const APIC_BUS_KHZ: u32 = 1_000_000;
/// Bytes shown at the instruction pointer.
const CODE_BYTES: u64 = 16;
/// Entries that end what an exit began: an access in several parts takes one each.
const MAX_PARTS: usize = 64;
/// Callers shown.
const MAX_CALLERS: usize = 16;

/// Makes processor `cpu` with the features that KVM supports.
///
/// # Errors
/// KVM refuses.
pub fn create(kvm: &Kvm, vm: &VmFd, cpu: usize, cpus: usize) -> Result<VcpuFd, VmmError> {
    let vcpu = vm.create_vcpu(cpu as u64).map_err(VmmError::system("cannot make a processor"))?;
    let mut features = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(VmmError::system("cannot read the processor's features"))?;
    let deadline = kvm.check_extension(kvm_ioctls::Cap::TscDeadlineTimer);
    describe(&mut features, cpu as u32, cpus as u32, deadline);
    if let Ok(khz) = vcpu.get_tsc_khz() {
        announce_frequency(&mut features, khz);
    }
    vcpu.set_cpuid2(&features).map_err(VmmError::system("cannot set the processor's features"))?;
    Ok(vcpu)
}

/// Tells the time-stamp counter's frequency in the leaf that hypervisors use for it, so that no guest spends its first moments measuring
/// it against a timer, each look at which is an exit.
fn announce_frequency(features: &mut CpuId, khz: u32) {
    let leaf =
        kvm_cpuid_entry2 { function: CPUID_FREQUENCIES, eax: khz, ebx: APIC_BUS_KHZ, ..Default::default() };
    let highest = features.as_mut_slice().iter_mut().find(|entry| entry.function == CPUID_SIGNATURE);
    if let Some(signature) = highest
        && signature.eax < CPUID_FREQUENCIES
    {
        signature.eax = CPUID_FREQUENCIES;
        // Without room for it the leaf reads as zero, and the guest measures.
        let _ = features.push(leaf);
    }
}

/// Fills in what depends on the processor's number.
fn describe(features: &mut CpuId, cpu: u32, cpus: u32, deadline: bool) {
    for entry in features.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ecx |= CPUID_HYPERVISOR;
                if deadline {
                    entry.ecx |= CPUID_TSC_DEADLINE;
                }
                entry.ebx = entry.ebx & 0xffff | cpus << 16 | cpu << 24;
            }
            0xb | 0x1f => entry.edx = cpu,
            0x8000_001e => entry.eax = cpu,
            _ => {}
        }
    }
}

fn flat(kind: u8, selector: u16) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_: kind,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    }
}

/// Sets the first processor to the state of a PVH entry: 32-bit protected mode, flat segments, paging off, EBX = start information.
///
/// # Errors
/// KVM refuses.
pub fn enter_pvh(vcpu: &VcpuFd, entry: u64) -> Result<(), VmmError> {
    let mut sregs = vcpu.get_sregs().map_err(VmmError::system("cannot read registers"))?;
    sregs.cs = flat(0xb, 0x8);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = flat(0x3, 0x10);
    }
    sregs.tr = kvm_segment { limit: 0x67, type_: 0xb, s: 0, db: 0, g: 0, ..flat(0xb, 0x18) };
    // PE and ET; everything else off.
    sregs.cr0 = 0x11;
    sregs.cr4 = 0;
    sregs.efer = 0;
    vcpu.set_sregs(&sregs).map_err(VmmError::system("cannot set registers"))?;
    let mut regs = vcpu.get_regs().map_err(VmmError::system("cannot read registers"))?;
    regs.rip = entry;
    regs.rbx = START_INFO;
    regs.rflags = 2;
    vcpu.set_regs(&regs).map_err(VmmError::system("cannot set registers"))
}

/// Sets the first processor to the state of a 64-bit Linux entry: long mode, flat segments 0x10 and 0x18, RSI = boot parameters (Linux,
/// Documentation/arch/x86/boot.rst).
///
/// # Errors
/// KVM refuses.
pub fn enter_linux(vcpu: &VcpuFd, entry: u64) -> Result<(), VmmError> {
    let mut sregs = vcpu.get_sregs().map_err(VmmError::system("cannot read registers"))?;
    sregs.cs = kvm_segment { l: 1, db: 0, ..flat(0xb, 0x10) };
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = flat(0x3, 0x18);
    }
    (sregs.gdt.base, sregs.gdt.limit) = (BOOT_GDT, 31);
    sregs.cr3 = PAGE_TABLES;
    // PE, ET, PG; PAE; LME, LMA.
    sregs.cr0 = 1 | 1 << 4 | 1 << 31;
    sregs.cr4 = 1 << 5;
    sregs.efer = 1 << 8 | 1 << 10;
    vcpu.set_sregs(&sregs).map_err(VmmError::system("cannot set registers"))?;
    let mut regs = vcpu.get_regs().map_err(VmmError::system("cannot read registers"))?;
    regs.rip = entry;
    regs.rsi = BOOT_PARAMS;
    regs.rflags = 2;
    vcpu.set_regs(&regs).map_err(VmmError::system("cannot set registers"))
}

/// Runs a processor until the machine ends; its registers then.
pub fn run(machine: &Arc<Machine>, vcpu: &mut VcpuFd, cpu: usize) -> CpuReport {
    let mut worked = Worked::default();
    while !machine.is_stopping() {
        machine.wait_while_stalled(cpu, vcpu);
        machine.hold.wait(machine, cpu, vcpu);
        if let Some(ending) = step(machine, vcpu, cpu) {
            machine.end(ending);
        }
        worked.look(machine);
    }
    CpuReport { worked: worked.in_all(), ..report(machine, vcpu, cpu) }
}

/// Processor time of this thread from `boot.ready` until the guest is told to come to an end.
#[derive(Default)]
struct Worked {
    /// What it had taken when that began, and when it ended.
    from: Option<Duration>,
    to: Option<Duration>,
}

impl Worked {
    /// Looks after an exit whether one of the two has come. The processor that says that it is ready exits for it; an interrupt ends the other.
    fn look(&mut self, machine: &Machine) {
        if self.from.is_none() && machine.ready_at.load(Ordering::Relaxed) != u64::MAX {
            self.from = Some(thread_time());
        }
        if self.to.is_none() && machine.finishing.load(Ordering::Relaxed) {
            self.to = Some(thread_time());
        }
    }

    fn in_all(&self) -> Duration {
        let to = self.to.unwrap_or_else(thread_time);
        self.from.map_or(Duration::ZERO, |from| to.saturating_sub(from))
    }
}

/// Processor time that this thread has taken so far; zero where the system does not count it.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Serves the rest of what the last exit began: an instruction that reaches a device is over, and its registers are true, only when the processor
/// is entered again. Nothing more is executed.
pub fn complete(machine: &Machine, vcpu: &mut VcpuFd, cpu: usize) {
    vcpu.set_kvm_immediate_exit(1);
    for _ in 0..MAX_PARTS {
        match serve(machine, vcpu, cpu) {
            Served::Interrupted => break,
            Served::Done => {}
            Served::Ends(ending) => {
                machine.end(ending);
                break;
            }
        }
    }
    vcpu.set_kvm_immediate_exit(0);
}

/// One entry into the guest and what its exit asks for.
pub fn step(machine: &Machine, vcpu: &mut VcpuFd, cpu: usize) -> Option<Ending> {
    match serve(machine, vcpu, cpu) {
        Served::Ends(ending) => Some(ending),
        Served::Done | Served::Interrupted => None,
    }
}

/// What came of an entry.
enum Served {
    /// Its exit was served.
    Done,
    /// A signal, or the wish for one, ended it.
    Interrupted,
    /// The machine ends.
    Ends(Ending),
}

fn serve(machine: &Machine, vcpu: &mut VcpuFd, cpu: usize) -> Served {
    match vcpu.run() {
        Ok(VcpuExit::MmioRead(address, data)) => machine.memory_read(address, data),
        Ok(VcpuExit::MmioWrite(address, data)) => machine.memory_write(address, data),
        Ok(VcpuExit::IoIn(port, data)) => machine.port_read(port, data),
        Ok(VcpuExit::IoOut(port, data)) => machine.port_write(port, data),
        Ok(VcpuExit::Hlt | VcpuExit::Intr | VcpuExit::IrqWindowOpen) => {}
        Ok(VcpuExit::Shutdown) => return Served::Ends(Ending::TripleFault { cpu }),
        Ok(VcpuExit::FailEntry(reason, _)) => return Served::Ends(Ending::FailEntry { cpu, reason }),
        Ok(VcpuExit::SystemEvent(kind, _)) => return Served::Ends(system_event(kind, cpu)),
        Ok(VcpuExit::Debug(exit)) => machine.debug_exit(vcpu, cpu, &exit),
        Ok(VcpuExit::InternalError) => {
            if machine.gave_up_at_breakpoint(vcpu, cpu) {
                return Served::Done;
            }
            return Served::Ends(Ending::Internal { cpu, suberror: suberror(vcpu) });
        }
        Ok(other) => return Served::Ends(Ending::Unknown { cpu, exit: format!("{other:?}") }),
        Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => return Served::Interrupted,
        Err(error) => {
            return Served::Ends(Ending::Unknown { cpu, exit: format!("KVM_RUN failed: {error}") });
        }
    }
    Served::Done
}

fn system_event(kind: u32, cpu: usize) -> Ending {
    match kind {
        kvm_bindings::KVM_SYSTEM_EVENT_SHUTDOWN => Ending::PowerOff,
        kvm_bindings::KVM_SYSTEM_EVENT_RESET => Ending::Reset,
        kind => Ending::Unknown { cpu, exit: format!("system event {kind}") },
    }
}

fn suberror(vcpu: &mut VcpuFd) -> u32 {
    // SAFETY: the exit reason is KVM_EXIT_INTERNAL_ERROR, for which KVM fills in this member of the union; every bit pattern is a
    // valid u32.
    unsafe { vcpu.get_kvm_run().__bindgen_anon_1.internal.suberror }
}

fn report(machine: &Machine, vcpu: &VcpuFd, cpu: usize) -> CpuReport {
    let mut report = CpuReport { cpu, ..CpuReport::default() };
    if let Ok(r) = vcpu.get_regs() {
        report.registers.extend([
            ("rip", r.rip),
            ("rsp", r.rsp),
            ("rbp", r.rbp),
            ("rflags", r.rflags),
            ("rax", r.rax),
            ("rbx", r.rbx),
            ("rcx", r.rcx),
            ("rdx", r.rdx),
            ("rsi", r.rsi),
            ("rdi", r.rdi),
            ("r8", r.r8),
            ("r9", r.r9),
            ("r10", r.r10),
            ("r11", r.r11),
            ("r12", r.r12),
            ("r13", r.r13),
            ("r14", r.r14),
            ("r15", r.r15),
        ]);
        let sregs = vcpu.get_sregs().unwrap_or_default();
        let base = if sregs.cs.l == 0 { sregs.cs.base } else { 0 };
        report.code = code(machine, vcpu, base.wrapping_add(r.rip));
        // Frames of 64-bit code; other code has no frame pointers that this machine knows of.
        if sregs.cs.l != 0 {
            report.callers =
                callers(machine, vcpu, r.rbp).into_iter().map(|address| (address, None)).collect();
        }
    }
    report.halted = vcpu.get_mp_state().is_ok_and(|state| state.mp_state == KVM_MP_STATE_HALTED);
    if let Ok(s) = vcpu.get_sregs() {
        let segments = [("cs", u64::from(s.cs.selector)), ("gsbase", s.gs.base), ("efer", s.efer)];
        report.registers.extend([("cr0", s.cr0), ("cr2", s.cr2), ("cr3", s.cr3), ("cr4", s.cr4)]);
        report.registers.extend(segments);
    }
    report
}

/// The bytes at linear address `address`, by the guest's own page tables.
fn code(machine: &Machine, vcpu: &VcpuFd, address: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in address..address.saturating_add(CODE_BYTES) {
        let mut byte = [0];
        if read(machine, vcpu, at, &mut byte).is_none() {
            break;
        }
        bytes.push(byte[0]);
    }
    bytes
}

/// Return addresses by the chain of frame pointers that begins with `frame`. The guest may have written anything there: the chain
/// only ever goes up, and not for long.
fn callers(machine: &Machine, vcpu: &VcpuFd, mut frame: u64) -> Vec<u64> {
    let mut found = Vec::new();
    while found.len() < MAX_CALLERS && frame.is_multiple_of(8) {
        let (mut next, mut address) = ([0; 8], [0; 8]);
        let Some(()) = read(machine, vcpu, frame, &mut next) else { break };
        let Some(()) = frame.checked_add(8).and_then(|at| read(machine, vcpu, at, &mut address)) else {
            break;
        };
        let (next, address) = (u64::from_le_bytes(next), u64::from_le_bytes(address));
        if address == 0 {
            break;
        }
        found.push(address);
        if next <= frame {
            break;
        }
        frame = next;
    }
    found
}

/// Reads guest memory at a linear address. What is read does not cross a page if it is aligned to its length.
fn read(machine: &Machine, vcpu: &VcpuFd, address: u64, into: &mut [u8]) -> Option<()> {
    let translation = vcpu.translate_gva(address).ok().filter(|t| t.valid != 0)?;
    machine.memory.mmap.read_slice(into, GuestAddress(translation.physical_address)).ok()
}
