//! The user client of a driver whose clients have a place in it: taken when the connection begins, given back when it ends.

use crate::class::Class;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, UserClient};

/// What tells one such user client from another.
pub trait Place: Send + Sync + 'static {
    /// Its class.
    fn class(&self) -> &'static Class;

    /// The user client with registry id `client` takes its place in `driver`.
    fn take(&self, driver: &ServiceRef, client: u32) -> IOResult;

    /// It gives it back, if it has one; whoever sleeps for it wakes. Does not sleep.
    fn give_back(&self, driver: &ServiceRef, client: u32);

    /// An external method.
    fn call(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult;
}

/// A connection with a place in the driver.
pub struct Subscriber<P>(pub P);

impl<P: Place> Driver for Subscriber<P> {
    fn class(&self) -> &'static Class {
        self.0.class()
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        self.0.take(provider, me.id()).is_ok()
    }

    /// In the provider's gate. A termination from below does not close the client, so this is where its place goes.
    fn stop(&self, me: &ServiceRef, provider: &ServiceRef) {
        self.0.give_back(provider, me.id());
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl<P: Place> UserClient for Subscriber<P> {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        self.0.call(me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself. First its sleepers must go: a call in flight holds `finalize` back.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        if let Some(driver) = me.provider() {
            self.0.give_back(&driver, me.id());
        }
        me.terminate(Options::empty());
        Ok(())
    }
}
