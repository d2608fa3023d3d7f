//! The user client: a reader of reports.

use super::USB_HID_USER_CLIENT;
use super::parts::parts_of;
use super::report::ENTRY_BYTES;
use crate::class::Class;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

/// Selector: how long to wait (machine ns, at most a second) and room for whole entries of [`ENTRY_BYTES`] bytes in; their number out.
pub const READ: u32 = 0;

/// How long a read waits at the most, machine ns.
const WAIT_MAX_NS: u64 = 1_000_000_000;

/// A connection to a keyboard or a mouse. Each gets every report.
pub struct UsbHidUserClient;

const METHODS: [Method<UsbHidUserClient>; 1] = [Method {
    function: Some(read),
    scalar_input: Count::Exactly(1),
    struct_input: Count::Exactly(0),
    scalar_output: Count::Exactly(1),
    struct_output: Count::Variable,
}];

fn read(_: &UsbHidUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let room = arguments.struct_output.len();
    if room == 0 || !room.is_multiple_of(ENTRY_BYTES) {
        return Err(IOReturn::BadArgument);
    }
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    let wait = arguments.scalar_input[0].min(WAIT_MAX_NS);
    let count = parts_of(&driver)?.read(&driver, me.id(), wait, arguments.struct_output)?;
    arguments.scalar_output[0] = count as u64;
    Ok(())
}

/// No more reports; whoever sleeps for one wakes.
fn leave(me: &ServiceRef, driver: &ServiceRef) {
    if let Ok(parts) = parts_of(driver) {
        parts.unsubscribe(me.id());
    }
}

impl Driver for UsbHidUserClient {
    fn class(&self) -> &'static Class {
        &USB_HID_USER_CLIENT
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        parts_of(provider).and_then(|parts| parts.subscribe(provider, me.id())).is_ok()
    }

    /// In the bus's gate. A termination from below does not close the client, so this is where its place goes.
    fn stop(&self, me: &ServiceRef, provider: &ServiceRef) {
        leave(me, provider);
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for UsbHidUserClient {
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
