//! Exceptions: a thread did what cannot be done; somebody may put it right.

use super::user::UserThread;
use crate::ipc::SendRight;
use abi::exception::{self, Exception};
use abi::message::word;
use alloc::vec::Vec;
use trace::{Event, Kind};

impl UserThread {
    /// Tells the task's exception port, and waits for the answer. True: it was handled, and the thread goes on. Else the task has been terminated.
    pub fn raise(&self, kind: Exception, code: u64, address: u64) -> bool {
        let (kernel, task) = (self.kernel(), self.task());
        if self.is_over() {
            return false;
        }
        let event = Event::new(Kind::TaskException).object(task.id()).other(kind as u32);
        kernel.trace(event.arg(address).text(task.name()));
        let handled = self.ask(kind, code, address);
        if !handled && !self.is_over() {
            let name = task.name();
            kernel
                .log(format_args!("task {name}: {kind:?}, code {code:#x}, address {address:#x}: terminated"));
            task.terminate(kernel);
        }
        handled && !self.is_over()
    }

    fn ask(&self, kind: Exception, code: u64, address: u64) -> bool {
        let (kernel, task) = (self.kernel(), self.task());
        let port = task.exception_port.lock(kernel).as_ref().and_then(SendRight::duplicate);
        let own = task.own_port.lock(kernel).as_ref().map(|port| port.make_send());
        let (Some(port), Some(own)) = (port, own) else { return false };
        let mut body = Vec::with_capacity(exception::BYTES - exception::BODY);
        body.extend(kernel.thread_id().to_le_bytes());
        body.extend((kind as u32).to_le_bytes());
        body.extend(code.to_le_bytes());
        body.extend(address.to_le_bytes());
        match port.call(exception::RAISE, own, &body) {
            Ok((id, answer)) => id == exception::RAISE_REPLY && answer.len() >= 4 && word(&answer, 0) == 0,
            Err(_) => false,
        }
    }
}
