//! Single instructions.

use core::arch::asm;

/// Interrupt enable flag.
const RFLAGS_IF: u64 = 1 << 9;

/// Reads a model-specific register.
///
/// # Safety
/// The register exists on this processor.
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading an existing register has no effect on memory; the caller promises that it exists.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register exists, and what the value does to the processor is wanted.
pub unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: promised by the caller. Memory may be affected (interrupts sent), so no `nomem`.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// CPUID: EAX, EBX, ECX, EDX.
pub fn cpuid(leaf: u32, sub_leaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid_count(leaf, sub_leaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}

/// The time-stamp counter.
pub fn tsc() -> u64 {
    // SAFETY: RDTSC is in every x86-64 processor and touches only EAX and EDX.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// What the device there does is wanted.
pub unsafe fn outb(port: u16, value: u8) {
    // SAFETY: promised by the caller.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) }
}

/// Writes a word to an I/O port.
///
/// # Safety
/// As for [`outb`].
pub unsafe fn outw(port: u16, value: u16) {
    // SAFETY: promised by the caller.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) }
}

/// Writes a double word to an I/O port.
///
/// # Safety
/// As for [`outb`].
pub unsafe fn outl(port: u16, value: u32) {
    // SAFETY: promised by the caller.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) }
}

/// Reads a byte from an I/O port.
///
/// # Safety
/// As for [`outb`]: reads have side effects too.
pub unsafe fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: promised by the caller.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) }
    value
}

/// Reads a word from an I/O port.
///
/// # Safety
/// As for [`inb`].
pub unsafe fn inw(port: u16) -> u16 {
    let value;
    // SAFETY: promised by the caller.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) }
    value
}

/// Reads a double word from an I/O port.
///
/// # Safety
/// As for [`inb`].
pub unsafe fn inl(port: u16) -> u32 {
    let value;
    // SAFETY: promised by the caller.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) }
    value
}

/// Whether interrupts are enabled on this CPU.
pub fn unmasked() -> bool {
    let flags: u64;
    // SAFETY: reads the flags through the stack (no red zone in this image).
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) }
    flags & RFLAGS_IF != 0
}

/// Masks interrupts on this CPU; true if they were enabled.
pub fn mask() -> bool {
    let flags: u64;
    // SAFETY: reads the flags through the stack (no red zone in this image) and clears IF. Not `nomem`: what follows must not
    // be moved before it.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) }
    flags & RFLAGS_IF != 0
}

/// Enables interrupts on this CPU.
pub fn unmask() {
    // SAFETY: handlers are installed before the first call; they run on stacks of their own.
    unsafe { asm!("sti", options(nostack)) }
}

/// Enables interrupts and halts until one comes; none can slip in between (STI's shadow).
pub fn unmask_and_halt() {
    // SAFETY: as for `unmask`; HLT resumes after the interrupt.
    unsafe { asm!("sti", "hlt", options(nostack)) }
}

/// Masks interrupts and halts for good.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: nothing runs on this CPU any more, apart from NMI handlers that halt as well.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) }
    }
}

/// The address whose access caused the last page fault.
pub fn fault_address() -> u64 {
    let value;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// The top page table in use.
pub fn page_table() -> u64 {
    let value;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Changes the top page table.
///
/// # Safety
/// The tables map all code, stacks and data in use at their present addresses.
pub unsafe fn set_page_table(root: u64) {
    // SAFETY: promised by the caller.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
}

/// CR0.TS: x87 and MMX instructions raise #NM.
const CR0_TASK_SWITCHED: u64 = 1 << 3;
/// CR4.SMEP: the kernel does not execute user pages.
const CR4_SMEP: u64 = 1 << 20;
/// CR4.SMAP: the kernel does not touch user pages.
const CR4_SMAP: u64 = 1 << 21;

/// Keeps the kernel away from user pages, where the processor can (CPUID leaf 7, EBX bits 7 and 20), and user code from x87 registers, which are not
/// saved. SSE is off already: CR4.OSFXSR is clear.
pub fn separate_user_mode() {
    let leaf_7 = if cpuid(0, 0)[0] >= 7 { cpuid(7, 0)[1] } else { 0 };
    let smep = if leaf_7 >> 7 & 1 != 0 { CR4_SMEP } else { 0 };
    let smap = if leaf_7 >> 20 & 1 != 0 { CR4_SMAP } else { 0 };
    // SAFETY: the bits of CR4 are those that CPUID announces; the kernel has no user page in use, and no x87 code.
    unsafe {
        asm!("mov {r}, cr4", "or {r}, {bits}", "mov cr4, {r}", r = out(reg) _, bits = in(reg) smep | smap,
            options(nostack));
        asm!("mov {r}, cr0", "or {r}, {bits}", "mov cr0, {r}", r = out(reg) _, bits = const CR0_TASK_SWITCHED,
            options(nostack));
    }
}
