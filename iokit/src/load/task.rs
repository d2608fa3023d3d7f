//! A client that is a user task: the kernel starts it, books what becomes of its calls, and sees it end.

use super::Load;
use super::exercise::{Exercise, Outcome};
use super::session::Session;
use crate::IoKit;
use crate::ioreturn::{IOResult, IOReturn};
use crate::ports::Watcher;
use crate::service::ServiceRef;
use abi::KernReturn;
use abi::start::{info, program};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::seam::ThreadId;
use mach::task::{Task, TaskPlan};
use mach::{KernelRef, Policy, SpinLock, band};

/// Threads of a task whose last request is remembered. The programs of workloads have 16 at the most.
const THREADS_MAX: usize = 256;

/// One task of a session.
pub(super) struct TaskClient {
    kernel: KernelRef,
    slot: u32,
    number: u32,
    /// Until the task is gone.
    session: SpinLock<Option<Arc<Session>>>,
    task: SpinLock<Option<Arc<Task>>>,
    /// Calls in flight.
    calls: AtomicU32,
    /// The request of each thread that was done last: what it gave may turn out to be wrong.
    last: SpinLock<BTreeMap<ThreadId, u64>>,
}

impl TaskClient {
    fn session(&self) -> Option<Arc<Session>> {
        self.session.lock(&self.kernel).clone()
    }

    /// The task dies, whatever its threads are doing. False: there is none.
    fn kill(&self) -> bool {
        let task = self.task.lock(&self.kernel).clone();
        let Some(task) = task else { return false };
        task.terminate(&self.kernel)
    }

    fn lives(&self) -> bool {
        self.task.lock(&self.kernel).as_ref().is_some_and(|task| !task.is_terminating())
    }
}

impl Watcher for TaskClient {
    fn call_begins(&self, client: u32) -> u64 {
        self.calls.fetch_add(1, Ordering::AcqRel);
        self.session().map_or(0, |session| session.issue(self.number, client))
    }

    fn call_ended(&self, client: u32, id: u64, result: &IOResult, dying: bool) {
        self.calls.fetch_sub(1, Ordering::AcqRel);
        let outcome = match *result {
            // Its thread was told to give up waiting.
            Err(IOReturn::Aborted) if dying => Outcome::Offline,
            result => Outcome::of(result, true),
        };
        if matches!(outcome, Outcome::Done | Outcome::Overrun(_)) {
            let mut last = self.last.lock(&self.kernel);
            if last.len() >= THREADS_MAX {
                last.clear();
            }
            last.insert(self.kernel.thread_id(), id);
        }
        if let Some(session) = self.session() {
            session.book(client, id, outcome);
        }
    }

    fn data_was_wrong(&self, client: u32) {
        let Some(session) = self.session() else { return };
        let last = self.last.lock(&self.kernel).remove(&self.kernel.thread_id());
        match last {
            Some(id) => session.found_wrong(client, id),
            // It was not a request that gave it.
            None => session.book(client, session.issue(self.number, client), Outcome::Corrupt),
        }
    }
}

/// Starts client `number` as a task, on a thread that waits for its end.
pub(super) fn spawn(session: &Arc<Session>, service: &ServiceRef, number: u32) {
    let (own, kit, slot) = (session.clone(), service.kit().clone(), service.slot());
    let body = move |_: &KernelRef| run(&kit, own, slot, number);
    if session.kernel().spawn("client", band::DEFAULT, Policy::Timeshare, body).is_err() {
        session.kernel().log(format_args!("load: no memory for client {number}"));
    }
}

fn run(kit: &IoKit, session: Arc<Session>, slot: u32, number: u32) {
    let client = Arc::new(TaskClient {
        kernel: kit.kernel().clone(),
        slot,
        number,
        session: SpinLock::new(Some(session.clone())),
        task: SpinLock::new(None),
        calls: AtomicU32::new(0),
        last: SpinLock::new(BTreeMap::new()),
    });
    match start(kit, &session, &client) {
        Err(why) => kit.kernel().log(format_args!("load: client {number} is no task: {why}")),
        Ok(task) => {
            task.wait_gone(kit.kernel());
            kit.watch_task(task.id(), None);
        }
    }
    session.load().task_ended(&client);
    // No call is in flight any more, so nobody else has the session for this client.
    let own = client.session.lock(kit.kernel()).take();
    drop((own, client));
    session.leave();
}

fn start(kit: &IoKit, session: &Arc<Session>, client: &Arc<TaskClient>) -> Result<Arc<Task>, KernReturn> {
    let kernel = kit.kernel();
    let (name, number) = match session.exercise() {
        Exercise::Disk => ("block tester", program::BLOCK_TESTER),
        Exercise::Daq => ("daq reader", program::DAQ_READER),
        Exercise::Edu | Exercise::Hid | Exercise::Serial | Exercise::Node | Exercise::Camera => {
            return Err(KernReturn::NotSupported);
        }
    };
    let program = kernel.user_program().ok_or(KernReturn::NotSupported)?;
    let mut plan = TaskPlan::new(&format!("{name} {}.{}", client.slot, client.number), program);
    let facts = [
        (info::PROGRAM, number),
        (info::SLOT, client.slot.into()),
        (info::CLIENT, client.number.into()),
        (info::CLIENTS, session.clients().into()),
        (info::DEPTH, session.depth().into()),
        (info::SEED, kit.args().seed),
        (info::ROUNDS, 0),
    ];
    for (place, value) in facts {
        if let Some(word) = usize::try_from(place).ok().and_then(|place| plan.info.get_mut(place)) {
            *word = value;
        }
    }
    let watcher = client.clone();
    let before = move |task: &Arc<Task>| kit.watch_task(task.id(), Some(watcher));
    let task = kernel.create_task_with(plan, before)?;
    *client.task.lock(kernel) = Some(task.clone());
    session.load().tasks.lock(kernel).push(client.clone());
    if session.is_stopping() {
        // The end of the run looked for tasks before this one could be found.
        client.kill();
    }
    Ok(task)
}

impl Load {
    fn task_ended(&self, client: &Arc<TaskClient>) {
        self.tasks.lock(&self.kernel).retain(|other| !Arc::ptr_eq(other, client));
        let task = client.task.lock(&self.kernel).take();
        drop(task);
    }

    /// The tasks that are there now.
    fn task_clients(&self) -> Vec<Arc<TaskClient>> {
        self.tasks.lock(&self.kernel).clone()
    }

    /// The run ends: tasks do not know that, and are terminated.
    pub(super) fn end_tasks(&self) {
        for client in self.task_clients() {
            client.kill();
        }
    }

    /// The tasks of `slot` are terminated.
    pub(super) fn end_tasks_of(&self, slot: u32) {
        self.task_clients().iter().filter(|client| client.slot == slot).for_each(|client| _ = client.kill());
    }

    /// The first task of `slot` that is inside a call dies; if none is, the first that lives.
    pub(super) fn kill_task(&self, slot: u32) {
        let clients = self.task_clients();
        let living = || clients.iter().filter(|client| client.slot == slot && client.lives());
        let inside = |client: &&Arc<TaskClient>| client.calls.load(Ordering::Acquire) != 0;
        if let Some(victim) = living().find(inside).or_else(|| living().next()) {
            victim.kill();
        }
    }
}
