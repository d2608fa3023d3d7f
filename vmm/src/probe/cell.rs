//! A machine of 64 KiB and one processor in long mode, without interrupt controllers: HLT exits.

use super::code;
use crate::VmmError;
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

const BYTES: usize = 64 << 10;
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const DIRECTORY: u64 = 0x3000;
const GDT: u64 = 0x4000;
const IDT: u64 = 0x5000;
const EXCEPTION: u64 = 0x6000;
const CODE: u64 = 0x7000;
const DATA: u64 = 0x8000;
const STACK_END: u64 = 0xf000;
/// An address without memory behind it, which the page tables map.
pub const NOWHERE: u64 = 0x10_0000;
/// Vectors of exceptions.
const VECTORS: u64 = 32;
/// XSAVE, leaf 1 ECX.
const CPUID_XSAVE: u32 = 1 << 26;

/// How a run of the cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At HLT: the code ran through.
    Halted,
    /// At a port or an address without memory.
    Exit,
    /// An exception, or a shutdown because of one.
    Exception,
    /// KVM gave up.
    InternalError,
}

/// The machine.
pub struct Cell {
    // The processor is dropped before the machine, and the machine before its memory.
    vcpu: VcpuFd,
    vm: VmFd,
    memory: GuestMemoryMmap,
    sregs: kvm_sregs,
}

impl Cell {
    /// Builds it.
    ///
    /// # Errors
    /// KVM or the system refuses.
    pub fn new(kvm: &Kvm) -> Result<Self, VmmError> {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), BYTES)]).map_err(unmapped)?;
        let vm = kvm.create_vm().map_err(VmmError::system("cannot make a virtual machine"))?;
        map(&vm, &memory)?;
        let vcpu = vm.create_vcpu(0).map_err(VmmError::system("cannot make a processor"))?;
        let features = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(VmmError::system("cannot read the processor's features"))?;
        vcpu.set_cpuid2(&features).map_err(VmmError::system("cannot set the processor's features"))?;
        tables(&memory)?;
        let sregs = vcpu.get_sregs().map_err(VmmError::system("cannot read registers"))?;
        Ok(Self { vcpu, vm, memory, sregs: long_mode(sregs, has_xsave(&features)) })
    }

    /// Sets the processor to the beginning of `code`, with RCX = `count`.
    ///
    /// # Errors
    /// KVM refuses.
    pub fn load(&mut self, code: &[u8], count: u64) -> Result<(), VmmError> {
        self.settle();
        self.memory.write_slice(code, GuestAddress(CODE)).map_err(unmapped)?;
        self.vcpu.set_sregs(&self.sregs).map_err(VmmError::system("cannot set registers"))?;
        let regs = kvm_regs {
            rip: CODE,
            rsp: STACK_END,
            rflags: 2,
            rcx: count,
            rbx: NOWHERE,
            rdi: DATA,
            ..Default::default()
        };
        self.vcpu.set_regs(&regs).map_err(VmmError::system("cannot set registers"))
    }

    /// Lets KVM finish the instruction of the last exit: it would otherwise do so at the next entry, in the midst of other code.
    fn settle(&mut self) {
        self.vcpu.set_kvm_immediate_exit(1);
        // It returns at once, with EINTR.
        let _ = self.vcpu.run();
        self.vcpu.set_kvm_immediate_exit(0);
    }

    /// One entry into the guest, up to its next exit. All code that is loaded halts or exits after a bounded number of
    /// instructions, so this returns.
    ///
    /// # Errors
    /// KVM refuses to run the processor.
    pub fn run(&mut self) -> Result<End, VmmError> {
        loop {
            return match self.vcpu.run() {
                Ok(VcpuExit::Hlt) => Ok(End::Halted),
                Ok(VcpuExit::IoOut(code::EXCEPTION_PORT, _) | VcpuExit::Shutdown) => Ok(End::Exception),
                Ok(VcpuExit::IoOut(..) | VcpuExit::MmioRead(..)) => Ok(End::Exit),
                Ok(VcpuExit::InternalError) => Ok(End::InternalError),
                Ok(_) => Err(VmmError::Missing("the exits that its interface promises")),
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => continue,
                Err(error) => Err(VmmError::system("cannot run a processor")(error)),
            };
        }
    }

    /// Frequency of the time-stamp counter, kHz; 0 if KVM does not tell.
    pub fn tsc_khz(&self) -> u64 {
        self.vcpu.get_tsc_khz().map_or(0, u64::from)
    }

    /// Whether KVM has a capability for this machine.
    pub fn has(&self, capability: kvm_ioctls::Cap) -> bool {
        self.vm.check_extension(capability)
    }
}

fn unmapped(error: impl std::fmt::Display) -> VmmError {
    VmmError::System { what: "cannot reserve guest memory", error: std::io::Error::other(error.to_string()) }
}

fn map(vm: &VmFd, memory: &GuestMemoryMmap) -> Result<(), VmmError> {
    for region in memory.iter() {
        let mapping = kvm_userspace_memory_region {
            slot: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
            flags: 0,
        };
        // SAFETY: there is one region; the cell owns its mapping and drops it after the processor and the machine, so KVM never
        // holds an address that something else lives at.
        unsafe { vm.set_user_memory_region(mapping) }.map_err(VmmError::system("cannot map guest memory"))?;
    }
    Ok(())
}

fn has_xsave(features: &CpuId) -> bool {
    features.as_slice().iter().any(|entry| entry.function == 1 && entry.ecx & CPUID_XSAVE != 0)
}

/// Page tables for the first 2 MiB, a descriptor table with one code segment, and gates for all exceptions.
fn tables(memory: &GuestMemoryMmap) -> Result<(), VmmError> {
    // Present and writable; the last also a 2 MiB page (Intel SDM 3A, 4.5).
    let entries =
        [(PML4, PDPT | 3), (PDPT, DIRECTORY | 3), (DIRECTORY, 0x83), (GDT + 8, 0x00af_9b00_0000_ffff)];
    for (at, value) in entries {
        memory.write_obj(value, GuestAddress(at)).map_err(unmapped)?;
    }
    for vector in 0..VECTORS {
        // A 64-bit interrupt gate to selector 8 (Intel SDM 3A, 6.14.1); the handler is below 64 KiB.
        let gate = EXCEPTION | 8 << 16 | 0x8e00 << 32;
        memory.write_obj(gate, GuestAddress(IDT + vector * 16)).map_err(unmapped)?;
    }
    memory.write_slice(code::EXCEPTION, GuestAddress(EXCEPTION)).map_err(unmapped)
}

/// 64-bit mode with paging, SSE and, where there is one, XSAVE switched on.
fn long_mode(mut sregs: kvm_sregs, xsave: bool) -> kvm_sregs {
    let data = kvm_segment {
        limit: 0xffff_ffff,
        selector: 0x10,
        type_: 0x3,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    sregs.cs = kvm_segment { selector: 8, type_: 0xb, db: 0, l: 1, ..data };
    (sregs.ds, sregs.es, sregs.ss) = (data, data, data);
    (sregs.gdt.base, sregs.gdt.limit) = (GDT, 0x17);
    (sregs.idt.base, sregs.idt.limit) = (IDT, (VECTORS * 16 - 1) as u16);
    sregs.cr3 = PML4;
    // PE, MP, ET, NE, PG.
    sregs.cr0 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 31;
    // PAE, OSFXSR, OSXMMEXCPT, OSXSAVE.
    sregs.cr4 = 1 << 5 | 1 << 9 | 1 << 10 | u64::from(xsave) << 18;
    // LME, LMA.
    sregs.efer = 1 << 8 | 1 << 10;
    sregs
}
