//! User clients: services that stand for an open connection.
//!
//! A client thread calls through a [`Connection`]. Termination by the provider destroys the port in phase 1, so
//! that later calls fail with [`IOReturn::DeadPort`]; calls that are in flight then hold back `finalize`, and with it all
//! that follows. `client_close` and `client_died` are not called in that case: cleanup belongs in `stop`.

mod connection;
mod dispatch;
mod port;

use alloc::{boxed::Box, sync::Arc};

use mach::{ipc::SendRight, vm::SharedMemory};

pub use connection::Connection;
pub use dispatch::{Arguments, Count, Method, dispatch};
pub(crate) use port::UserPort;

use crate::{
    ioreturn::{IOResult, IOReturn},
    service::{Driver, Service, ServiceBuilder, ServiceRef, State},
};

/// What a user client class overrides beyond [`Driver`].
#[expect(unused_variables, reason = "defaults ignore what they are told")]
pub trait UserClient: Driver {
    /// A call from the client's thread; usually ends in [`dispatch`]. May run in any number of threads at once, ungated.
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult;

    /// `IOServiceClose`, once. The default neither supports it nor terminates.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        Err(IOReturn::Unsupported)
    }

    /// Memory of kind `kind` that the user client shares with the task that asks.
    ///
    /// # Errors
    /// Unsupported: there is none of that kind.
    fn client_memory(&self, me: &ServiceRef, kind: u32) -> IOResult<SharedMemory> {
        Err(IOReturn::Unsupported)
    }

    /// Where the task wants to be told of events of kind `kind`, instead of where it wanted to be told before.
    ///
    /// # Errors
    /// Unsupported: there are none of that kind.
    fn register_notification_port(&self, me: &ServiceRef, kind: u32, port: Arc<SendRight>) -> IOResult {
        Err(IOReturn::Unsupported)
    }

    /// The client's process died.
    fn client_died(&self, me: &ServiceRef) -> IOResult {
        self.client_close(me)
    }
}

impl Service {
    /// Makes a user client of this service with `driver`: attach and start; what most `new_user_client` overrides do.
    /// Offline if this service is inactive, NoMemory if there is none, Error if `start` says no.
    pub fn make_user_client(self: &ServiceRef, driver: Box<dyn Driver>) -> IOResult<ServiceRef> {
        self.kernel().allocate("user client")?;
        let client = ServiceBuilder::under(self, driver).build();
        // From here on phase 2 of this service waits for the start (it may find the client attached at any time).
        client.set_state(State::STARTING, State::empty());
        if !client.attach(self) {
            return Err(IOReturn::Offline);
        }
        if self.start_client(&client) { Ok(client) } else { Err(IOReturn::Error) }
    }

    /// Starts an attached client; detaches it (without `stop`) if it says no. Holds back phase 2 of this service meanwhile.
    pub(crate) fn start_client(self: &ServiceRef, client: &ServiceRef) -> bool {
        client.set_state(State::STARTING, State::empty());
        client.trace(trace::Kind::Start, Some(self), 0);
        let ok = client.driver().start(client, self);
        client.trace(trace::Kind::Started, Some(self), u64::from(ok));
        // Gone before it counts as started: phase 2 that came in between would tell it of a termination.
        if !ok {
            client.detach(self);
        }
        client.set_state(State::empty(), State::STARTING);
        self.resume_phase_2();
        ok
    }

    /// `IOServiceOpen`: asks the driver for a user client of type `kind` and gives the connection to it.
    pub fn open_connection(self: &ServiceRef, kind: u32) -> IOResult<Connection> {
        if self.is_inactive() {
            return Err(IOReturn::Offline);
        }
        let client = self.driver().new_user_client(self, kind)?;
        Ok(Connection::new(client))
    }
}
