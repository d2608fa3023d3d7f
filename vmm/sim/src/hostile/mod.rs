//! Hostile tasks: bytes decide what two user tasks ask of a whole simulated kernel, and when they die.
//!
//! Half of all byte strings run against a bare kernel, where the two tasks can pass each other rights; the other half against IOKit with a disk
//! and a data-acquisition card. Whatever they do, the kernel must go on, and nothing of them may be left.

mod acts;
mod bytes;
mod exchange;

use std::sync::{Arc, Mutex, PoisonError};

use devices::fault::plan::Plan;
use iokit::IoKit;
use mach::{
    KernelRef, Policy, band,
    ipc::KernelPort,
    task::{Program, Task, TaskPlan, UserThread},
};
use trace::{Event, Kind};

use self::{acts::Acts, bytes::Bytes, exchange::Exchange};
use crate::{Ended, Limits, Outcome, Sim, StartError};

/// Machine with something to call.
const PLAN: &str =
    "machine cpus=2 memory=64M\nplug disk0 virtio-blk slot=1 size=1M\nplug daq0 daq slot=2\nrun for=4ms\n";
/// Points that a run may pass: one that a task keeps busy for longer is no use.
const POINTS: u64 = 20_000_000;
/// Longest life of a task, in ns of machine time.
const LIFE: u64 = 2_000_000;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How the run ended.
    pub outcome: Outcome,
    /// What is left of the tasks and of IOKit's classes: how many of what. Empty if all is well.
    pub left: Vec<(String, u64)>,
}

impl Report {
    /// Whether the kernel came to its end, and nothing is left.
    pub fn is_sound(&self) -> bool {
        self.outcome.ended == Ended::Done && self.left.is_empty() && self.outcome.kernel_references == 0
    }
}

/// Runs the tasks that `bytes` describe. Every string of bytes is one.
///
/// # Errors
/// See [`StartError`].
pub fn task(bytes: &[u8]) -> Result<Report, StartError> {
    let source = Bytes::new(bytes);
    let (mode, seed) = (source.next(), u64::from(source.next()));
    let script = Script { bytes: bytes.into(), lives: [source.next(), source.next()].map(life) };
    match mode % 2 {
        0 => bare(script, seed),
        _ => with_devices(script, seed),
    }
}

fn life(byte: u8) -> u64 {
    u64::from(byte) * LIFE / 255
}

/// What the two tasks do, and for how long.
#[derive(Clone)]
struct Script {
    bytes: Arc<[u8]>,
    lives: [u64; 2],
}

impl Script {
    /// Starts task `number`: its acts are every other byte.
    fn start(&self, kernel: &KernelRef, number: usize) -> Option<Arc<Task>> {
        let source = Arc::new(Bytes::every_other(&self.bytes, number));
        let run = move |user: &UserThread, _: u64, _: u64| {
            Acts::new(user, &source).run();
            0
        };
        kernel.create_task(TaskPlan::new("hostile", Program::native(run))).ok()
    }

    /// Runs both to their ends.
    fn run(&self, kernel: &KernelRef) {
        let born = kernel.now();
        let tasks = [0, 1].map(|number| self.start(kernel, number));
        let mut order = [0, 1];
        order.sort_by_key(|&number| self.lives[number]);
        for number in order {
            kernel.sleep_until(born + self.lives[number]);
            if let Some(task) = &tasks[number] {
                task.terminate(kernel);
            }
        }
        for task in tasks.into_iter().flatten() {
            task.wait_gone(kernel);
        }
    }
}

fn limits() -> Limits {
    Limits { points: POINTS, ..Limits::default() }
}

fn bare(script: Script, seed: u64) -> Result<Report, StartError> {
    let left = Arc::new(Mutex::new(Vec::new()));
    let found = left.clone();
    let body = move |kernel: &KernelRef| {
        let exchange = Arc::new(Exchange::default());
        let port = KernelPort::of(kernel, exchange.clone());
        kernel.set_host_port(port.make_send());
        script.run(kernel);
        exchange.clear();
        drop(port);
        // What the reaper of ports still has goes in a moment.
        let is_left = || kernel.resources().iter().any(|&(_, count)| count != 0);
        (0..100).take_while(|_| is_left()).for_each(|_| kernel.delay(10_000));
        let kept = kernel.resources().into_iter().filter(|&(_, count)| count != 0);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(kept.map(|(name, count)| (name.to_owned(), u64::from(count))));
    };
    let outcome = Sim::builder().cpus(2).seed(seed).limits(limits()).run_kernel(body, &mut |_| {})?;
    let left = std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Report { outcome, left })
}

fn with_devices(script: Script, seed: u64) -> Result<Report, StartError> {
    let plan = Plan::parse("hostile.plan", PLAN).expect("the plan is good");
    let drivers = move |kit: &IoKit| {
        kit.open_to_tasks();
        let body = move |kernel: &KernelRef| {
            // The devices are there by then.
            kernel.delay(1_000_000);
            script.run(kernel);
        };
        // Without memory for the thread nothing happens, and nothing is left.
        _ = kit.kernel().spawn("hostile", band::DEFAULT, Policy::Fixed, body);
    };
    let mut left = Vec::new();
    let mut sink = |event: &Event| {
        if event.kind == Kind::ClassCount && event.arg != 0 {
            left.push((event.text_str().to_owned(), event.arg));
        }
    };
    let sim = Sim::builder().seed(seed).limits(limits());
    let outcome = crate::run::run_machine(sim, &plan, drivers, &mut sink)?;
    Ok(Report { outcome, left })
}
