//! Registers as the protocol has them.

use gdbstub_arch::x86::reg::X86_64CoreRegs;
use inspect::Registers;
use kvm_bindings::{kvm_fpu, kvm_regs};

/// The protocol's registers of a thread; `float`: those of the processor that runs it, if one does.
pub fn tell(r: &Registers, float: Option<&kvm_fpu>, into: &mut X86_64CoreRegs) {
    into.regs = [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ];
    into.eflags = r.rflags as u32;
    into.rip = r.rip;
    let segments = &mut into.segments;
    (segments.cs, segments.ss, segments.ds) = (r.cs as u32, r.ss as u32, r.ds as u32);
    (segments.es, segments.fs, segments.gs) = (r.es as u32, r.fs as u32, r.gs as u32);
    let Some(float) = float else { return };
    for (to, from) in into.st.iter_mut().zip(&float.fpr) {
        to.copy_from_slice(&from[..10]);
    }
    for (to, from) in into.xmm.iter_mut().zip(&float.xmm) {
        *to = u128::from_le_bytes(*from);
    }
    into.mxcsr = float.mxcsr;
    into.fpu.fctrl = float.fcw.into();
    into.fpu.fstat = float.fsw.into();
    into.fpu.ftag = float.ftwx.into();
    into.fpu.fop = float.last_opcode.into();
}

/// Writes the integer registers into those of a processor; the others stay as they are.
pub fn take(from: &X86_64CoreRegs, into: &mut kvm_regs) {
    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15] = from.regs;
    let rflags = into.rflags & !0xffff_ffff | u64::from(from.eflags);
    *into = kvm_regs {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rsp,
        rbp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: from.rip,
        rflags,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_go_both_ways() {
        let registers =
            Registers { rax: 1, rdi: 6, rsp: 8, r15: 16, rip: 17, rflags: 0x246, ..Registers::default() };
        let mut told = X86_64CoreRegs::default();
        tell(&registers, None, &mut told);
        assert_eq!((told.regs[0], told.regs[5], told.regs[7], told.regs[15]), (1, 6, 8, 16));
        let mut back = kvm_regs { rflags: 0xffff_0000_0000_0002, ..Default::default() };
        take(&told, &mut back);
        assert_eq!((back.rax, back.rdi, back.rsp, back.r15, back.rip), (1, 6, 8, 16, 17));
        assert_eq!(back.rflags, 0xffff_0000_0000_0246);
    }
}
