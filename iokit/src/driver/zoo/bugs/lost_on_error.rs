//! A completion that is lost when a removal meets an error path.
//!
//! - Symptom: after a removal one client hangs for ever, and with it the stack.
//! - Cause: the error path takes the request off the list while it waits before the next attempt; the removal fails what is on the list.
//! - Fix: whoever has a request in hand completes it, also when the device went meanwhile.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Request;
use crate::ioreturn::IOReturn;
use alloc::sync::Arc;
use mach::WaitMode;

/// How long a card that does not answer is left alone, machine ns.
const BACK_OFF: u64 = 100_000;

/// Starts the card. False: it does not answer; the request is on no list, the card was left alone for a while.
fn start_or_back_off(zoo: &Zoo, request: &Request) -> bool {
    zoo.start(request);
    if zoo.card().answers() {
        return true;
    }
    zoo.queue().with(|q| q.running = None);
    let until = zoo.kernel().now() + BACK_OFF;
    zoo.frame().gate().command_sleep(zoo.kernel().new_event(), WaitMode::Uninterruptible, Some(until));
    false
}

/// Forgets the request if the device went while it slept.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn start(&self, zoo: &Zoo, request: &Arc<Request>) -> bool {
        if start_or_back_off(zoo, request) {
            return true;
        }
        if zoo.frame().closed().is_some() {
            return false;
        }
        zoo.queue().with(|q| q.waiting.push_front(request.clone()));
        false
    }
}

/// Completes it.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn start(&self, zoo: &Zoo, request: &Arc<Request>) -> bool {
        if start_or_back_off(zoo, request) {
            return true;
        }
        if zoo.frame().closed().is_some() {
            zoo.complete(request, Err(IOReturn::Offline));
            return false;
        }
        zoo.queue().with(|q| q.waiting.push_front(request.clone()));
        false
    }
}
