//! The user client of a medium: external methods.

use super::driver::BlockStorageDriver;
use crate::class::{Class, IO_USER_CLIENT};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

/// The class.
pub static IO_MEDIA_USER_CLIENT: Class = Class::new("IOMediaUserClient", &IO_USER_CLIENT);

/// Selector: scalar block in, whole blocks out.
pub const READ: u32 = 0;
/// Selector: scalar block and whole blocks in.
pub const WRITE: u32 = 1;
/// Selector: no arguments.
pub const FLUSH: u32 = 2;
/// Selector: number of blocks and bytes of a block out.
pub const SIZE: u32 = 3;

/// A connection to a medium.
pub struct MediaUserClient;

const METHODS: [Method<MediaUserClient>; 4] = [
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
        function: Some(flush),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(0),
        struct_output: Count::Exactly(0),
    },
    Method {
        function: Some(size),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(2),
        struct_output: Count::Exactly(0),
    },
];

/// Calls `action` with the block storage driver below the medium that `me` is a client of.
fn with_driver<R>(
    me: &ServiceRef,
    action: impl FnOnce(&ServiceRef, &BlockStorageDriver) -> IOResult<R>,
) -> IOResult<R> {
    let driver = me.provider().and_then(|media| media.provider()).ok_or(IOReturn::Offline)?;
    action(&driver, driver.driver_as::<BlockStorageDriver>().ok_or(IOReturn::Offline)?)
}

fn read(_: &MediaUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let block = arguments.scalar_input[0];
    with_driver(me, |service, driver| driver.read(service, block, arguments.struct_output))
}

fn write(_: &MediaUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let block = arguments.scalar_input[0];
    with_driver(me, |service, driver| driver.write(service, block, arguments.struct_input))
}

fn flush(_: &MediaUserClient, me: &ServiceRef, _: &mut Arguments<'_>) -> IOResult {
    with_driver(me, |service, driver| driver.flush(service))
}

fn size(_: &MediaUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let geometry = with_driver(me, |service, driver| driver.geometry(service))?;
    arguments.scalar_output.copy_from_slice(&[geometry.blocks, u64::from(geometry.block_bytes)]);
    Ok(())
}

impl Driver for MediaUserClient {
    fn class(&self) -> &'static Class {
        &IO_MEDIA_USER_CLIENT
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for MediaUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        me.terminate(Options::empty());
        Ok(())
    }
}
