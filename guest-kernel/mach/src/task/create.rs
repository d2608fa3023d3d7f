//! How tasks and their threads begin.

use super::program::{Image, Program};
use super::table::{Member, TASKS_MAX, Task, TaskPlan, TaskTag, Threads};
use super::user::UserThread;
use super::{THREADS_MAX, hardware};
use crate::band;
use crate::counts::Resource;
use crate::ipc::{Answer, KernelObject, KernelPort, Quota, Request};
use crate::kernel::{Kernel, KernelRef};
use crate::policy::Policy;
use crate::seam::ThreadId;
use crate::spin_lock::SpinLock;
use crate::vm::Map;
use abi::KernReturn;
use abi::space::{STACK_BYTES, STACK_TOP, protection};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64};
use trace::{Event, Kind};

/// What a task's own port stands for.
struct TaskPort(Weak<Task>);

impl KernelObject for TaskPort {
    fn message(&self, _: &KernelRef, _: &Arc<Task>, _: Request) -> Option<Answer> {
        // A task is asked by traps that name it, not by messages.
        None
    }

    fn as_task(&self) -> Option<Arc<Task>> {
        self.0.upgrade()
    }
}

impl Kernel {
    /// Makes a task, and starts its first thread.
    ///
    /// # Errors
    /// ResourceShortage: no memory, or [`TASKS_MAX`] tasks already. NotSupported: an image, and no user mode. InvalidAddress,
    /// NoSpace: the image is wrong.
    pub fn create_task(self: &KernelRef, plan: TaskPlan) -> Result<Arc<Task>, KernReturn> {
        self.create_task_with(plan, |_| {})
    }

    /// [`Kernel::create_task`], with something to be done before its first thread runs.
    ///
    /// # Errors
    /// As there.
    pub fn create_task_with(
        self: &KernelRef,
        plan: TaskPlan,
        before: impl FnOnce(&Arc<Task>),
    ) -> Result<Arc<Task>, KernReturn> {
        if matches!(plan.program, Program::Image(_)) && !self.machine().has_user_mode() {
            return Err(KernReturn::NotSupported);
        }
        self.start_reaper()?;
        self.allocate("task").map_err(|_| KernReturn::ResourceShortage)?;
        let map = Map::new(self)?;
        let id = {
            let mut table = self.tasks.lock(self);
            table.last += 1;
            table.last
        };
        let argument = plan.argument;
        let task = Arc::new(Task {
            tag: TaskTag { id, name: plan.name.into() },
            priority: plan.priority.min(band::of(1).high),
            program: plan.program,
            info: plan.info,
            map,
            quota: Arc::new(Quota::default()),
            own_port: SpinLock::new(None),
            exception_port: SpinLock::new(None),
            threads: SpinLock::new(Threads::default()),
            terminating: AtomicBool::new(false),
            gone: self.new_event(),
            exit_code: AtomicU64::new(0),
            _live: self.counts.one(Resource::Task),
        });
        self.trace(Event::new(Kind::TaskStart).object(id).text(task.name()));
        let port = KernelPort::of(self, Arc::new(TaskPort(Arc::downgrade(&task))));
        *task.own_port.lock(self) = Some(port);
        self.ipc(|ipc| ipc.add_space(id));
        before(&task);
        let began = self.enter(&task).and_then(|()| task.load(self)).and_then(|entry| {
            let stack = if entry == 0 { 0 } else { STACK_TOP };
            task.start_thread(self, entry, stack, argument)
        });
        if let Err(why) = began {
            task.terminate(self);
            return Err(why);
        }
        Ok(task)
    }

    fn enter(&self, task: &Arc<Task>) -> Result<(), KernReturn> {
        let mut table = self.tasks.lock(self);
        if table.tasks.len() >= TASKS_MAX {
            return Err(KernReturn::ResourceShortage);
        }
        table.tasks.insert(task.id(), task.clone());
        Ok(())
    }

    fn start_reaper(self: &KernelRef) -> Result<(), KernReturn> {
        if core::mem::replace(&mut self.tasks.lock(self).has_reaper, true) {
            return Ok(());
        }
        let reap = |kernel: &KernelRef| kernel.reap_ports();
        if self.spawn("port reaper", band::KERNEL, Policy::Fixed, reap).is_err() {
            self.tasks.lock(self).has_reaper = false;
            return Err(KernReturn::ResourceShortage);
        }
        Ok(())
    }
}

impl Task {
    /// Puts the program into memory; where it begins.
    fn load(&self, kernel: &Kernel) -> Result<u64, KernReturn> {
        let Program::Image(image) = &self.program else { return Ok(0) };
        let Image { entry, pieces } = &**image;
        for piece in pieces {
            let all = protection::READ | protection::WRITE;
            self.map.allocate(kernel, Some(piece.address), piece.bytes, all)?;
            self.map.write(kernel, piece.address, piece.content)?;
            self.map.protect(kernel, piece.address, piece.bytes, piece.protection)?;
        }
        let stack = STACK_TOP - STACK_BYTES;
        self.map.allocate(kernel, Some(stack), STACK_BYTES, protection::READ | protection::WRITE)?;
        Ok(*entry)
    }

    /// Starts a thread; its number.
    ///
    /// # Errors
    /// Terminated. ResourceShortage: no memory, or [`THREADS_MAX`] threads already.
    pub(super) fn start_thread(
        self: &Arc<Self>,
        kernel: &KernelRef,
        entry: u64,
        stack: u64,
        argument: u64,
    ) -> Result<ThreadId, KernReturn> {
        {
            let mut threads = self.threads.lock(kernel);
            if threads.terminating {
                return Err(KernReturn::Terminated);
            }
            if threads.count >= THREADS_MAX {
                return Err(KernReturn::ResourceShortage);
            }
            threads.count += 1;
        }
        let doomed = Arc::new(AtomicBool::new(false));
        let (task, own) = (self.clone(), doomed.clone());
        let body = move |kernel: &KernelRef| {
            let user = UserThread::new(kernel, &task, own);
            let code = match &task.program {
                Program::Native(program) => user.run_native(&**program, entry, argument),
                Program::Image(_) => hardware::run(&user, entry, stack, argument),
            };
            drop(user);
            task.thread_ended(kernel, kernel.thread_id(), code);
        };
        let spawned = kernel.spawn_in(Some(&self.tag), self.name(), self.priority, Policy::Timeshare, body);
        let Ok(thread) = spawned else {
            self.thread_left(kernel);
            return Err(KernReturn::ResourceShortage);
        };
        let id = thread.id();
        let is_late = {
            let mut threads = self.threads.lock(kernel);
            if let Some(at) = threads.early.iter().position(|&early| early == id) {
                threads.early.swap_remove(at);
            } else {
                threads.members.insert(id, Member { thread: thread.clone(), doomed });
            }
            threads.terminating
        };
        if is_late {
            thread.abort(kernel);
        }
        Ok(id)
    }
}
