//! External methods: from a message's bytes to arguments, and back (UC1).

use alloc::{sync::Arc, vec, vec::Vec};

use abi::{
    io::method::{
        ANSWER, BYTES_IN, BYTES_MAX, BYTES_OUT, REFERENCE, REQUEST, SCALARS_IN, SCALARS_MAX, SCALARS_OUT,
        SELECTOR,
    },
    message::{long, word},
};
use mach::ipc::{Answer, Request};

use super::{
    connection::taken_right,
    result::{TaskResults, plain},
};
use crate::{
    io::AsyncReference,
    ioreturn::{IOResult, IOReturn},
    user_client::{Arguments, Connection},
};

/// A request that makes sense.
struct Call<'a> {
    selector: u32,
    scalar_input: Vec<u64>,
    struct_input: &'a [u8],
    scalars_out: usize,
    bytes_out: usize,
}

impl<'a> Call<'a> {
    fn parse(body: &'a [u8]) -> IOResult<Self> {
        let count = |at: usize, max: usize| {
            let count = usize::try_from(word(body, at)).ok().filter(|&count| count <= max);
            count.ok_or(IOReturn::BadArgument)
        };
        let (scalars, bytes) = (count(SCALARS_IN, SCALARS_MAX)?, count(BYTES_IN, BYTES_MAX)?);
        let scalars_end = REQUEST + 8 * scalars;
        if body.len() != scalars_end + bytes {
            return Err(IOReturn::BadArgument);
        }
        Ok(Self {
            selector: word(body, SELECTOR),
            scalar_input: (0..scalars).map(|n| long(body, REQUEST + 8 * n)).collect(),
            struct_input: &body[scalars_end..],
            scalars_out: count(SCALARS_OUT, SCALARS_MAX)?,
            bytes_out: count(BYTES_OUT, BYTES_MAX)?,
        })
    }
}

/// Calls the method that `request` wants; the answer, and the result in it.
pub(super) fn call(connection: &Connection, mut request: Request) -> (Answer, IOResult) {
    let async_reference = match request.items.is_empty() {
        true => Ok(AsyncReference::default()),
        false => taken_right(&mut request).ok_or(IOReturn::BadArgument).map(|right| AsyncReference {
            port: Some(Arc::new(TaskResults(right))),
            reference: long(&request.body, REFERENCE),
        }),
    };
    let parsed = Call::parse(&request.body).and_then(|call| Ok((call, async_reference?)));
    let (call, async_reference) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => return (plain(Err(why)), Err(why)),
    };
    let (mut scalars, mut bytes) = (vec![0; call.scalars_out], vec![0; call.bytes_out]);
    let result = connection.call(
        call.selector,
        &mut Arguments {
            scalar_input: &call.scalar_input,
            struct_input: call.struct_input,
            scalar_output: &mut scalars,
            struct_output: &mut bytes,
            async_reference,
        },
    );
    let mut answer = plain(result);
    if result.is_err() {
        (scalars, bytes) = (Vec::new(), Vec::new());
    }
    answer.body.reserve(ANSWER + 8 * scalars.len() + bytes.len());
    for count in [scalars.len() as u32, bytes.len() as u32, 0] {
        answer.body.extend(count.to_le_bytes());
    }
    answer.body.extend(scalars.iter().flat_map(|scalar| scalar.to_le_bytes()));
    answer.body.extend(bytes);
    (answer, result)
}
