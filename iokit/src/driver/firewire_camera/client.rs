//! The user client: a reader of the stream.

use super::FIREWIRE_CAMERA_USER_CLIENT;
use super::driver::FireWireCameraDriver;
use super::feed::ENTRY_BYTES;
use crate::class::Class;
use crate::driver::common::Place;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::user_client::{Arguments, Count, Method, dispatch};

/// Selector: how long to wait (machine ns, at most a second) and room for whole entries of [`ENTRY_BYTES`] bytes in; their number out.
pub const READ: u32 = 0;

/// How long a read waits at the most, machine ns.
const WAIT_MAX_NS: u64 = 1_000_000_000;

/// A connection to a camera. Each gets every packet; while there is one that reads, the camera sends.
pub struct FireWireCameraUserClient;

const METHODS: [Method<FireWireCameraUserClient>; 1] = [Method {
    function: Some(read),
    scalar_input: Count::Exactly(1),
    struct_input: Count::Exactly(0),
    scalar_output: Count::Exactly(1),
    struct_output: Count::Variable,
}];

fn read(_: &FireWireCameraUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let room = arguments.struct_output.len();
    if room == 0 || !room.is_multiple_of(ENTRY_BYTES) {
        return Err(IOReturn::BadArgument);
    }
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    let wait = arguments.scalar_input[0].min(WAIT_MAX_NS);
    let parts = FireWireCameraDriver::parts_of(&driver)?;
    let count = parts.read(&driver, me.id(), wait, arguments.struct_output)?;
    arguments.scalar_output[0] = count as u64;
    Ok(())
}

impl Place for FireWireCameraUserClient {
    fn class(&self) -> &'static Class {
        &FIREWIRE_CAMERA_USER_CLIENT
    }

    fn take(&self, driver: &ServiceRef, client: u32) -> IOResult {
        FireWireCameraDriver::parts_of(driver)?.subscribe(driver, client)
    }

    fn give_back(&self, driver: &ServiceRef, client: u32) {
        if let Ok(parts) = FireWireCameraDriver::parts_of(driver) {
            parts.unsubscribe(client);
        }
    }

    fn call(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }
}
