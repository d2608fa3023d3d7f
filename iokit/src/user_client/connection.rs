//! The client's end of a user client.

use core::sync::atomic::{AtomicBool, Ordering};

use trace::Kind;

use super::Arguments;
use crate::{
    ioreturn::{IOResult, IOReturn, code_of},
    service::{Service, ServiceRef},
};

/// An open connection (`io_connect_t`). Threads of one client may share it.
///
/// Dropping it without [`Connection::close`] is the death of the client's process.
#[derive(Debug)]
pub struct Connection {
    client: ServiceRef,
    closed: AtomicBool,
}

impl Connection {
    pub(crate) fn new(client: ServiceRef) -> Self {
        Self { client, closed: AtomicBool::new(false) }
    }

    /// The user client's registry id.
    pub fn id(&self) -> u32 {
        self.client.id()
    }

    /// The user client itself, for tracing.
    pub fn service(&self) -> &Service {
        &self.client
    }

    /// Whether calls would fail with DeadPort.
    pub fn is_dead(&self) -> bool {
        self.client.port().is_dead()
    }

    /// Calls external method `selector` on the calling thread. DeadPort once the user client was terminated or closed.
    pub fn call(&self, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        if self.closed.load(Ordering::Acquire) || !self.client.port().enter() {
            return Err(IOReturn::DeadPort);
        }
        self.client.trace(Kind::CallEnter, None, u64::from(selector));
        let result = match self.client.driver().as_user_client() {
            Some(driver) => driver.external_method(&self.client, selector, arguments),
            None => Err(IOReturn::Unsupported),
        };
        self.client.trace(Kind::CallExit, None, u64::from(code_of(&result)));
        if self.client.port().exit() {
            self.client.schedule_finalize(true);
        }
        result
    }

    /// The user client.
    pub(crate) fn client(&self) -> &ServiceRef {
        &self.client
    }

    /// `IOServiceClose`: `client_close`, once, unless the port is dead already.
    pub fn close(self) -> IOResult {
        self.close_once()
    }

    /// [`Connection::close`] of a connection that others know too: their calls are answered with DeadPort from now on.
    pub(crate) fn close_once(&self) -> IOResult {
        self.end(|client| match client.driver().as_user_client() {
            Some(driver) => driver.client_close(client),
            None => Err(IOReturn::Unsupported),
        })
    }

    /// Whether a thread is inside a call.
    pub fn is_in_call(&self) -> bool {
        self.client.port().calls() != 0
    }

    /// The death of the client's process, while its threads may be inside calls: they end there, and make no others.
    pub fn kill(&self) -> IOResult {
        self.end(Self::died)
    }

    fn died(client: &ServiceRef) -> IOResult {
        match client.driver().as_user_client() {
            Some(driver) => driver.client_died(client),
            None => Err(IOReturn::Unsupported),
        }
    }

    fn end(&self, how: impl FnOnce(&ServiceRef) -> IOResult) -> IOResult {
        if self.closed.swap(true, Ordering::AcqRel) || !self.client.port().destroy() {
            return Err(IOReturn::DeadPort);
        }
        self.client.trace(Kind::PortDead, None, 0);
        how(&self.client)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.end(Self::died);
    }
}
