//! A processor's registers.

use crate::paging::Paging;

/// Integer registers, in the order in which cores have them (`user_regs_struct` of Linux on x86-64).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // registers, by their names
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

/// Words of a core's register set: ours, and `orig_rax` behind RDI.
pub(crate) const CORE_WORDS: usize = 27;
/// Words before `orig_rax`.
const BEFORE: usize = 15;

impl Registers {
    /// As a core has them.
    pub(crate) fn words(&self) -> [u64; CORE_WORDS] {
        let r = self;
        [
            r.r15,
            r.r14,
            r.r13,
            r.r12,
            r.rbp,
            r.rbx,
            r.r11,
            r.r10,
            r.r9,
            r.r8,
            r.rax,
            r.rcx,
            r.rdx,
            r.rsi,
            r.rdi,
            // No system call is under way.
            u64::MAX,
            r.rip,
            r.cs,
            r.rflags,
            r.rsp,
            r.ss,
            r.fs_base,
            r.gs_base,
            r.ds,
            r.es,
            r.fs,
            r.gs,
        ]
    }

    /// From a core.
    pub(crate) fn from_words(words: &[u64; CORE_WORDS]) -> Self {
        let [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi] =
            core::array::from_fn(|n| words[n]);
        let [rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs] =
            core::array::from_fn(|n| words[BEFORE + 1 + n]);
        Self {
            r15,
            r14,
            r13,
            r12,
            rbp,
            rbx,
            r11,
            r10,
            r9,
            r8,
            rax,
            rcx,
            rdx,
            rsi,
            rdi,
            rip,
            cs,
            rflags,
            rsp,
            ss,
            fs_base,
            gs_base,
            ds,
            es,
            fs,
            gs,
        }
    }

    /// Whether user code runs.
    pub const fn is_user(&self) -> bool {
        self.cs & 3 == 3
    }
}

/// A processor that stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: usize,
    /// Its registers.
    pub registers: Registers,
    /// How it translates addresses.
    pub paging: Paging,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_go_into_a_core_and_come_back() {
        let words = core::array::from_fn(|n| if n == BEFORE { u64::MAX } else { n as u64 + 100 });
        let registers = Registers::from_words(&words);
        assert_eq!((registers.r15, registers.rdi, registers.rip, registers.gs), (100, 114, 116, 126));
        assert_eq!(registers.words(), words);
    }
}
