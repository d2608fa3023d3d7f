//! Answers, and results that come later.

use alloc::vec::Vec;

use abi::{KernReturn, io};
use mach::ipc::{Answer, Item, SendRight};

use crate::{
    io::{AsyncResult, ResultPort},
    ioreturn::{IOResult, IOReturn, code_of},
};

/// An answer of a result and something that goes with it.
pub(super) fn answer(result: IOResult, item: Item) -> Answer {
    Answer { items: Vec::from([item]), body: code_of(&result).to_le_bytes().to_vec() }
}

/// An answer of nothing but a result.
pub(super) fn plain(result: IOResult) -> Answer {
    Answer { items: Vec::new(), body: code_of(&result).to_le_bytes().to_vec() }
}

/// An answer that says why not.
pub(super) fn refusal(why: IOReturn) -> Answer {
    plain(Err(why))
}

/// A task's port for asynchronous results (UC2).
pub(super) struct TaskResults(pub SendRight);

impl ResultPort for TaskResults {
    fn send(&self, message: AsyncResult) -> IOResult {
        let arguments = message.arguments();
        let mut body = Vec::with_capacity(16 + 8 * arguments.len());
        body.extend(message.reference.to_le_bytes());
        body.extend(message.result.to_le_bytes());
        body.extend((arguments.len() as u32).to_le_bytes());
        body.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        self.0.send(io::ASYNC_RESULT, Vec::new(), body).map_err(|why| match why {
            KernReturn::SendTimedOut => IOReturn::SendTimedOut,
            KernReturn::ResourceShortage => IOReturn::NoMemory,
            _ => IOReturn::DeadPort,
        })
    }
}
