//! IOKit, as a user program calls it: find a service, open it, call external methods.

use crate::memory::Memory;
use crate::message::Mailbox;
use crate::os::{Error, Result};
use crate::port::Port;
use abi::Disposition;
use abi::io::{self, method};
use abi::message::HEADER_BYTES;

/// A service that was found.
#[derive(Clone, Copy, Debug)]
pub struct Service(pub Port);

/// A connection to a service: a user client in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Connection(pub Port);

/// What is asked of an external method, and where its answer goes.
#[derive(Default)]
pub struct Arguments<'a> {
    /// Numbers in.
    pub scalar_input: &'a [u64],
    /// Bytes in.
    pub struct_input: &'a [u8],
    /// Room for numbers out.
    pub scalar_output: &'a mut [u64],
    /// Room for bytes out.
    pub struct_output: &'a mut [u8],
}

/// The result that an answer begins with.
fn accept(result: u32) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(Error::Io(result)) }
}

impl Service {
    /// The service of `class` that is the `index`-th of those there are.
    ///
    /// # Errors
    /// `NotFound` (0xe00002f0) if there are fewer.
    pub fn find(mail: &Mailbox<'_>, class: &str, index: u32) -> Result<Self> {
        let host = Port::host(mail.os())?;
        let request = mail.write(io::GET_MATCHING_SERVICE).words(&[index])?.bytes(class.as_bytes())?;
        let answer = request.call(host);
        // Asking for the host port made one more reference to its name.
        host.release(mail.os())?;
        let answer = answer?;
        accept(answer.word(0)?)?;
        Ok(Self(answer.port(0)?))
    }

    /// The service of `class` in a slot of the machine.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub fn in_slot(mail: &Mailbox<'_>, class: &str, slot: u32) -> Result<Self> {
        let mut index = 0;
        loop {
            let service = Self::find(mail, class, index)?;
            // One that has gone meanwhile is not the one.
            match service.slot(mail) {
                Ok(found) if found == slot => return Ok(service),
                Ok(_) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
            service.release(mail)?;
            index += 1;
        }
    }

    /// Its slot.
    ///
    /// # Errors
    /// The service's or the kernel's.
    pub fn slot(&self, mail: &Mailbox<'_>) -> Result<u32> {
        let answer = mail.write(io::SERVICE_INFO).call(self.0)?;
        accept(answer.word(0)?)?;
        answer.word(4)
    }

    /// Opens a connection of a kind.
    ///
    /// # Errors
    /// What the service says.
    pub fn open(&self, mail: &Mailbox<'_>, kind: u32) -> Result<Connection> {
        let answer = mail.write(io::SERVICE_OPEN).words(&[kind])?.call(self.0)?;
        accept(answer.word(0)?)?;
        Ok(Connection(answer.port(0)?))
    }

    /// Gives the right to it back.
    ///
    /// # Errors
    /// The kernel's.
    pub fn release(self, mail: &Mailbox<'_>) -> Result<()> {
        self.0.release(mail.os())
    }
}

impl Connection {
    /// Calls external method `selector`; how many numbers and bytes came back.
    ///
    /// # Errors
    /// What the method says; [`Error::Protocol`] if more comes back than there is room for.
    pub fn call(
        &self,
        mail: &Mailbox<'_>,
        selector: u32,
        arguments: &mut Arguments<'_>,
    ) -> Result<(usize, usize)> {
        let lengths = [
            arguments.scalar_input.len(),
            arguments.struct_input.len(),
            arguments.scalar_output.len(),
            arguments.struct_output.len(),
        ]
        .map(|length| length as u32);
        let request = mail.write(io::CONNECT_METHOD).words(&[selector])?.words(&lengths)?;
        let request = request.words(&[0])?.longs(&[0])?;
        let request = request.longs(arguments.scalar_input)?.bytes(arguments.struct_input)?;
        let answer = request.call(self.0)?;
        accept(answer.word(0)?)?;
        let scalars = answer.word(method::ANSWER_SCALARS)? as usize;
        let bytes = answer.word(method::ANSWER_BYTES)? as usize;
        let numbers = arguments.scalar_output.get_mut(..scalars).ok_or(Error::Protocol)?;
        for (n, number) in numbers.iter_mut().enumerate() {
            *number = answer.long(method::ANSWER + 8 * n)?;
        }
        let data = arguments.struct_output.get_mut(..bytes).ok_or(Error::Protocol)?;
        answer.bytes(method::ANSWER + 8 * scalars, data)?;
        Ok((scalars, bytes))
    }

    /// Maps memory that the driver shares.
    ///
    /// # Errors
    /// What the driver says.
    pub fn map<'a>(&self, mail: &Mailbox<'a>, kind: u32) -> Result<Memory<'a>> {
        let answer = mail.write(io::CONNECT_MAP_MEMORY).words(&[kind])?.call(self.0)?;
        accept(answer.word(0)?)?;
        Ok(Memory::at(mail.os(), answer.long(8)?, answer.long(16)?))
    }

    /// Has the driver tell `port`, a receive right, of what happens.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tell(&self, mail: &Mailbox<'_>, kind: u32, port: Port) -> Result<()> {
        let request = mail.write(io::CONNECT_SET_NOTIFICATION_PORT).port(port, Disposition::MakeSend)?;
        let answer = request.words(&[kind])?.call(self.0)?;
        accept(answer.word(0)?)
    }

    /// Says that this thread's last call, or memory that the driver shares, gave it wrong data. Where nobody keeps account, nobody hears it.
    ///
    /// # Errors
    /// The kernel's; that the connection is gone.
    pub fn say_data_were_wrong(&self, mail: &Mailbox<'_>) -> Result<()> {
        let answer = mail.write(io::CONNECT_DATA_WRONG).call(self.0)?;
        match accept(answer.word(0)?) {
            Err(Error::Io(Error::UNSUPPORTED)) => Ok(()),
            result => result,
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// What the driver says.
    pub fn close(self, mail: &Mailbox<'_>) -> Result<()> {
        let answer = mail.write(io::CONNECT_CLOSE).call(self.0)?;
        accept(answer.word(0)?)
    }
}

// A request for an external method fits into a mailbox, whatever its arguments.
const _: () = assert!(
    HEADER_BYTES + method::REQUEST + 8 * method::SCALARS_MAX + method::BYTES_MAX <= abi::message::MESSAGE_MAX
);
