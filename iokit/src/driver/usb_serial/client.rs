//! The user client: who has the port open.

use super::USB_SERIAL_USER_CLIENT;
use super::parts::parts_of;
use crate::class::Class;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

/// Selector: how long to wait (machine ns, at most a second) and room for bytes in; their number out.
pub const READ: u32 = 0;
/// Selector: bytes in, at most [`WRITE_MAX`].
pub const WRITE: u32 = 1;

/// Bytes of one write at the most.
pub const WRITE_MAX: usize = 4096;
/// How long a read waits at the most, machine ns.
const WAIT_MAX_NS: u64 = 1_000_000_000;

/// A connection to a serial port. One at a time has it.
pub struct UsbSerialUserClient;

const METHODS: [Method<UsbSerialUserClient>; 2] = [
    Method {
        function: Some(read),
        scalar_input: Count::Exactly(1),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(1),
        struct_output: Count::Variable,
    },
    Method {
        function: Some(write),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Variable,
        scalar_output: Count::Exactly(0),
        struct_output: Count::Exactly(0),
    },
];

fn read(_: &UsbSerialUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    if arguments.struct_output.is_empty() {
        return Err(IOReturn::BadArgument);
    }
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    let wait = arguments.scalar_input[0].min(WAIT_MAX_NS);
    let count = parts_of(&driver)?.read(&driver, me.id(), wait, arguments.struct_output)?;
    arguments.scalar_output[0] = count as u64;
    Ok(())
}

fn write(_: &UsbSerialUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    if arguments.struct_input.is_empty() || arguments.struct_input.len() > WRITE_MAX {
        return Err(IOReturn::BadArgument);
    }
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    parts_of(&driver)?.write(&driver, me.id(), arguments.struct_input)
}

/// The port is free for the next; whoever sleeps for this one wakes.
fn leave(me: &ServiceRef, driver: &ServiceRef) {
    if let Ok(parts) = parts_of(driver) {
        parts.close(me.id());
    }
}

impl Driver for UsbSerialUserClient {
    fn class(&self) -> &'static Class {
        &USB_SERIAL_USER_CLIENT
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        parts_of(provider).and_then(|parts| parts.open(provider, me.id())).is_ok()
    }

    /// In the bus's gate. A termination from below does not close the client, so this is where it lets go.
    fn stop(&self, me: &ServiceRef, provider: &ServiceRef) {
        leave(me, provider);
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for UsbSerialUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself. First its sleepers must go: a call in flight holds `finalize` back.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        if let Some(driver) = me.provider() {
            leave(me, &driver);
        }
        me.terminate(Options::empty());
        Ok(())
    }
}
