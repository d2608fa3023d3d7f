//! Results that come after the call has returned (UC2).

use alloc::{collections::VecDeque, sync::Arc};
use core::fmt;

use mach::{KernelRef, SpinLock, WaitEvent, WaitMode, WaitResult};

use crate::ioreturn::{IOResult, IOReturn, code_of};

/// Most arguments of one asynchronous result.
pub const ARGUMENTS_MAX: usize = 16;

/// One asynchronous result, as the client receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncResult {
    /// What the client gave with the call to know the answer by.
    pub reference: u64,
    /// The IOReturn's number, 0 = success.
    pub result: u32,
    arguments: [u64; ARGUMENTS_MAX],
    count: usize,
}

impl AsyncResult {
    /// The arguments.
    pub fn arguments(&self) -> &[u64] {
        &self.arguments[..self.count]
    }
}

/// Where results can be sent. Never blocks.
pub trait ResultPort: Send + Sync {
    /// Queues `message`.
    ///
    /// # Errors
    /// SendTimedOut if the queue is full, DeadPort if nobody will receive.
    fn send(&self, message: AsyncResult) -> IOResult;
}

/// What an asynchronous call leaves with the driver: where its result goes.
#[derive(Clone, Default)]
pub struct AsyncReference {
    /// `None`: the client did not ask to be told.
    pub port: Option<Arc<dyn ResultPort>>,
    /// What the client knows the answer by.
    pub reference: u64,
}

impl fmt::Debug for AsyncReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncReference({:#x}, port: {})", self.reference, self.port.is_some())
    }
}

impl AsyncReference {
    /// Sends `result` with `arguments` to the client (UC2). Without a port that is a success.
    ///
    /// # Errors
    /// MessageTooLarge for more than [`ARGUMENTS_MAX`] arguments; what the port says: SendTimedOut if its queue is full.
    pub fn send_result(&self, result: IOResult, arguments: &[u64]) -> IOResult {
        if arguments.len() > ARGUMENTS_MAX {
            return Err(IOReturn::MessageTooLarge);
        }
        let Some(port) = &self.port else { return Ok(()) };
        let mut padded = [0; ARGUMENTS_MAX];
        padded[..arguments.len()].copy_from_slice(arguments);
        port.send(AsyncResult {
            reference: self.reference,
            result: code_of(&result),
            arguments: padded,
            count: arguments.len(),
        })
    }
}

/// A bounded queue of results with a client that waits for them.
pub struct NotificationPort {
    kernel: KernelRef,
    queue: SpinLock<Queue>,
    limit: usize,
    event: WaitEvent,
}

struct Queue {
    messages: VecDeque<AsyncResult>,
    dead: bool,
}

impl NotificationPort {
    /// Messages that a port may hold, whatever is asked for (MACH_PORT_QLIMIT_MAX).
    pub const LIMIT_MAX: usize = 1024;
    /// Messages that a port holds if nobody says otherwise (MACH_PORT_QLIMIT_DEFAULT).
    pub const LIMIT_DEFAULT: usize = 5;

    /// A port that queues up to `limit` messages.
    pub fn new(kernel: &KernelRef, limit: usize) -> Arc<Self> {
        let limit = limit.min(Self::LIMIT_MAX);
        Arc::new(Self {
            kernel: kernel.clone(),
            queue: SpinLock::new(Queue { messages: VecDeque::with_capacity(limit), dead: false }),
            limit,
            event: kernel.new_event(),
        })
    }

    /// The oldest message, if there is one.
    pub fn try_receive(&self) -> Option<AsyncResult> {
        self.queue.lock(&self.kernel).messages.pop_front()
    }

    /// The oldest message; waits for one until machine time `deadline` (ns), if there is one.
    ///
    /// # Errors
    /// Timeout; Aborted if the wait was interrupted; DeadPort.
    pub fn receive(&self, mode: WaitMode, deadline: Option<u64>) -> IOResult<AsyncResult> {
        loop {
            {
                let mut queue = self.queue.lock(&self.kernel);
                if let Some(message) = queue.messages.pop_front() {
                    return Ok(message);
                }
                if queue.dead {
                    return Err(IOReturn::DeadPort);
                }
                self.kernel.assert_wait(self.event, mode, deadline);
            }
            match self.kernel.block() {
                WaitResult::TimedOut => return self.try_receive().ok_or(IOReturn::Timeout),
                WaitResult::Interrupted => return self.try_receive().ok_or(IOReturn::Aborted),
                _ => {}
            }
        }
    }

    /// Nobody receives any more: what is queued is dropped, what is sent fails.
    pub fn destroy(&self) {
        let gone = {
            let mut queue = self.queue.lock(&self.kernel);
            queue.dead = true;
            core::mem::take(&mut queue.messages)
        };
        drop(gone);
        self.kernel.wakeup(self.event);
    }
}

impl ResultPort for NotificationPort {
    fn send(&self, message: AsyncResult) -> IOResult {
        {
            let mut queue = self.queue.lock(&self.kernel);
            if queue.dead {
                return Err(IOReturn::DeadPort);
            }
            if queue.messages.len() >= self.limit {
                return Err(IOReturn::SendTimedOut);
            }
            queue.messages.push_back(message);
        }
        self.kernel.wakeup_one(self.event);
        Ok(())
    }
}
