//! The user client: a reader of the stream.

use super::DAQ_USER_CLIENT;
use super::driver::DaqDriver;
use super::feed::Reader;
use super::sample::ENTRY_BYTES;
use crate::class::Class;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::user_client::{Arguments, Count, Method, UserClient, dispatch};
use alloc::sync::Arc;
use mach::ipc::SendRight;
use mach::vm::SharedMemory;
use mach::{KernelRef, SpinLock};

/// Selector: room for whole entries of [`ENTRY_BYTES`] bytes in, as many as are there and fit, and their number out. Sleeps until there is one.
pub const READ: u32 = 0;
/// Selector: nothing in; period in ns, entries of the ring, samples that make an interrupt out.
pub const INFO: u32 = 1;

/// A connection to a card. Each has a queue of its own and gets every sample.
pub struct DaqUserClient {
    kernel: KernelRef,
    /// From `start` to `stop`, or to the client's close.
    reader: SpinLock<Option<Arc<Reader>>>,
}

const METHODS: [Method<DaqUserClient>; 2] = [
    Method {
        function: Some(read),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(1),
        struct_output: Count::Variable,
    },
    Method {
        function: Some(info),
        scalar_input: Count::Exactly(0),
        struct_input: Count::Exactly(0),
        scalar_output: Count::Exactly(3),
        struct_output: Count::Exactly(0),
    },
];

impl DaqUserClient {
    /// A user client that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { kernel: kernel.clone(), reader: SpinLock::new(None) }
    }

    /// No more samples; whoever sleeps for one wakes.
    fn leave(&self, driver: &ServiceRef) {
        let reader = self.reader.lock(&self.kernel).take();
        if let (Some(reader), Ok(parts)) = (reader, DaqDriver::parts_of(driver)) {
            parts.unsubscribe(&reader);
        }
    }
}

fn read(client: &DaqUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let room = arguments.struct_output.len();
    if room == 0 || !room.is_multiple_of(ENTRY_BYTES) {
        return Err(IOReturn::BadArgument);
    }
    let reader = client.reader.lock(&client.kernel).clone().ok_or(IOReturn::Aborted)?;
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    let parts = DaqDriver::parts_of(&driver)?;
    loop {
        let count = reader.take(arguments.struct_output)?;
        if count != 0 {
            arguments.scalar_output[0] = count as u64;
            return Ok(());
        }
        // Another thread of the client may be quicker: then once more.
        parts.wait(&driver, &reader)?;
    }
}

fn info(_: &DaqUserClient, me: &ServiceRef, arguments: &mut Arguments<'_>) -> IOResult {
    let driver = me.provider().ok_or(IOReturn::Offline)?;
    let parts = DaqDriver::parts_of(&driver)?;
    let card = parts.card();
    let facts = [card.period(), card.entries(), card.threshold()].map(u64::from);
    arguments.scalar_output.copy_from_slice(&facts);
    Ok(())
}

impl Driver for DaqUserClient {
    fn class(&self) -> &'static Class {
        &DAQ_USER_CLIENT
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let reader = DaqDriver::parts_of(provider).and_then(|parts| parts.subscribe(provider, me.id()));
        let Ok(reader) = reader else { return false };
        *self.reader.lock(&self.kernel) = Some(Arc::new(reader));
        true
    }

    /// In the driver's gate. A termination from below does not close the client, so this is where its queue goes.
    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.leave(provider);
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        Some(self)
    }
}

impl UserClient for DaqUserClient {
    fn external_method(&self, me: &ServiceRef, selector: u32, arguments: &mut Arguments<'_>) -> IOResult {
        dispatch(&METHODS, self, me, selector, arguments)
    }

    /// Kind 0: the queue of samples.
    fn client_memory(&self, me: &ServiceRef, kind: u32) -> IOResult<SharedMemory> {
        if kind != 0 {
            return Err(IOReturn::Unsupported);
        }
        let driver = me.provider().ok_or(IOReturn::Offline)?;
        DaqDriver::parts_of(&driver)?.share(&driver, me.id())
    }

    /// Kind 0: the queue of samples is no longer empty.
    fn register_notification_port(&self, me: &ServiceRef, kind: u32, port: Arc<SendRight>) -> IOResult {
        if kind != 0 {
            return Err(IOReturn::Unsupported);
        }
        let driver = me.provider().ok_or(IOReturn::Offline)?;
        DaqDriver::parts_of(&driver)?.tell(&driver, me.id(), port)
    }

    /// Order (a′): the connection terminates itself. First its sleepers must go: a call in flight holds `finalize` back, and nobody else
    /// would wake them.
    fn client_close(&self, me: &ServiceRef) -> IOResult {
        if let Some(driver) = me.provider() {
            self.leave(&driver);
        }
        me.terminate(Options::empty());
        Ok(())
    }
}
