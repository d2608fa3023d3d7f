//! The user client: external methods.

use super::EDU_USER_CLIENT;
use super::driver::EduDriver;
use super::parts::Parts;
use super::regs::CARD_BUFFER_BYTES;
use super::requests::{Op, Output};
use crate::class::Class;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

/// Selector: scalar n in, scalar n! modulo 2³² out.
pub const FACTORIAL: u32 = 0;
/// Selector: scalar in, its 32-bit inverse out.
pub const LIVENESS: u32 = 1;
/// Selector: up to 4096 bytes in, the same number of bytes out, by way of the card.
pub const COPY: u32 = 2;

/// A connection to an edu card.
pub struct EduUserClient;

const METHODS: [Method<EduUserClient>; 3] = [
    Method {
        function: Some(factorial),
        scalar_input: Count::Exactly(1),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(1),
        struct_output: Count::Exactly(0),
    },
    Method {
        function: Some(liveness),
        scalar_input: Count::Exactly(1),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(1),
        struct_output: Count::Exactly(0),
    },
    Method {
        function: Some(copy),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Variable,
        scalar_output: Count::Exactly(0),
        struct_output: Count::Variable,
    },
];

/// Calls `action` with the driver that `me` is a client of.
fn with_driver<R>(me: &ServiceRef, action: impl FnOnce(&ServiceRef, &Parts) -> IOResult<R>) -> IOResult<R> {
    let provider = me.provider().ok_or(IOReturn::Offline)?;
    let parts = EduDriver::parts_of(&provider)?;
    action(&provider, &parts)
}

fn argument(value: u64) -> IOResult<u32> {
    u32::try_from(value).map_err(|_| IOReturn::BadArgument)
}

fn factorial(_: &EduUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let n = argument(arguments.scalar_input[0])?;
    match with_driver(me, |service, parts| parts.submit(service, Op::Factorial(n)))? {
        Output::Number(value) => arguments.scalar_output[0] = u64::from(value),
        Output::Data(_) => return Err(IOReturn::Error),
    }
    Ok(())
}

fn liveness(_: &EduUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let value = argument(arguments.scalar_input[0])?;
    let answer = with_driver(me, |service, parts| parts.liveness(service, value))?;
    arguments.scalar_output[0] = u64::from(answer);
    Ok(())
}

fn copy(_: &EduUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let data = arguments.struct_input;
    let fits = !data.is_empty() && data.len() as u64 <= CARD_BUFFER_BYTES;
    if !fits || arguments.struct_output.len() != data.len() {
        return Err(IOReturn::BadArgument);
    }
    match with_driver(me, |service, parts| parts.submit(service, Op::Copy(data.to_vec())))? {
        Output::Data(back) if back.len() == data.len() => arguments.struct_output.copy_from_slice(&back),
        _ => return Err(IOReturn::Error),
    }
    Ok(())
}

impl Driver for EduUserClient {
    fn class(&self) -> &'static Class {
        &EDU_USER_CLIENT
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for EduUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        me.terminate(Options::empty());
        Ok(())
    }
}
