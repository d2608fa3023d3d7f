//! `showallstacks`: what every thread is doing.

use crate::kernel::{Kernel, Scheduler};
use crate::policy::Policy;
use crate::seam::ContextId;
use crate::thread::{RunState, Thread};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;

/// Return addresses of a thread that are shown.
const FRAMES: usize = 32;

impl Kernel {
    /// The kernel's threads, then those of each task below its name. Every thread with its state, priority and policy, what it waits for, and which locks it has (of those that belong to a class, gates
    /// among them: a run-action in progress), a line each; below it, where the machine can give one, the backtrace of the calling thread and of each that no CPU runs. Legal at
    /// interrupt level, where the calling thread is the interrupted one.
    pub fn show_all_threads(&self) -> String {
        let mut text = String::new();
        let sched = self.sched_lock();
        let mut threads: Vec<_> = sched.threads.values().collect();
        // Stable: within a task they stay in order of numbers.
        threads.sort_by_key(|thread| thread.task());
        let mut task = None;
        for thread in threads {
            if let Some(tag) = thread.task.as_ref().filter(|tag| task != Some(tag.id)) {
                task = Some(tag.id);
                // Writing to a string does not fail.
                _ = writeln!(text, "task {}#{}", tag.name, tag.id);
            }
            self.show_thread(&sched, thread, &mut text);
            self.show_backtrace(thread, &mut text);
        }
        text
    }

    fn show_thread(&self, sched: &Scheduler, thread: &Thread, text: &mut String) {
        let t = self.lock_raw(&thread.sched);
        let (state, priority, base, policy) = (t.state, t.priority, t.base, t.policy.name());
        // Writing to a string does not fail.
        _ = write!(text, "{thread:?} {state:?} priority {priority} (base {base}, {policy})");
        if let Policy::RealTime { deadline } = t.policy {
            _ = write!(text, ", due at {deadline} ns");
        }
        if let Some(until) = t.demoted_until {
            _ = write!(text, ", demoted until {until} ns (S6)");
        }
        if state == RunState::Running {
            _ = write!(text, " on CPU {}", t.last_cpu);
        }
        if thread.is_in_user() {
            text.push_str(" in user code");
        }
        if let Some(event) = t.wait {
            _ = write!(text, ", waits for event {:#x} ({:?})", event.0, t.mode);
        }
        let (wants_lock, shared) = (t.lock.is_some(), if t.wants_shared { "to share " } else { "" });
        drop(t);
        match self.next_in_chain(sched, thread) {
            Some(owner) => _ = write!(text, ", waits for a lock {shared}of {owner:?}"),
            None if wants_lock => _ = write!(text, ", waits for a lock that readers have"),
            None => {}
        }
        for (n, class) in self.held_classes(thread.id()).iter().enumerate() {
            _ = write!(text, "{}{class}", if n == 0 { ", has " } else { " inside of " });
        }
        text.push('\n');
    }

    /// The context of a thread that no CPU runs, or is still leaving.
    fn resting_context(&self, thread: &Thread) -> Option<ContextId> {
        let rests = matches!(self.lock_raw(&thread.sched).state, RunState::Waiting | RunState::Runnable);
        let left = rests && !thread.on_cpu.load(Ordering::Acquire);
        if left { thread.context.get() } else { None }
    }

    /// Under the scheduler's lock, so that nobody goes on meanwhile who does not run.
    fn show_backtrace(&self, thread: &Thread, text: &mut String) {
        let mut frames = [0; FRAMES];
        let found = match self.resting_context(thread) {
            _ if thread.id() == self.thread_id() => self.machine().backtrace(&mut frames),
            Some(context) => self.machine().backtrace_of(context, &mut frames),
            None => 0,
        };
        let found = found.min(FRAMES);
        for frame in &frames[..found] {
            _ = writeln!(text, "    {frame:#018x}");
        }
    }
}
