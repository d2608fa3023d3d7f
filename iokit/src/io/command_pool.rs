//! A pool of commands behind a gate (CP1).

use alloc::{sync::Arc, vec::Vec};

use mach::{WaitEvent, WaitMode};

use crate::{
    ioreturn::IOResult,
    service::ServiceRef,
    work_loop::{CommandGate, Gated, WorkLoop},
};

/// IOCommandPool: commands that threads take out and give back, last in, first out.
pub struct CommandPool<T> {
    work_loop: Arc<WorkLoop>,
    gate: Arc<CommandGate>,
    state: Gated<Pool<T>>,
    event: WaitEvent,
}

struct Pool<T> {
    commands: Vec<T>,
    /// Threads that wait for one.
    sleepers: u32,
}

impl<T> CommandPool<T> {
    /// An empty pool of `owner`, behind the gate of `work_loop`.
    ///
    /// # Errors
    /// What adding an event source says.
    pub fn new(owner: &ServiceRef, work_loop: &Arc<WorkLoop>) -> IOResult<Self> {
        let gate = CommandGate::new(owner);
        work_loop.add_event_source(&gate)?;
        Ok(Self {
            work_loop: work_loop.clone(),
            gate,
            state: Gated::new(work_loop, Pool { commands: Vec::new(), sleepers: 0 }),
            event: owner.kernel().new_event(),
        })
    }

    /// Takes the command that came last. If there is none: `None`, or with `block` waits for one. `None` too once the gate is gone.
    pub fn get_command(&self, block: bool) -> Option<T> {
        let taken = self.gate.run_action(|| {
            // A predicate loop: whoever comes to the gate before the woken sleeper may have taken the command.
            loop {
                let command = self.state.with(|pool| pool.commands.pop());
                if command.is_some() || !block {
                    return Ok(command);
                }
                self.state.with(|pool| pool.sleepers += 1);
                self.gate.command_sleep(self.event, WaitMode::Uninterruptible, None);
                self.state.with(|pool| pool.sleepers -= 1);
            }
        });
        taken.ok().flatten()
    }

    /// Gives a command back, and wakes one thread that waits.
    ///
    /// # Errors
    /// The command, if the gate is gone.
    pub fn return_command(&self, command: T) -> Result<(), T> {
        let mut given = Some(command);
        let done = self.gate.run_action(|| {
            let wanted = self.state.with(|pool| {
                pool.commands.extend(given.take());
                pool.sleepers != 0
            });
            if wanted {
                self.gate.command_wakeup(self.event, true);
            }
            Ok(())
        });
        match (done, given) {
            (Err(_), Some(command)) => Err(command),
            _ => Ok(()),
        }
    }

    /// Commands in the pool.
    pub fn available(&self) -> usize {
        self.work_loop.run_action(|| self.state.with(|pool| pool.commands.len()))
    }
}

impl<T> Drop for CommandPool<T> {
    fn drop(&mut self) {
        // It is this pool's own gate on this pool's own loop: there is nothing to refuse.
        let _ = self.work_loop.remove_event_source(&self.gate);
    }
}
