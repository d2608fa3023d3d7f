//! A request that its timeout completes, and its aborted transfer once more.
//!
//! - Symptom: after a slow moment of a stick, a completion runs for a request that has been freed.
//! - Cause: the timeout completes the request and begins to abort its transfer; but an aborted transfer comes back, too, and its completion completes the request.
//! - Fix: begin to abort, and let the transfer complete its request: whatever is on the ring comes back, in bounded time.

use super::one_by_one;
use crate::driver::common::{Frame, UsbHabits};
use crate::family::usb::{Data, Outcome, Pipe, Stage};
use crate::io::Completion;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::{WaitMode, WaitResult};

/// How long a transfer may take, machine ns.
const PATIENCE: u64 = 5_000_000;

/// Begins a transfer and waits; `late` is called when its time is over.
fn transfer(
    me: &ServiceRef,
    frame: &Frame,
    pipe: &Pipe,
    data: Data,
    late: impl Fn(&Completion<IOResult<u32>>),
) -> IOResult<u32> {
    let completion = Arc::new(Completion::new(me));
    let event = me.kernel().new_event();
    let (promise, work_loop) = (completion.clone(), frame.work_loop().clone());
    let done = Box::new(move |result| {
        promise.complete(result);
        work_loop.wakeup_gate(event, false);
    });
    pipe.submit(data, None, done)?;
    let mut deadline = Some(me.kernel().now().saturating_add(PATIENCE));
    loop {
        if let Some(result) = completion.take() {
            return if result == Err(IOReturn::Aborted) { Err(IOReturn::Timeout) } else { result };
        }
        let woken = frame.work_loop().sleep_gate(event, WaitMode::Uninterruptible, deadline);
        if woken == WaitResult::TimedOut && !completion.is_done() {
            deadline = None;
            late(&completion);
            pipe.abort();
        }
    }
}

/// The timeout completes the request.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn exchange(&self, me: &ServiceRef, frame: &Frame, stages: &[Stage], _: u64) -> IOResult<Outcome> {
        let late = |completion: &Completion<IOResult<u32>>| {
            completion.complete(Err(IOReturn::Timeout));
        };
        Ok(one_by_one(frame, stages, |pipe, data| transfer(me, frame, pipe, data, late)))
    }
}

/// The transfer does, when it comes back.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn exchange(&self, me: &ServiceRef, frame: &Frame, stages: &[Stage], _: u64) -> IOResult<Outcome> {
        Ok(one_by_one(frame, stages, |pipe, data| transfer(me, frame, pipe, data, |_| {})))
    }
}
