//! The host port: where tasks find services.

use alloc::{sync::Arc, vec::Vec};

use abi::{io, message::word};
use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, Request},
    task::Task,
};

use super::result::{answer, refusal};
use crate::{
    IoKit,
    ioreturn::{IOResult, IOReturn},
    registry::SERVICE_PLANE,
    service::{ServiceRef, State},
};

/// The object behind the host port.
pub(super) struct HostPort {
    kit: IoKit,
}

impl HostPort {
    pub(super) fn new(kit: &IoKit) -> Self {
        Self { kit: kit.clone() }
    }

    /// The `index`-th registered service that is a `class`, in the order of the service plane.
    fn find(&self, class: &str, index: u32) -> IOResult<ServiceRef> {
        let root = self.kit.root().ok_or(IOReturn::NotReady)?;
        let fits = |service: &ServiceRef| {
            service.state().contains(State::REGISTERED)
                && !service.is_inactive()
                && service.class().is_a(class)
        };
        let index = usize::try_from(index).map_err(|_| IOReturn::NotFound)?;
        let all: Vec<ServiceRef> = root.below_in(&SERVICE_PLANE);
        all.into_iter().filter(fits).nth(index).ok_or(IOReturn::NotFound)
    }
}

impl KernelObject for HostPort {
    fn message(&self, _: &KernelRef, _: &Arc<Task>, request: Request) -> Option<Answer> {
        if request.id != io::GET_MATCHING_SERVICE {
            return Some(refusal(IOReturn::BadArgument));
        }
        let name = request.body.get(4..).filter(|name| name.len() <= io::NAME_MAX);
        let Some(class) = name.and_then(|name| core::str::from_utf8(name).ok()) else {
            return Some(refusal(IOReturn::BadArgument));
        };
        let found = self.find(class, word(&request.body, 0));
        let right = found.and_then(|service| self.kit.ports().service(&service).ok_or(IOReturn::Offline));
        Some(match right {
            Ok(right) => answer(Ok(()), Item::Port(right)),
            Err(why) => refusal(why),
        })
    }
}
