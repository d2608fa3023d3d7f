//! The user client: external methods.

use super::FIREWIRE_NODE_USER_CLIENT;
use super::driver::FireWireNodeDriver;
use super::parts::Parts;
use crate::class::Class;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

pub use super::parts::MEMORY_BYTES;

/// Selector: place in the memory in, what stands there out.
pub const READ: u32 = 0;
/// Selector: place in the memory and bytes in.
pub const WRITE: u32 = 1;
/// Selector: place in the memory, what must stand there and what shall, 32 bits each, in; what stood there out.
pub const SWAP: u32 = 2;

/// A connection to a plain node.
pub struct FireWireNodeUserClient;

const METHODS: [Method<FireWireNodeUserClient>; 3] = [
    Method {
        function: Some(read),
        scalar_input: Count::Exactly(1),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(0),
        struct_output: Count::Variable,
    },
    Method {
        function: Some(write),
        scalar_input: Count::Exactly(1),
        struct_input: Count::Variable,
        scalar_output: Count::Exactly(0),
        struct_output: Count::Exactly(0),
    },
    Method {
        function: Some(swap),
        scalar_input: Count::Exactly(3),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(1),
        struct_output: Count::Exactly(0),
    },
];

/// Calls `action` with the driver that `me` is a client of.
fn with_driver<R>(me: &ServiceRef, action: impl FnOnce(&ServiceRef, &Parts) -> IOResult<R>) -> IOResult<R> {
    let provider = me.provider().ok_or(IOReturn::Offline)?;
    let parts = FireWireNodeDriver::parts_of(&provider)?;
    action(&provider, &parts)
}

fn quadlet(value: u64) -> IOResult<u32> {
    u32::try_from(value).map_err(|_| IOReturn::BadArgument)
}

fn read(_: &FireWireNodeUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let at = arguments.scalar_input[0];
    with_driver(me, |service, parts| parts.read(service, at, arguments.struct_output))
}

fn write(_: &FireWireNodeUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let at = arguments.scalar_input[0];
    with_driver(me, |service, parts| parts.write(service, at, arguments.struct_input))
}

fn swap(_: &FireWireNodeUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let (compare, data) = (quadlet(arguments.scalar_input[1])?, quadlet(arguments.scalar_input[2])?);
    let at = arguments.scalar_input[0];
    let old = with_driver(me, |service, parts| parts.swap(service, at, compare, data))?;
    arguments.scalar_output[0] = u64::from(old);
    Ok(())
}

impl Driver for FireWireNodeUserClient {
    fn class(&self) -> &'static Class {
        &FIREWIRE_NODE_USER_CLIENT
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for FireWireNodeUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        me.terminate(Options::empty());
        Ok(())
    }
}
