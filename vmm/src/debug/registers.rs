//! A processor's registers as `inspect` wants them.

use inspect::{Cpu, Paging, Registers};
use kvm_ioctls::VcpuFd;

/// The registers of processor `number`, which is out of the guest; `None` if KVM does not tell them.
pub fn cpu(vcpu: &VcpuFd, number: usize) -> Option<Cpu> {
    let (r, s) = (vcpu.get_regs().ok()?, vcpu.get_sregs().ok()?);
    let registers = Registers {
        r15: r.r15,
        r14: r.r14,
        r13: r.r13,
        r12: r.r12,
        rbp: r.rbp,
        rbx: r.rbx,
        r11: r.r11,
        r10: r.r10,
        r9: r.r9,
        r8: r.r8,
        rax: r.rax,
        rcx: r.rcx,
        rdx: r.rdx,
        rsi: r.rsi,
        rdi: r.rdi,
        rip: r.rip,
        cs: s.cs.selector.into(),
        rflags: r.rflags,
        rsp: r.rsp,
        ss: s.ss.selector.into(),
        fs_base: s.fs.base,
        gs_base: s.gs.base,
        ds: s.ds.selector.into(),
        es: s.es.selector.into(),
        fs: s.fs.selector.into(),
        gs: s.gs.selector.into(),
    };
    Some(Cpu { number, registers, paging: Paging::from_registers(s.cr0, s.cr3, s.cr4, s.efer) })
}
