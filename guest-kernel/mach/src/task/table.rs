//! Tasks, and the table of them.

use super::program::Program;
use crate::counts::Live;
use crate::ipc::{KernelPort, Quota, SendRight};
use crate::kernel::Kernel;
use crate::seam::ThreadId;
use crate::spin_lock::SpinLock;
use crate::thread::Thread;
use crate::vm::Map;
use crate::wait::{WaitEvent, WaitMode};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A task's number: never 0, never used again.
pub type TaskId = u32;

/// Tasks that there may be at once.
pub const TASKS_MAX: usize = 256;

/// How a task is to begin.
#[derive(Clone, Debug)]
pub struct TaskPlan {
    /// Its name, for people.
    pub name: String,
    /// Priority of its threads, up to the top of the user band; their policy is timeshare.
    pub priority: u8,
    /// What it runs.
    pub program: Program,
    /// Argument of the first thread.
    pub argument: u64,
    /// What [`Trap::TaskInfo`](abi::Trap::TaskInfo) tells it.
    pub info: [u64; abi::space::INFO_WORDS],
}

impl TaskPlan {
    /// A task called `name` that runs `program` at the default priority, without any numbers.
    pub fn new(name: &str, program: Program) -> Self {
        let (priority, info) = (crate::band::DEFAULT, [0; abi::space::INFO_WORDS]);
        Self { name: name.into(), priority, program, argument: 0, info }
    }
}

/// What a thread's reports say of its task.
#[derive(Clone, Debug)]
pub(crate) struct TaskTag {
    pub id: TaskId,
    pub name: Arc<str>,
}

/// One thread of a task.
pub(super) struct Member {
    pub thread: Arc<Thread>,
    /// It shall end.
    pub doomed: Arc<AtomicBool>,
}

/// A task's threads, and how far it is on its way to its end.
#[derive(Default)]
pub(super) struct Threads {
    pub members: BTreeMap<ThreadId, Member>,
    /// Threads that ended before whoever made them could write them down.
    pub early: Vec<ThreadId>,
    /// Threads that there are or will be in a moment.
    pub count: usize,
    /// The task is being terminated.
    pub terminating: bool,
    /// Names and memory are gone.
    pub torn: bool,
    /// Somebody lets the rest go.
    pub finishing: bool,
    /// All is gone.
    pub finished: bool,
}

/// A task.
pub struct Task {
    pub(super) tag: TaskTag,
    pub(super) priority: u8,
    pub(super) program: Program,
    pub(super) info: [u64; abi::space::INFO_WORDS],
    pub(super) map: Map,
    pub(super) quota: Arc<Quota>,
    /// The port that stands for it, until it dies.
    pub(super) own_port: SpinLock<Option<KernelPort>>,
    pub(super) exception_port: SpinLock<Option<SendRight>>,
    pub(super) threads: SpinLock<Threads>,
    /// As in [`Threads`], to be read without its lock.
    pub(super) terminating: AtomicBool,
    pub(super) gone: WaitEvent,
    /// What the thread that ended last answered.
    pub(super) exit_code: AtomicU64,
    pub(super) _live: Live,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.tag.name, self.tag.id)
    }
}

impl Task {
    /// Its number.
    pub fn id(&self) -> TaskId {
        self.tag.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.tag.name
    }

    /// Its memory.
    pub fn map(&self) -> &Map {
        &self.map
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// Whether it is being terminated, or gone.
    pub fn is_terminating(&self) -> bool {
        self.terminating.load(Ordering::Acquire)
    }

    /// Whether nothing is left of it but this reference.
    pub fn is_gone(&self, kernel: &Kernel) -> bool {
        self.threads.lock(kernel).finished
    }

    /// Waits until it is gone; what its last thread answered.
    pub fn wait_gone(&self, kernel: &Kernel) -> u64 {
        loop {
            {
                let threads = self.threads.lock(kernel);
                if threads.finished || kernel.is_stopped() {
                    return self.exit_code.load(Ordering::Acquire);
                }
                kernel.assert_wait(self.gone, WaitMode::Uninterruptible, None);
            }
            kernel.block();
        }
    }
}

/// All tasks.
#[derive(Default)]
pub(crate) struct TaskTable {
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    pub last: TaskId,
    /// The thread that tells objects of their last senders' ends was made.
    pub has_reaper: bool,
    /// What user tasks run.
    pub program: Option<Program>,
    /// The kernel's I/O services, for [`Trap::HostSelf`](abi::Trap::HostSelf).
    pub host: Option<SendRight>,
}

impl Kernel {
    /// All tasks, in order of numbers.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.tasks.lock(self).tasks.values().cloned().collect()
    }

    /// Sets what the user tasks of this machine run: one image with all programs, each task being told which one it is
    /// ([`TaskPlan::info`]).
    pub fn set_user_program(&self, program: Program) {
        let before = self.tasks.lock(self).program.replace(program);
        drop(before);
    }

    /// What user tasks run, if there is something.
    pub fn user_program(&self) -> Option<Program> {
        self.tasks.lock(self).program.clone()
    }

    /// Sets what [`Trap::HostSelf`](abi::Trap::HostSelf) gives.
    pub fn set_host_port(&self, host: SendRight) {
        let before = self.tasks.lock(self).host.replace(host);
        drop(before);
    }
}
