//! Threads' stacks and saved registers.
//!
//! A context's record is at the top of its stack. `busy` is set while a CPU runs on the stack: whoever switches to it
//! first waits for the one who is leaving. The leaver clears it *before* it waits in turn, and with its last access
//! to the stack behind it, so that two CPUs that exchange threads do not wait for each other.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use abi::threads::FRAME_REGISTERS;
use mach::seam::{ContextId, OutOfMemory, ThreadId};

use super::guest;
use super::percpu;
use super::stack::{self, Stack};

/// The record.
#[repr(C, align(16))]
#[derive(Debug)]
struct Context {
    rsp: u64,
    busy: AtomicU8,
    stack: Stack,
    /// How many recalls from user code the thread has seen (`user`).
    recalls: AtomicU32,
}

/// Bytes at the top of a stack that the record takes.
pub const RECORD_BYTES: u64 = 64;
/// Registers that a switch saves, and the return address.
const FRAME_WORDS: usize = FRAME_REGISTERS.len();
/// Offset of the saved stack pointer in a record.
pub const STACK_POINTER: usize = offset_of!(Context, rsp);
/// Offset of the byte that is set while a CPU runs on the stack.
pub const BUSY: usize = offset_of!(Context, busy);

global_asm!(
    r#"
    // rdi = from, rsi = to, edx = thread. Interrupts are masked.
    .type switch_context, @function
switch_context:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi + {rsp}], rsp
    mov byte ptr [rdi + {busy}], 0     // stores are seen in order: the stack is complete
2:
    cmp byte ptr [rsi + {busy}], 0
    je 3f
    pause
    jmp 2b
3:
    mov byte ptr [rsi + {busy}], 1
    mov gs:[{thread}], edx
    mov rsp, [rsi + {rsp}]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .size switch_context, . - switch_context

    .type context_start, @function
context_start:
    .cfi_startproc
    .cfi_undefined rip              // nobody called it: a debugger's backtrace ends here
    call guest_thread_entry
    ud2
    .cfi_endproc
    .size context_start, . - context_start

    // rdi = new stack pointer, rsi = function, rdx = its argument. Does not return.
    .type call_on_stack, @function
call_on_stack:
    .cfi_startproc
    .cfi_undefined rip
    mov rsp, rdi
    xor ebp, ebp
    mov rdi, rdx
    call rsi
    ud2
    .cfi_endproc
    .size call_on_stack, . - call_on_stack
"#,
    rsp = const STACK_POINTER,
    busy = const BUSY,
    thread = const percpu::THREAD,
);

unsafe extern "C" {
    fn switch_context(from: *mut Context, to: *mut Context, thread: ThreadId);
    fn context_start();
    fn call_on_stack(top: u64, function: extern "C" fn(usize) -> !, argument: usize) -> !;
}

/// Goes on in `function` at the top of `stack`, for good.
///
/// # Safety
/// `stack` is fresh, and nothing on the present stack is needed any more.
pub unsafe fn continue_on(stack: Stack, function: extern "C" fn(usize) -> !, argument: usize) -> ! {
    // SAFETY: the stack is mapped and unused (the caller promises); room for the record is left, and it is aligned.
    unsafe { call_on_stack(stack.top() - RECORD_BYTES, function, argument) }
}

fn record(stack: Stack) -> *mut Context {
    (stack.top() - RECORD_BYTES) as *mut Context
}

/// A context for the code that runs on `stack` now.
pub fn adopt(stack: Stack) -> ContextId {
    let context = record(stack);
    // SAFETY: the place is set aside on every stack and used by nothing else.
    unsafe { context.write(Context { rsp: 0, busy: AtomicU8::new(1), stack, recalls: AtomicU32::new(0) }) };
    ContextId(context as usize)
}

/// A context that begins in `Kernel::thread_entry`.
///
/// # Errors
/// [`OutOfMemory`] if there is no stack.
pub fn create() -> Result<ContextId, OutOfMemory> {
    let stack = Stack::new().ok_or(OutOfMemory)?;
    let context = record(stack);
    // 16 bytes of zeros end the chain of frames; below them what `switch_context` pops.
    let frame = (context as u64 - 16) as *mut u64;
    // SAFETY: the fresh stack is mapped, and all addresses are at its top.
    unsafe {
        frame.write(0);
        frame.add(1).write(0);
        let saved = frame.sub(FRAME_WORDS);
        for n in 0..FRAME_WORDS - 1 {
            saved.add(n).write(0);
        }
        saved.add(FRAME_WORDS - 1).write(context_start as *const () as u64);
        context.write(Context {
            rsp: saved as u64,
            busy: AtomicU8::new(0),
            stack,
            recalls: AtomicU32::new(0),
        });
    }
    Ok(ContextId(context as usize))
}

/// How many recalls from user code the running thread has seen: a number of its own, which goes along with it from CPU to CPU.
pub fn recalls() -> &'static AtomicU32 {
    let here = 0u8;
    let (_, top) = stack::around(&raw const here as u64).expect("threads run on stacks of that region");
    // SAFETY: the record is at the top of the running thread's stack, which stays mapped for ever. Only its own thread uses this field.
    unsafe { &(*((top - RECORD_BYTES) as *const Context)).recalls }
}

/// Leaves `from`, the running context, for `to`. Masked.
pub fn switch(from: ContextId, to: ContextId, thread: ThreadId) {
    // SAFETY: both ids come from `create` or `adopt` and are not destroyed; `from` is the running one, so its stack pointer
    // is stored where it belongs; `to` is waiting in this function or fresh, and the kernel gives it to one CPU only.
    unsafe { switch_context(from.0 as *mut Context, to.0 as *mut Context, thread) }
}

/// The frame pointer with which `context`, which no CPU runs, was left; 0 if it has never run.
pub fn frame_pointer_of(context: ContextId) -> u64 {
    // SAFETY: the id comes from `create` or `adopt`, and the caller keeps the context from being run or destroyed, so that nobody writes to the record.
    let rsp = unsafe { (*(context.0 as *const Context)).rsp };
    // A context that was adopted has a stack pointer once it has been left.
    if rsp == 0 {
        return 0;
    }
    // SAFETY: `switch_context` and `create` leave the saved registers and the return address there, on the context's own stack, which is mapped.
    unsafe { *(rsp as *const u64).add(FRAME_WORDS - 2) }
}

/// Frees a context once the CPU that left it last has done so.
pub fn destroy(context: ContextId) {
    let context = context.0 as *mut Context;
    // SAFETY: the id comes from `create`, and the kernel destroys it once.
    let context = unsafe { &*context };
    while context.busy.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
    context.stack.free();
}

#[unsafe(no_mangle)]
extern "C" fn guest_thread_entry() {
    guest::thread_entry();
}
