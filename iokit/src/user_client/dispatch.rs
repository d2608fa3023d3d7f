//! External method dispatch with checked sizes (UC1).

use crate::{
    io::AsyncReference,
    ioreturn::{IOResult, IOReturn},
    service::ServiceRef,
};

/// What a client passes in and gets back.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    /// Scalars in.
    pub scalar_input: &'a [u64],
    /// Bytes in.
    pub struct_input: &'a [u8],
    /// Room for scalars out.
    pub scalar_output: &'a mut [u64],
    /// Room for bytes out.
    pub struct_output: &'a mut [u8],
    /// Where the result of an asynchronous call goes later (UC2); nowhere for any other call.
    pub async_reference: AsyncReference,
}

/// How many a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly so many.
    Exactly(usize),
    /// The method looks for itself.
    Variable,
}

impl Count {
    fn accepts(self, count: usize) -> bool {
        match self {
            Self::Exactly(n) => n == count,
            Self::Variable => true,
        }
    }
}

/// One external method of the user client type `T`.
pub struct Method<T: ?Sized> {
    /// The function; `None` is answered with NoCompletion.
    pub function: Option<fn(&T, &ServiceRef, &mut Arguments<'_>) -> IOResult>,
    /// Scalars in.
    pub scalar_input: Count,
    /// Bytes in.
    pub struct_input: Count,
    /// Scalars out.
    pub scalar_output: Count,
    /// Bytes out.
    pub struct_output: Count,
}

/// Calls method `selector` of `methods`. Unsupported if there is none, BadArgument if one of the four sizes is wrong.
pub fn dispatch<T: ?Sized>(
    methods: &[Method<T>],
    target: &T,
    me: &ServiceRef,
    selector: u32,
    arguments: &mut Arguments<'_>,
) -> IOResult {
    let method = usize::try_from(selector).ok().and_then(|s| methods.get(s)).ok_or(IOReturn::Unsupported)?;
    let fits = method.scalar_input.accepts(arguments.scalar_input.len())
        && method.struct_input.accepts(arguments.struct_input.len())
        && method.scalar_output.accepts(arguments.scalar_output.len())
        && method.struct_output.accepts(arguments.struct_output.len());
    if !fits {
        return Err(IOReturn::BadArgument);
    }
    method.function.ok_or(IOReturn::NoCompletion)?(target, me, arguments)
}
