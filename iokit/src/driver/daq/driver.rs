//! The driver: the common life, with these parts.

use super::DAQ_DRIVER;
use super::client::DaqUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life, card};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;

/// A data-acquisition card.
pub struct Daq;

/// Its driver.
pub type DaqDriver = Life<Daq>;

impl Kind for Daq {
    type Parts = Parts;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        &DAQ_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider, card(provider)?)
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(DaqUserClient::new(me.kernel())))
    }
}
