//! User tasks for tests: programs are closures, rights are handed round by a board that stands for a port.
//!
//! The steps of a program are made in the processor's user mode (module `steps`) where there is one.

mod board;
mod mail;
mod steps;

use alloc::{sync::Arc, vec, vec::Vec};
use core::cell::Cell;

use abi::{
    Descriptor, Disposition, KernReturn, Trap,
    message::{MESSAGE_MAX, option},
    port::Right,
    space::flag,
};
use mach::{
    KernelRef,
    task::{Fault, Program, Task, TaskPlan, UserThread},
};

pub use board::Meeting;
pub use mail::{Mail, name_in, right};

use crate::Lab;
use board::{GET, PUT};
use steps::Steps;

/// Nanoseconds that an answer may take.
const ANSWER: u64 = 60_000_000_000;
/// Schedules that a rule is tried under at least.
const SCHEDULES: u64 = 100;

/// A user thread with what tests need.
pub struct User<'a> {
    /// The thread.
    pub thread: &'a UserThread,
    steps: Steps<'a>,
    buffer: Cell<u64>,
    answers: Cell<u32>,
}

impl<'a> User<'a> {
    /// The thread of a program.
    pub fn new(thread: &'a UserThread) -> Self {
        Self { thread, steps: Steps::new(thread), buffer: Cell::new(0), answers: Cell::new(0) }
    }

    /// A trap: its value.
    ///
    /// # Errors
    /// The code that it was answered with.
    pub fn trap(&self, trap: Trap, arguments: &[u64]) -> Result<u64, KernReturn> {
        let (code, value) = self.raw(trap as u64, arguments);
        code.ok(value)
    }

    /// A trap with any number: code and value.
    pub fn raw(&self, number: u64, arguments: &[u64]) -> (KernReturn, u64) {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        self.steps.trap(number, all)
    }

    /// The name of a new right.
    pub fn allocate(&self, kind: Right) -> u32 {
        self.trap(Trap::PortAllocate, &[kind as u64]).expect("a name") as u32
    }

    /// A port with a receive and a send right.
    pub fn port(&self) -> u32 {
        let name = self.allocate(Right::Receive);
        self.trap(Trap::PortMakeSend, &[name.into()]).expect("a send right");
        name
    }

    /// User references of a name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn references(&self, name: u32, kind: Right) -> Result<u64, KernReturn> {
        self.trap(Trap::PortGetReferences, &[name.into(), kind as u64])
    }

    /// Gives a name up.
    pub fn destroy(&self, name: u32) {
        self.trap(Trap::PortDestroy, &[name.into()]).expect("a name");
    }

    /// New memory, anywhere.
    pub fn memory(&self, bytes: u64) -> u64 {
        self.trap(Trap::VmAllocate, &[0, bytes, flag::ANYWHERE]).expect("memory")
    }

    /// Reads memory, which must be there.
    pub fn load(&self, address: u64, bytes: usize) -> Vec<u8> {
        let mut into = vec![0; bytes];
        self.try_load(address, &mut into).expect("memory that can be read");
        into
    }

    /// Reads memory.
    ///
    /// # Errors
    /// It is not there, and nobody has put that right: the thread is over.
    pub fn try_load(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.steps.load(address, into)
    }

    /// Writes memory, which must be there.
    pub fn store(&self, address: u64, bytes: &[u8]) {
        self.try_store(address, bytes).expect("memory that can be written");
    }

    /// Writes memory.
    ///
    /// # Errors
    /// As [`User::try_load`].
    pub fn try_store(&self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.steps.store(address, bytes)
    }

    fn buffer(&self) -> Result<u64, KernReturn> {
        if self.buffer.get() == 0 {
            let buffer = self.trap(Trap::VmAllocate, &[0, MESSAGE_MAX as u64, flag::ANYWHERE])?;
            self.buffer.set(buffer);
        }
        Ok(self.buffer.get())
    }

    /// Sends, however long it takes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&self, mail: &Mail) -> Result<(), KernReturn> {
        self.send_within(mail, None)
    }

    /// Sends in `timeout` ns.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_within(&self, mail: &Mail, timeout: Option<u64>) -> Result<(), KernReturn> {
        let bytes = mail.encode();
        let buffer = self.buffer()?;
        self.try_store(buffer, &bytes).map_err(|_| KernReturn::Terminated)?;
        let options = option::SEND | timeout.map_or(0, |_| option::SEND_TIMEOUT);
        let size = bytes.len() as u64;
        self.trap(Trap::Message, &[buffer, options, size, 0, 0, timeout.unwrap_or(0)]).map(drop)
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive(&self, name: u32) -> Result<Mail, KernReturn> {
        self.receive_within(name, None)
    }

    /// Waits for a message for `timeout` ns.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive_within(&self, name: u32, timeout: Option<u64>) -> Result<Mail, KernReturn> {
        let buffer = self.buffer()?;
        let options = option::RECEIVE | timeout.map_or(0, |_| option::RECEIVE_TIMEOUT);
        let room = MESSAGE_MAX as u64;
        let arguments = [buffer, options, 0, room, name.into(), timeout.unwrap_or(0)];
        let bytes = self.trap(Trap::Message, &arguments)?;
        let mut mail = vec![0; bytes as usize];
        self.try_load(buffer, &mut mail).map_err(|_| KernReturn::Terminated)?;
        Ok(Mail::decode(&mail))
    }

    /// What is queued already.
    pub fn poll(&self, name: u32) -> Result<Mail, KernReturn> {
        self.receive_within(name, Some(0))
    }

    /// Sends, and receives the answer at a port of its own.
    pub fn call(&self, mail: Mail) -> Result<Mail, KernReturn> {
        if self.answers.get() == 0 {
            self.answers.set(self.trap(Trap::PortAllocate, &[Right::Receive as u64])? as u32);
        }
        let answers = self.answers.get();
        self.send(&mail.reply_to(answers, Disposition::MakeSendOnce))?;
        self.receive_within(answers, Some(ANSWER))
    }

    fn board(&self) -> u32 {
        self.trap(Trap::HostSelf, &[]).expect("a board") as u32
    }

    /// Puts a right on the board.
    pub fn put(&self, slot: u32, item: Descriptor) {
        let mail = Mail::to(self.board(), Disposition::MoveSend, PUT).with(item).body(&slot.to_le_bytes());
        match self.send(&mail) {
            // Who has the right by now may have used it.
            Ok(()) | Err(KernReturn::Terminated) => {}
            Err(why) => panic!("the board takes it: {why}"),
        }
    }

    /// A copy of a send right from the board, as soon as it is there.
    pub fn get(&self, slot: u32) -> Result<u32, KernReturn> {
        loop {
            let mail = Mail::to(self.board(), Disposition::MoveSend, GET).body(&slot.to_le_bytes());
            match name_in(&self.call(mail)?.items[0]) {
                0 => self.trap(Trap::Sleep, &[10_000]).map(drop)?,
                name => return Ok(name),
            }
        }
    }
}

/// Starts a task that runs `body`.
pub fn task(kernel: &KernelRef, name: &str, body: impl Fn(&User<'_>) + Send + Sync + 'static) -> Arc<Task> {
    task_with(kernel, name, move |user, _, _| {
        body(user);
        0
    })
}

/// Starts a task whose threads run `body` with (entry, argument).
pub fn task_with(
    kernel: &KernelRef,
    name: &str,
    body: impl Fn(&User<'_>, u64, u64) -> u64 + Send + Sync + 'static,
) -> Arc<Task> {
    let run = move |thread: &UserThread, entry, argument| body(&User::new(thread), entry, argument);
    let plan = TaskPlan::new(name, Program::native(run));
    kernel.create_task_with(plan, |task| steps::prepare(kernel, task)).expect("a task")
}

/// Runs `body` as a task's only thread, and waits until it is gone.
pub fn run(kernel: &KernelRef, body: impl Fn(&User<'_>) + Send + Sync + 'static) {
    join(kernel, task(kernel, "user", body));
}

/// Waits until `task` is gone; nobody keeps what is left of it.
pub fn join(kernel: &KernelRef, task: Arc<Task>) -> u64 {
    task.wait_gone(kernel)
}

/// Nothing of any task is left, but for `ports` ports of the kernel's objects. What other threads still hold on their stacks goes in a moment.
pub fn assert_nothing_left(kernel: &KernelRef, ports: u32) {
    let left =
        || kernel.resources().map(|(name, count)| (name, count - if name == "Port" { ports } else { 0 }));
    let is_clean = || left().iter().all(|(_, count)| *count == 0);
    for _ in 0..1_000 {
        if is_clean() {
            return;
        }
        kernel.delay(10_000);
    }
    panic!("left: {:?}", left());
}

/// Runs `body` as the only thread of a task, on two CPUs; nothing may be left of it.
pub fn alone(lab: &Lab<'_>, body: impl Fn(&User<'_>) + Send + Sync + Clone + 'static) {
    lab.kernel(2, SCHEDULES, move |kernel| {
        run(kernel, body.clone());
        assert_nothing_left(kernel, 0);
    });
}
