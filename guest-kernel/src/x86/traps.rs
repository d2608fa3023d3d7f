//! Entries of interrupts and exceptions.
//!
//! An interrupt runs on its CPU's interrupt stack with interrupts masked, and never nests. If the kernel then wants another thread
//! here, the frame is copied to the interrupted thread's own stack, below what it may use without moving its
//! stack pointer (128 bytes), and `Kernel::preempt` is called there: the interrupt stack is free again before
//! interrupts are enabled.
//!
//! An interrupt that finds IF clear in the interrupted flags is none that a processor delivers (Intel SDM volume 3, 6.8.1). Hosts that emulate
//! virtualisation do it now and then: they deliver an injected interrupt twice. The second has overwritten the first one's frame on the interrupt
//! stack, so the run cannot go on, and is not to be counted against the guest ([`panic::host_defect`]).
//!
//! The frame begins with RBP and RIP, next to each other like those of a call, so that backtraces walk through it.
//!
//! What comes while ring 3 runs, be it an interrupt or an exception, ends the call of `user_enter` that the thread is in: all registers are
//! copied from the trap's stack to where that call was told, and it returns, on the thread's own kernel stack ([`super::user`]). So no trap stack is in use
//! while a user's trap is served, and what user code does to its registers, its stack pointer among them, is data. NMIs are the exception: they belong to the CPU.
//!
//! GS is the kernel's in ring 0, but for the few masked instructions next to SWAPGS. Only an NMI can come there, and an
//! interrupt that no processor delivers: these look at GS itself.

use core::arch::global_asm;

use super::guest;
use super::panic;
use super::percpu;

global_asm!(
    r#"
    .macro INTERRUPT_STUB vector
    .balign 16
    push rbp
    mov rbp, rsp
    push \vector
    jmp interrupt_common
    .endm

    .macro EXCEPTION_STUB vector, has_code
    .balign 16
    .if \has_code == 0
    push 0
    .endif
    push \vector
    jmp exception_common
    .endm

    // Where GS may still, or again, be the user's: makes it the kernel's; ebx = 1 if it was not. Uses rax, rcx, rdx.
    .macro OWN_GS
    mov ecx, 0xc0000101
    rdmsr
    xor ebx, ebx
    lea rcx, [rip + {blocks}]
    test edx, edx                   // the blocks are in the image, below 4 GiB
    jnz 7f
    sub rax, rcx
    cmp rax, {blocks_bytes}
    jb 8f
7:
    swapgs
    inc ebx
8:
    .endm

    .balign 16
    .global trap_stubs
    .type trap_stubs, @function
trap_stubs:
    .set vector, 0
    .rept 32
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    EXCEPTION_STUB vector, 1
    .else
    EXCEPTION_STUB vector, 0
    .endif
    .set vector, vector + 1
    .endr
    .rept 224
    INTERRUPT_STUB vector
    .set vector, vector + 1
    .endr
    .balign 16
    .size trap_stubs, . - trap_stubs

    // For debuggers, by DWARF's numbers: 6 = RBP, 7 = RSP, 16 = RIP. RBP points at the RBP and the RIP that were interrupted; four words above is
    // the RSP.
    .type interrupt_common, @function
interrupt_common:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa 6, 16
    .cfi_offset 6, -16
    .cfi_offset 16, -8
    .cfi_offset 7, 16
    test byte ptr [rbp + 25], 2     // IF of the interrupted flags
    jz 4f
    test byte ptr [rbp + 16], 3     // the interrupted ring
    jnz 5f
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    mov edi, [rbp - 8]
    cld
    call guest_interrupt
    test al, al
    jz 3f
    // 16 words: 9 registers, vector, RBP, RIP, CS, RFLAGS, RSP, SS.
    mov rdi, [rsp + 14*8]
    sub rdi, 256
    and rdi, -16
    mov rsi, rsp
    mov rsp, rdi
    lea rbp, [rdi + 10*8]
    mov ecx, 16
    rep movsq
    call guest_preempt
3:
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
    pop rbp
    iretq
4:
    cld
    OWN_GS
    mov edi, [rbp - 8]
    mov rsi, [rbp + 8]
    sub rsp, 8
    call guest_masked_interrupt
    ud2
5:
    mov rbp, [rbp]                  // the user's; its copy lies where exceptions have a code
    jmp user_trap
    .cfi_endproc
    .size interrupt_common, . - interrupt_common

    // From ring 3. On the stack: vector, code, RIP, CS, RFLAGS, RSP, SS.
    .type user_trap, @function
user_trap:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    swapgs
    push 2                          // none of the user's flags: DF, AC and NT would matter
    popfq
    mov rsi, rsp
    mov rsp, gs:[{user_stack}]
    mov rdi, [rsp]
    mov ecx, 22
    rep movsq
    pop rdi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .size user_trap, . - user_trap

    // rdi = the registers to load, which those of the next trap from ring 3 overwrite. Interrupts are masked, and are again when it returns.
    .type user_enter, @function
user_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdi
    mov gs:[{user_stack}], rsp
    mov rsp, rdi
    swapgs
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq
    .size user_enter, . - user_enter

    .type exception_common, @function
exception_common:
    .cfi_startproc simple
    .cfi_signal_frame
    test byte ptr [rsp + 24], 3     // the interrupted ring
    jz 2f
    cmp byte ptr [rsp], 2
    jne user_trap
2:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    // All that was interrupted is in the 22 words from here on: 3 = RBX, 12 to 15 = R12 to R15.
    .cfi_def_cfa 7, 176
    .cfi_offset 16, -40
    .cfi_offset 7, -16
    .cfi_offset 6, -112
    .cfi_offset 3, -72
    .cfi_offset 12, -152
    .cfi_offset 13, -160
    .cfi_offset 14, -168
    .cfi_offset 15, -176
    mov rdi, rsp
    cld
    OWN_GS
    // The RIP and the RBP that were interrupted, next to each other like those of a call: backtraces walk through them. 24 words on a 16-byte
    // boundary: aligned.
    push [rdi + 136]
    push rbp
    .cfi_def_cfa_offset 192
    mov rbp, rsp
    call guest_exception
    add rsp, 16
    .cfi_def_cfa_offset 176
    test ebx, ebx
    jz 3f
    swapgs
3:
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq
    .cfi_endproc
    .size exception_common, . - exception_common
"#,
    blocks = sym percpu::BLOCKS,
    blocks_bytes = const percpu::BLOCKS_BYTES,
    user_stack = const percpu::USER_STACK,
);

unsafe extern "C" {
    static trap_stubs: u8;
    fn user_enter(registers: *mut Registers);
}

/// Bytes from one stub to the next.
const STUB_BYTES: u64 = 16;
/// The NMI's vector.
const NMI: u64 = 2;

/// Address of the code that the gate of `vector` names.
pub fn stub(vector: u8) -> u64 {
    &raw const trap_stubs as u64 + u64::from(vector) * STUB_BYTES
}

/// What an exception leaves on its stack, lowest address first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // registers, by their names
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// Runs ring 3 with `registers` until the next interrupt or exception there, and leaves that trap's in them. Masked before and after.
///
/// # Safety
/// CS and SS are the user's selectors, RIP is canonical, and RFLAGS have IF set, IOPL 0, and TF, NT, VM and AC clear. The loaded page tables are those of
/// the thread's space.
pub unsafe fn enter_user(registers: &mut Registers) {
    // SAFETY: IRETQ to ring 3 cannot fault with what the caller promises; ring 3 touches user pages only, and whatever stops it comes back
    // through `user_trap`, which restores what the C calling convention asks for.
    unsafe { user_enter(registers) }
}

#[unsafe(no_mangle)]
extern "C" fn guest_interrupt(vector: u32) -> bool {
    guest::interrupt(vector as u8)
}

#[unsafe(no_mangle)]
extern "C" fn guest_masked_interrupt(vector: u32, rip: u64) -> ! {
    panic::host_defect(
        "masked interrupt",
        vector,
        format_args!("interrupt {vector:#x} came at {rip:#x} while interrupts were masked"),
    )
}

#[unsafe(no_mangle)]
extern "C" fn guest_preempt() {
    guest::preempt();
}

#[unsafe(no_mangle)]
extern "C" fn guest_exception(registers: &Registers) {
    if registers.vector == NMI {
        panic::stop_if_asked();
        return;
    }
    panic::exception(registers);
}
