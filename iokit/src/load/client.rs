//! A client: one connection and the threads that call through it.

use super::exercise::{Outcome, Shared};
use super::session::Session;
use crate::ioreturn::IOReturn;
use crate::service::ServiceRef;
use crate::user_client::Connection;
use alloc::sync::Arc;
use mach::{KernelRef, Policy, band};

/// Errors after which a thread gives up: a device that answers every request with one is not worth a run.
const ERRORS_MAX: u32 = 16;

/// A connection, shared by its threads; the last of them closes it.
pub(super) struct Client {
    connection: Connection,
    number: u32,
    shared: Shared,
}

impl Client {
    /// Its connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Starts client `number` on a thread of its own.
pub(super) fn spawn(session: &Arc<Session>, service: &ServiceRef, number: u32) {
    let (own, service) = (session.clone(), service.clone());
    let body = move |_: &KernelRef| begin(own, service, number);
    if session.kernel().spawn("client", band::DEFAULT, Policy::Timeshare, body).is_err() {
        session.kernel().log(format_args!("load: no memory for client {number}"));
    }
}

/// Connects, starts the other threads of the client, and becomes one of them.
fn begin(session: Arc<Session>, service: ServiceRef, number: u32) {
    let connection = service.open_connection(0);
    drop(service);
    // The device may be gone again already: then there is nothing to do.
    if let Ok(connection) = connection {
        let client = Arc::new(Client { connection, number, shared: session.shared() });
        session.connected(&client);
        for index in 1..session.depth() {
            let (own, shared) = (session.clone(), client.clone());
            let body = move |_: &KernelRef| work(own, shared, index);
            if session.kernel().spawn("request", band::DEFAULT, Policy::Timeshare, body).is_err() {
                session.kernel().log(format_args!("load: no memory for request thread {index}"));
            }
        }
        work(session, client, 0);
    } else {
        session.leave();
    }
}

/// Of a client that died, the driver aborts what its threads are at: that is how a request comes back from a port that is dead.
fn unheard(connection: &Connection, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Error(code) if code == IOReturn::Aborted.code() && connection.is_dead() => Outcome::Offline,
        outcome => outcome,
    }
}

/// Issues requests, one after another, until the device or the run ends.
fn work(session: Arc<Session>, client: Arc<Client>, index: u32) {
    let object = client.connection.id();
    let mut errors = 0;
    let mut worker = session.worker(client.number, index, &client.shared);
    while !session.is_stopping() && errors < ERRORS_MAX {
        let id = session.issue(client.number, object);
        let outcome = unheard(&client.connection, worker.request(&client.connection, id));
        session.book(object, id, outcome);
        match outcome {
            Outcome::Done | Outcome::Overrun(_) => {}
            Outcome::Offline => break,
            Outcome::Error(_) | Outcome::Corrupt => errors += 1,
        }
    }
    if let Some(client) = Arc::into_inner(client) {
        if let Some(outcome) = client.shared.close() {
            // What only the whole shows is booked as one more request.
            let id = session.issue(client.number, object);
            session.book(object, id, outcome);
        }
        // A dead port (the device went first) needs no closing.
        let _ = client.connection.close();
    }
    session.leave();
}
