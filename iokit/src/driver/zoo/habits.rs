//! The places at which specimens differ.

use super::parts::Zoo;
use super::request::{Output, Request};
use crate::driver::common::Parts;
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;
use mach::WaitMode;

/// What a specimen of the zoo does in its own way. Every default is right.
pub trait Habits: Send + Sync + 'static {
    /// After the event sources of driver `me` were attached.
    fn begin(&self, _zoo: &Zoo, _me: &ServiceRef) -> IOResult {
        Ok(())
    }

    /// How long the card may take before the watchdog looks, machine ns.
    fn patience(&self) -> u64 {
        1_000_000_000
    }

    /// At primary interrupt level: whether the interrupt is the card's.
    fn filter(&self, zoo: &Zoo) -> bool {
        zoo.acknowledge()
    }

    /// A client's request from beginning to end, on the client's thread, without the gate.
    fn transact(&self, zoo: &Zoo, me: &ServiceRef, request: &Arc<Request>) -> IOResult<Output> {
        zoo.frame().call(me, || {
            zoo.enqueue(request);
            zoo.wait(request)
        })
    }

    /// Sleeps until somebody wakes the request's thread. Gated.
    fn sleep(&self, zoo: &Zoo, request: &Request) {
        zoo.frame().gate().command_sleep(request.event, WaitMode::Uninterruptible, None);
    }

    /// The request's thread was woken. Gated.
    fn woken(&self, _zoo: &Zoo) {}

    /// A client's liveness check, on the client's thread, without the gate.
    fn liveness(&self, zoo: &Zoo, me: &ServiceRef, value: u32) -> IOResult<u32> {
        zoo.frame().call(me, || zoo.card().liveness(value))
    }

    /// Starts the card on a request. False: it was not started; the request is somewhere else now. Gated.
    fn start(&self, zoo: &Zoo, request: &Arc<Request>) -> bool {
        zoo.start(request);
        true
    }

    /// The card has done the running request. Gated.
    fn done(&self, zoo: &Zoo, output: Output) {
        zoo.finish(Ok(output));
    }

    /// The watchdog fired. Gated.
    fn watch(&self, zoo: &Zoo) {
        zoo.give_up_if_late();
    }

    /// The client's thread lets go of its request, which came back with `result`.
    fn let_go(&self, request: &Request, _result: &IOResult<Output>) {
        request.object.release();
    }

    /// The device goes: nothing that was asked for may stay. Gated.
    fn fail(&self, zoo: &Zoo) {
        zoo.fail_all();
    }

    /// `willTerminate`.
    fn will_terminate(&self, zoo: &Zoo, _me: &ServiceRef, _provider: &ServiceRef) {
        zoo.go_offline();
    }

    /// `didTerminate`: whether the driver closes its provider, now or behind the last call in flight.
    fn closes(&self) -> bool {
        true
    }

    /// `stop`, before everything is taken apart.
    fn stop(&self, _zoo: &Zoo, _provider: &ServiceRef) {}
}
