//! A specimen: the common life, but for the habits.

use super::ZOO_DRIVER;
use super::client::ZooUserClient;
use super::habits::Habits;
use super::parts::Zoo;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life, card};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The educational device, as the habits of a specimen have it.
pub struct ZooCard(pub(super) Arc<dyn Habits>);

/// Its driver.
pub type ZooDriver = Life<ZooCard>;

impl Kind for ZooCard {
    type Parts = Zoo;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        &ZOO_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Zoo> {
        Zoo::new(me, provider, card(provider)?, self.0.clone())
    }

    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, parts: &Holder<Zoo>) {
        if let Ok(zoo) = parts.get() {
            self.0.will_terminate(&zoo, me, provider);
        }
    }

    fn closes(&self) -> bool {
        self.0.closes()
    }

    fn stopping(&self, provider: &ServiceRef, parts: &Holder<Zoo>) {
        if let Ok(zoo) = parts.get() {
            self.0.stop(&zoo, provider);
        }
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(ZooUserClient))
    }
}
