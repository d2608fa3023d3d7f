//! `ring3=1` on the command line: the first thread runs small pieces of user code and tells how each ended, so that a test can read what the
//! processor, or a host that emulates one, makes of user mode. After that the kernel goes on as usual.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::space::USER_BASE;
use mach::seam::{Machine, SpaceId, UserAccess, UserExit, UserRegisters};
use mach::{KernelRef, Policy, band};

use super::cpu;

/// Where the code is.
const CODE: u64 = USER_BASE;
/// One past the stack.
const STACK_TOP: u64 = USER_BASE + (2 << 20);
/// A page that is read-only.
const CONSTANT: u64 = USER_BASE + (4 << 20);
/// Bytes of a page.
const PAGE: u64 = 4096;
/// Machine time until somebody interferes, ns.
const SOON: u64 = 2_000_000;
/// Rounds of a measurement.
const ROUNDS: u64 = 64;

// In each piece: rdi = CONSTANT, rsi = an address of the kernel's, rsp = STACK_TOP.
global_asm!(
    r#"
    .macro PIECE name
    .section .rodata.ring3, "a"
    .global ring3_\name
ring3_\name:
    .endm

    PIECE begin
    PIECE trap
    mov rax, rdi
    ud2
    PIECE null
    mov rax, [0]
    PIECE constant
    mov byte ptr [rdi], 1
    PIECE kernel_read
    mov rax, [rsi]
    PIECE kernel_jump
    jmp rsi
    PIECE no_execute
    jmp rdi
    PIECE not_canonical
    mov rax, 0x8000000000000000
    mov rax, [rax]
    PIECE divide
    xor ecx, ecx
    xor edx, edx
    div rcx
    PIECE other_opcode
    mov rax, 1
    ud1 eax, eax
    PIECE privileged
    cli
    PIECE port
    in al, dx
    PIECE soft_interrupt
    int 0x80
    PIECE single_step
    pushfq
    or dword ptr [rsp], 0x100
    popfq
    nop
    nop
    ud2
    PIECE odd_flags
    push 0x44ed5                    // AC, NT, DF and what arithmetic leaves; IF and IOPL stay
    popfq
    ud2
    PIECE no_stack
    xor esp, esp
    push rax
    PIECE segments
    mov eax, 0x2b
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    ud2
    PIECE spin
1:
    pause
    jmp 1b
    PIECE watch
2:
    mov al, [rdi]
    jmp 2b
    PIECE traps
3:
    ud2
    jmp 3b
    PIECE end
    .section .text, "ax"
"#
);

macro_rules! pieces {
    ($($name:ident),*) => {
        unsafe extern "C" { $(static $name: u8;)* }
    };
}

pieces!(
    ring3_begin,
    ring3_trap,
    ring3_null,
    ring3_constant,
    ring3_kernel_read,
    ring3_kernel_jump,
    ring3_no_execute,
    ring3_not_canonical,
    ring3_divide,
    ring3_other_opcode,
    ring3_privileged,
    ring3_port,
    ring3_soft_interrupt,
    ring3_single_step,
    ring3_odd_flags,
    ring3_no_stack,
    ring3_segments,
    ring3_spin,
    ring3_watch,
    ring3_traps,
    ring3_end
);

/// A page of kernel memory that a space can show.
#[repr(align(4096))]
struct Page([u8; PAGE as usize]);

/// A space with code, a stack and a constant.
struct World<'a> {
    machine: &'a dyn Machine,
    space: SpaceId,
    pages: [Box<Page>; 3],
}

impl<'a> World<'a> {
    fn new(machine: &'a dyn Machine) -> Option<Self> {
        let space = machine.space_create().ok()?;
        let mut world = Self { machine, space, pages: [(); 3].map(|()| Box::new(Page([0; PAGE as usize]))) };
        let (begin, end) = (&raw const ring3_begin, &raw const ring3_end);
        // SAFETY: the pieces lie between their first and last symbol, in the image's constants.
        let code = unsafe { core::slice::from_raw_parts(begin, end as usize - begin as usize) };
        world.pages[0].0[..code.len()].copy_from_slice(code);
        let rights = [UserAccess::READ | UserAccess::EXECUTE, UserAccess::READ | UserAccess::WRITE];
        world.show(0, CODE, rights[0])?;
        world.show(1, STACK_TOP - PAGE, rights[1])?;
        world.show(2, CONSTANT, UserAccess::READ)?;
        Some(world)
    }

    fn show(&self, page: usize, address: u64, access: UserAccess) -> Option<()> {
        let frame = &raw const *self.pages[page] as u64;
        self.machine.space_enter(self.space, address, frame, access).ok()
    }

    fn registers(piece: &u8) -> UserRegisters {
        let offset = piece as *const u8 as u64 - &raw const ring3_begin as u64;
        let kernel = report as *const () as u64;
        UserRegisters {
            rip: CODE + offset,
            rsp: STACK_TOP,
            rdi: CONSTANT,
            rsi: kernel,
            ..UserRegisters::default()
        }
    }

    fn run(&self, piece: &u8) -> (UserExit, UserRegisters) {
        let mut registers = Self::registers(piece);
        let exit = self.run_on(&mut registers);
        (exit, registers)
    }

    /// Goes on where `registers` are.
    fn run_on(&self, registers: &mut UserRegisters) -> UserExit {
        self.machine.user_run(self.space, registers)
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.machine.space_destroy(self.space);
    }
}

/// Runs all pieces.
pub fn report(kernel: &KernelRef) {
    let Some(world) = World::new(kernel.machine()) else {
        crate::kprintln!("ring3: no memory");
        return;
    };
    single(&world);
    interfere(kernel, &world);
    measure(&world);
    drop(world);
    many(kernel);
    crate::kprintln!("ring3: done");
}

/// Pieces that end by themselves.
fn single(world: &World<'_>) {
    // SAFETY: symbols of constants above; only their addresses are used.
    let pieces = unsafe {
        [
            ("trap", &ring3_trap),
            ("null", &ring3_null),
            ("constant", &ring3_constant),
            ("kernel-read", &ring3_kernel_read),
            ("kernel-jump", &ring3_kernel_jump),
            ("no-execute", &ring3_no_execute),
            ("not-canonical", &ring3_not_canonical),
            ("divide", &ring3_divide),
            ("other-opcode", &ring3_other_opcode),
            ("privileged", &ring3_privileged),
            ("port", &ring3_port),
            ("soft-interrupt", &ring3_soft_interrupt),
            ("single-step", &ring3_single_step),
            ("odd-flags", &ring3_odd_flags),
            ("no-stack", &ring3_no_stack),
            ("segments", &ring3_segments),
        ]
    };
    for (name, piece) in pieces {
        let (exit, registers) = world.run(piece);
        let (rax, flags) = (registers.rax, registers.rflags);
        crate::kprintln!("ring3: {name}: {exit:x?} rax {rax:#x} flags {flags:#x}");
    }
    let mut registers = UserRegisters { rip: 1 << 63, ..UserRegisters::default() };
    let exit = world.run_on(&mut registers);
    crate::kprintln!("ring3: wild-start: {exit:x?}");
}

/// Pieces that never end, and somebody who ends them: preemption, a recall, a page that goes.
fn interfere(kernel: &KernelRef, world: &World<'_>) {
    let (me, space) = (kernel.thread_id(), world.space);
    let ran = Arc::new(AtomicBool::new(false));
    // SAFETY: as in `single`.
    let (spin, watch) = unsafe { (&ring3_spin, &ring3_watch) };
    let theirs = ran.clone();
    let helper = kernel.spawn("helper", band::REAL_TIME, Policy::Fixed, move |kernel| {
        kernel.delay(SOON);
        theirs.store(true, Ordering::Release);
        kernel.machine().user_recall(me);
        kernel.delay(SOON);
        kernel.machine().space_remove(space, CONSTANT, 1);
    });
    let Ok(helper) = helper else { return };
    let (exit, _) = world.run(spin);
    crate::kprintln!("ring3: spin: {exit:x?} helper ran {}", ran.load(Ordering::Acquire));
    let (exit, _) = world.run(watch);
    crate::kprintln!("ring3: watch: {exit:x?}");
    helper.join(kernel);
}

/// Spaces come and go on all CPUs: nothing of them stays.
fn many(kernel: &KernelRef) {
    let before = super::memory::free_bytes();
    let threads = [(); 4].map(|()| {
        kernel.spawn("space", band::DEFAULT, Policy::Fixed, |kernel| {
            for _ in 0..8 {
                let Some(world) = World::new(kernel.machine()) else { return };
                // SAFETY: as in `single`.
                let exit = world.run(unsafe { &ring3_trap }).0;
                assert!(matches!(exit, UserExit::Trap | UserExit::Recalled), "{exit:?}");
            }
        })
    });
    threads.iter().flatten().for_each(|thread| thread.join(kernel));
    // The heap grows by whole steps, and stacks stay: some, but not what all spaces together took.
    let grown = before - super::memory::free_bytes();
    crate::kprintln!("ring3: many: grown by less than 2 MiB: {}", grown < 2 << 20);
}

/// A trap and a page fault, each there and back, in traps.
fn measure(world: &World<'_>) {
    // SAFETY: as in `single`.
    let mut registers = World::registers(unsafe { &ring3_traps });
    let mut traps = 0;
    let begin = cpu::tsc();
    for _ in 0..ROUNDS {
        traps += u64::from(world.run_on(&mut registers) == UserExit::Trap);
    }
    let trap = (cpu::tsc() - begin) / ROUNDS;
    // SAFETY: as in `single`.
    let mut registers = World::registers(unsafe { &ring3_watch });
    let mut faults = 0;
    let begin = cpu::tsc();
    for _ in 0..ROUNDS {
        world.machine.space_remove(world.space, CONSTANT, 1);
        faults += u64::from(matches!(world.run_on(&mut registers), UserExit::PageFault { .. }));
        _ = world.show(2, CONSTANT, UserAccess::READ);
    }
    let fault = (cpu::tsc() - begin) / ROUNDS;
    let ratio = fault * 100 / trap.max(1);
    crate::kprintln!("ring3: cost: {traps} traps, {faults} page faults; {trap} ticks a trap");
    crate::kprintln!("ring3: cost: removed, faulted in: {}.{:02} traps", ratio / 100, ratio % 100);
}
