//! What a user thread of a test does: traps, and accesses to its memory.
//!
//! A test's program is kernel code, so that it can be a closure that asserts. Where the machine has a user mode, each of its steps is made there all the same:
//! a trap is the instruction in the task's own address space, and an access to memory a copy there, through the processor's page tables, with their
//! faults. What is between the steps is the closure's, and no rule speaks of it.

use alloc::sync::Arc;
use core::cell::OnceCell;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{
    KernReturn,
    space::{PAGE, PROGRAM_BASE, protection},
};
use mach::{
    KernelRef,
    seam::UserRegisters,
    task::{Fault, Task, UserThread},
    vm::SharedMemory,
};

/// UD2, the trap; then REP MOVSB, a copy of rcx bytes from rsi to rdi, and a trap behind it.
const CODE: [u8; 6] = [0x0f, 0x0b, 0xf3, 0xa4, 0x0f, 0x0b];
/// Where the trap is.
const TRAP: u64 = PROGRAM_BASE;
/// Where the copy is.
const COPY: u64 = PROGRAM_BASE + 2;
/// Words of a page.
const WORDS: usize = PAGE as usize / 8;

/// Memory that a thread copies by way of: the closure sees it too.
struct Scratch {
    memory: SharedMemory,
    /// Where the task has it.
    address: u64,
}

/// The steps of one thread.
pub(super) struct Steps<'a> {
    thread: &'a UserThread,
    has_user_mode: bool,
    scratch: OnceCell<Scratch>,
}

/// Gives a new task what its threads' steps need.
pub(super) fn prepare(kernel: &KernelRef, task: &Arc<Task>) {
    if !kernel.machine().has_user_mode() {
        return;
    }
    let map = task.map();
    let all = protection::READ | protection::WRITE;
    let made = map.allocate(kernel, Some(PROGRAM_BASE), PAGE, all);
    made.and_then(|at| map.write(kernel, at, &CODE)).expect("memory for the steps' code");
    let fixed = protection::READ | protection::EXECUTE;
    map.protect(kernel, PROGRAM_BASE, PAGE, fixed).expect("the page that was made");
}

impl<'a> Steps<'a> {
    pub fn new(thread: &'a UserThread) -> Self {
        let has_user_mode = thread.kernel().machine().has_user_mode();
        Self { thread, has_user_mode, scratch: OnceCell::new() }
    }

    /// A trap.
    pub fn trap(&self, number: u64, arguments: [u64; 6]) -> (KernReturn, u64) {
        if !self.has_user_mode {
            return self.thread.trap(number, arguments);
        }
        let [rdi, rsi, rdx, rcx, r8, r9] = arguments;
        let rax = number;
        let mut registers =
            UserRegisters { rip: TRAP, rax, rdi, rsi, rdx, rcx, r8, r9, ..UserRegisters::default() };
        if !self.thread.run_user_code(&mut registers) {
            return (KernReturn::Terminated, 0);
        }
        assert_eq!(registers.rip, COPY, "behind the trap");
        self.thread.carry_out(&mut registers);
        (KernReturn::from_code(registers.rax).expect("a code that is known"), registers.rdx)
    }

    /// Reads memory.
    pub fn load(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        if !self.has_user_mode {
            return self.thread.load(address, into);
        }
        let scratch = self.scratch()?;
        for (at, part) in (address..).step_by(PAGE as usize).zip(into.chunks_mut(PAGE as usize)) {
            self.copy(at, scratch.address, part.len())?;
            for (word, bytes) in scratch.words().zip(part.chunks_mut(8)) {
                bytes.copy_from_slice(&word.load(Ordering::SeqCst).to_le_bytes()[..bytes.len()]);
            }
        }
        Ok(())
    }

    /// Writes memory.
    pub fn store(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        if !self.has_user_mode {
            return self.thread.store(address, from);
        }
        let scratch = self.scratch()?;
        for (at, part) in (address..).step_by(PAGE as usize).zip(from.chunks(PAGE as usize)) {
            for (word, bytes) in scratch.words().zip(part.chunks(8)) {
                let mut whole = [0; 8];
                whole[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_le_bytes(whole), Ordering::SeqCst);
            }
            self.copy(scratch.address, at, part.len())?;
        }
        Ok(())
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Fault> {
        let mut registers =
            UserRegisters { rip: COPY, rsi: from, rdi: to, rcx: bytes as u64, ..UserRegisters::default() };
        if !self.thread.run_user_code(&mut registers) {
            return Err(Fault);
        }
        assert_eq!((registers.rip, registers.rcx), (COPY + 4, 0), "behind the copy, with nothing left");
        Ok(())
    }

    /// Made by the first access. A task that is over gets none any more.
    fn scratch(&self) -> Result<&Scratch, Fault> {
        if let Some(scratch) = self.scratch.get() {
            return Ok(scratch);
        }
        let kernel = self.thread.kernel();
        let memory = SharedMemory::new(kernel, WORDS).map_err(|_| Fault)?;
        let address = self.thread.task().map().map_shared(kernel, &memory).map_err(|_| Fault)?;
        Ok(self.scratch.get_or_init(|| Scratch { memory, address }))
    }
}

impl Scratch {
    fn words(&self) -> impl Iterator<Item = &AtomicU64> {
        (0..WORDS).map_while(|at| self.memory.word(at))
    }
}
