//! A completion that hears of success only.
//!
//! - Symptom: now and then, on a bad cable, everything that uses a stick stops for two seconds. Nothing is logged, no request fails.
//! - Cause: the completion looks for the one result that it hopes for, and leaves all others to the timeout. The controller has told at once what went wrong.
//! - Fix: a completion is told one of many results, and each of them ends the wait.

use super::one_by_one;
use crate::driver::common::{Frame, UsbHabits};
use crate::family::usb::{Data, Outcome, Pipe, Stage};
use crate::io::Completion;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::{WaitMode, WaitResult};

/// What the controller may take on top of a timeout until the transfer is back, machine ns.
const MARGIN: u64 = 100_000_000;

/// Begins a transfer of at most `limit` machine ns, and waits until a result has come that is `heard`, or must have.
fn transfer(
    me: &ServiceRef,
    frame: &Frame,
    pipe: &Pipe,
    data: Data,
    limit: u64,
    heard: fn(IOResult<u32>) -> bool,
) -> IOResult<u32> {
    let completion = Arc::new(Completion::new(me));
    let event = me.kernel().new_event();
    let (promise, work_loop) = (completion.clone(), frame.work_loop().clone());
    let done = Box::new(move |result| {
        if heard(result) {
            promise.complete(result);
            work_loop.wakeup_gate(event, false);
        }
    });
    let deadline = me.kernel().now().saturating_add(limit).saturating_add(MARGIN);
    pipe.submit(data, Some(limit), done)?;
    loop {
        if let Some(result) = completion.take() {
            return result;
        }
        if frame.work_loop().sleep_gate(event, WaitMode::Uninterruptible, Some(deadline))
            == WaitResult::TimedOut
        {
            return completion.take().unwrap_or(Err(IOReturn::Timeout));
        }
    }
}

/// Hears of success.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn exchange(&self, me: &ServiceRef, frame: &Frame, stages: &[Stage], limit: u64) -> IOResult<Outcome> {
        Ok(one_by_one(frame, stages, |pipe, data| {
            transfer(me, frame, pipe, data, limit, |result| result.is_ok())
        }))
    }
}

/// Hears of everything.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn exchange(&self, me: &ServiceRef, frame: &Frame, stages: &[Stage], limit: u64) -> IOResult<Outcome> {
        Ok(one_by_one(frame, stages, |pipe, data| transfer(me, frame, pipe, data, limit, |_| true)))
    }
}
