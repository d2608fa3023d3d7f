//! The user client: who has the port open.

use super::USB_SERIAL_USER_CLIENT;
use super::driver::UsbSerialDriver;
use crate::class::Class;
use crate::driver::common::Place;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::user_client::{Arguments, Count, Method, dispatch};

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
    let count = UsbSerialDriver::parts_of(&driver)?.read(&driver, me.id(), wait, arguments.struct_output)?;
    arguments.scalar_output[0] = count as u64;
    Ok(())
}

fn write(_: &UsbSerialUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    if arguments.struct_input.is_empty() || arguments.struct_input.len() > WRITE_MAX {
        return Err(IOReturn::BadArgument);
    }
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    UsbSerialDriver::parts_of(&driver)?.write(&driver, me.id(), arguments.struct_input)
}

impl Place for UsbSerialUserClient {
    fn class(&self) -> &'static Class {
        &USB_SERIAL_USER_CLIENT
    }

    fn take(&self, driver: &ServiceRef, client: u32) -> IOResult {
        UsbSerialDriver::parts_of(driver)?.open(driver, client)
    }

    fn give_back(&self, driver: &ServiceRef, client: u32) {
        if let Ok(parts) = UsbSerialDriver::parts_of(driver) {
            parts.close(client);
        }
    }

    fn call(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }
}
