//! The user client: the external methods of the edu driver's, with its selectors.

use super::ZOO_USER_CLIENT;
use super::driver::ZooDriver;
use super::parts::Zoo;
use super::request::{Op, Output};
use crate::class::Class;
use crate::driver::edu::regs::CARD_BUFFER_BYTES;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};

/// A connection to a specimen.
pub struct ZooUserClient;

type Function = fn(&ZooUserClient, &ServiceRef, &mut Arguments<'_>) -> IOResult;

/// A method of `scalars` numbers in and out; with none, of any bytes.
const fn method(function: Function, scalars: usize) -> Method<ZooUserClient> {
    let bytes = if scalars == 0 { Count::Variable } else { Count::Exactly(0) };
    Method {
        function: Some(function),
        scalar_input: Count::Exactly(scalars),
        struct_input: bytes,
        scalar_output: Count::Exactly(scalars),
        struct_output: bytes,
    }
}

/// By the edu driver's selectors.
const METHODS: [Method<ZooUserClient>; 3] = [method(factorial, 1), method(liveness, 1), method(copy, 0)];

/// Calls `action` with the driver that `me` is a client of.
fn with_zoo<R>(me: &ServiceRef, action: impl FnOnce(&ServiceRef, &Zoo) -> IOResult<R>) -> IOResult<R> {
    let provider = me.provider().ok_or(IOReturn::Offline)?;
    action(&provider, &*ZooDriver::parts_of(&provider)?)
}

fn argument(value: u64) -> IOResult<u32> {
    u32::try_from(value).map_err(|_| IOReturn::BadArgument)
}

fn factorial(_: &ZooUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let n = argument(arguments.scalar_input[0])?;
    match with_zoo(me, |driver, zoo| zoo.submit(driver, Op::Factorial(n)))? {
        Output::Number(value) => arguments.scalar_output[0] = u64::from(value),
        Output::Data(_) => return Err(IOReturn::Error),
    }
    Ok(())
}

fn liveness(_: &ZooUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let value = argument(arguments.scalar_input[0])?;
    let answer = with_zoo(me, |driver, zoo| zoo.habits().liveness(zoo, driver, value))?;
    arguments.scalar_output[0] = u64::from(answer);
    Ok(())
}

fn copy(_: &ZooUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let data = arguments.struct_input;
    let fits = !data.is_empty() && data.len() as u64 <= CARD_BUFFER_BYTES;
    if !fits || arguments.struct_output.len() != data.len() {
        return Err(IOReturn::BadArgument);
    }
    match with_zoo(me, |driver, zoo| zoo.submit(driver, Op::Copy(data.to_vec())))? {
        Output::Data(back) if back.len() == data.len() => arguments.struct_output.copy_from_slice(&back),
        _ => return Err(IOReturn::Error),
    }
    Ok(())
}

impl Driver for ZooUserClient {
    fn class(&self) -> &'static Class {
        &ZOO_USER_CLIENT
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for ZooUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Order (a′): the connection terminates itself.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        me.terminate(Options::empty());
        Ok(())
    }
}
