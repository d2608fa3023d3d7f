//! A user thread, as the kernel and native programs see it.

use super::hardware::{self, access_code};
use super::program::NativeProgram;
use super::table::Task;
use crate::kernel::{Kernel, KernelRef};
use crate::seam::UserRegisters;
use crate::thread::Thread;
use crate::vm::Access;
use abi::exception::Exception;
use abi::{KernReturn, Trap};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Memory could not be reached, and nobody has put it right: the thread is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// The running thread of a task.
pub struct UserThread {
    kernel: KernelRef,
    task: Arc<Task>,
    thread: Arc<Thread>,
    /// It shall end, though the task goes on.
    doomed: Arc<AtomicBool>,
    code: AtomicU64,
}

impl fmt::Debug for UserThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.thread, self.task)
    }
}

impl UserThread {
    pub(super) fn new(kernel: &KernelRef, task: &Arc<Task>, doomed: Arc<AtomicBool>) -> Self {
        let (kernel, task, thread) = (kernel.clone(), task.clone(), kernel.current());
        Self { kernel, task, thread, doomed, code: AtomicU64::new(0) }
    }

    /// The kernel.
    pub fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// The thread's task.
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// Whether the thread is to end: all traps are answered with Terminated.
    pub fn is_over(&self) -> bool {
        self.doomed.load(Ordering::Acquire) || self.task.is_terminating() || self.kernel.is_stopped()
    }

    pub(super) fn exit_code(&self) -> u64 {
        self.code.load(Ordering::Relaxed)
    }

    /// The thread has asked for its own end.
    pub(super) fn exit(&self, code: u64) {
        self.code.store(code, Ordering::Relaxed);
        self.doomed.store(true, Ordering::Release);
    }

    pub(super) fn set_in_user(&self, in_user: bool) {
        if in_user {
            self.kernel.enter_user_mode(&self.thread);
        } else {
            self.kernel.leave_user_mode(&self.thread);
        }
    }

    /// Goes back to where a trap came from.
    fn return_to(&self, was_in_user: bool) {
        if was_in_user {
            self.set_in_user(true);
        }
    }

    pub(super) fn run_native(&self, program: &dyn NativeProgram, entry: u64, argument: u64) -> u64 {
        if self.is_over() {
            return 0;
        }
        self.set_in_user(true);
        let code = program.run(self, entry, argument);
        self.set_in_user(false);
        if self.doomed.load(Ordering::Acquire) { self.exit_code() } else { code }
    }

    /// A trap: whatever number and arguments say.
    pub fn trap(&self, number: u64, arguments: [u64; 6]) -> (KernReturn, u64) {
        if self.is_over() {
            return (KernReturn::Terminated, 0);
        }
        let was_in_user = self.kernel.leave_user_mode(&self.thread);
        let answer = match Trap::from_number(number) {
            Some(trap) => super::trap::dispatch(self, trap, arguments),
            None => Err((KernReturn::InvalidArgument, 0)),
        };
        self.return_to(was_in_user);
        if self.is_over() {
            return (KernReturn::Terminated, 0);
        }
        match answer {
            Ok(value) => (KernReturn::Success, value),
            Err(failed) => failed,
        }
    }

    /// Runs code of the task's in the processor's user mode, from `registers` on, until it traps: for a native program that does a step of its work there.
    /// What stops user code meanwhile is dealt with as for the threads of an image. False: the thread is over, or the machine has no user mode.
    pub fn run_user_code(&self, registers: &mut UserRegisters) -> bool {
        let was_in_user = self.kernel.leave_user_mode(&self.thread);
        let has_trapped = hardware::until_trap(self, registers);
        self.return_to(was_in_user);
        has_trapped
    }

    /// Carries out the trap at which user code has stopped: number and arguments are in `registers`, and so is the answer afterwards, as [`Trap`] says.
    pub fn carry_out(&self, registers: &mut UserRegisters) {
        hardware::trap(self, registers);
    }

    /// Reads memory as a program does: what it cannot reach is an exception.
    ///
    /// # Errors
    /// Nobody has put it right.
    pub fn load(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.reach(address, |map, kernel| map.read(kernel, address, into))
    }

    /// Writes to memory as a program does.
    ///
    /// # Errors
    /// As [`UserThread::load`].
    pub fn store(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        self.reach(address, |map, kernel| map.write(kernel, address, from))
    }

    fn reach(
        &self,
        address: u64,
        mut attempt: impl FnMut(&crate::vm::Map, &Kernel) -> Result<(), KernReturn>,
    ) -> Result<(), Fault> {
        while !self.is_over() {
            let was_in_user = self.kernel.leave_user_mode(&self.thread);
            let reached = attempt(self.task.map(), &self.kernel);
            let goes_on = match reached {
                Ok(()) => true,
                Err(why) => self.raise(Exception::BadAccess, access_code(why), address),
            };
            self.return_to(was_in_user);
            match (reached, goes_on) {
                (Ok(()), _) => return Ok(()),
                (Err(_), true) => {}
                (Err(_), false) => return Err(Fault),
            }
        }
        Err(Fault)
    }

    /// The processor could not reach `address` for this thread.
    pub(super) fn fault(&self, address: u64, access: Access) {
        if let Err(why) = self.task.map().fault(&self.kernel, address, access) {
            self.raise(Exception::BadAccess, access_code(why), address);
        }
    }
}
