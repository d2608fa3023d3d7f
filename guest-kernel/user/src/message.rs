//! Messages: written into a mailbox, sent from there, and received there.

use crate::memory::Memory;
use crate::os::{Error, Os, Result};
use crate::port::Port;
use abi::message::{COMPLEX, DESCRIPTOR_BYTES, DESCRIPTORS_MAX, HEADER_BYTES, MESSAGE_MAX, bits, option};
use abi::notify::SEND_ONCE;
use abi::{Descriptor, Disposition, Header, KernReturn, Trap};

/// A thread's place for messages, with a port for answers.
pub struct Mailbox<'a> {
    memory: Memory<'a>,
    reply: Port,
}

/// A message that was received; it is in the mailbox until the next one is written there.
pub struct Received<'m, 'a> {
    mailbox: &'m Mailbox<'a>,
    header: Header,
}

/// A message that is being written.
pub struct Writer<'m, 'a> {
    mailbox: &'m Mailbox<'a>,
    id: u32,
    descriptors: u32,
    end: u64,
}

impl<'a> Mailbox<'a> {
    /// An empty mailbox.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(os: &'a dyn Os) -> Result<Self> {
        let memory = Memory::new(os, MESSAGE_MAX as u64)?;
        Ok(Self { memory, reply: Port::new(os)? })
    }

    /// The kernel.
    pub fn os(&self) -> &'a dyn Os {
        self.memory.os()
    }

    /// Gives memory and port back.
    ///
    /// # Errors
    /// The kernel's.
    pub fn free(self) -> Result<()> {
        self.reply.destroy(self.os())?;
        self.memory.free()
    }

    /// Begins a message.
    pub fn write(&self, id: u32) -> Writer<'_, 'a> {
        Writer { mailbox: self, id, descriptors: 0, end: HEADER_BYTES as u64 }
    }

    /// Waits for a message to `port`, a receive right or a set; until `timeout` ns have passed, if there is one.
    ///
    /// # Errors
    /// The kernel's; [`abi::KernReturn::ReceiveTimedOut`] after the time.
    pub fn receive(&self, port: Port, timeout: Option<u64>) -> Result<Received<'_, 'a>> {
        let options = option::RECEIVE | if timeout.is_some() { option::RECEIVE_TIMEOUT } else { 0 };
        self.message(options, 0, port, timeout.unwrap_or(0))
    }

    fn message(&self, options: u64, bytes: u64, receive: Port, timeout: u64) -> Result<Received<'_, 'a>> {
        let room = if options & option::RECEIVE != 0 { self.memory.bytes() } else { 0 };
        let arguments = [self.memory.address(), options, bytes, room, u64::from(receive.0), timeout];
        self.os().call(Trap::Message, &arguments)?;
        let mut header = [0; HEADER_BYTES];
        self.memory.load(0, &mut header)?;
        Ok(Received { mailbox: self, header: Header::decode(&header) })
    }
}

impl<'m, 'a> Writer<'m, 'a> {
    /// Adds a right. Before any bytes.
    ///
    /// # Errors
    /// [`Error::Protocol`] if there are bytes already, or too many descriptors.
    pub fn port(self, port: Port, disposition: Disposition) -> Result<Self> {
        self.descriptor(&Descriptor::Port { name: port.0, disposition })
    }

    /// Adds a descriptor. Before any bytes.
    ///
    /// # Errors
    /// As for [`Writer::port`].
    pub fn descriptor(mut self, descriptor: &Descriptor) -> Result<Self> {
        let at = HEADER_BYTES as u64 + u64::from(self.descriptors) * DESCRIPTOR_BYTES as u64;
        if self.end != at || self.descriptors as usize == DESCRIPTORS_MAX {
            return Err(Error::Protocol);
        }
        self.descriptors += 1;
        self.append(&descriptor.encode())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// A fault, if there is no room for them.
    pub fn bytes(self, bytes: &[u8]) -> Result<Self> {
        self.append(bytes)
    }

    /// Adds 32-bit words.
    ///
    /// # Errors
    /// As for [`Writer::bytes`].
    pub fn words(self, words: &[u32]) -> Result<Self> {
        words.iter().try_fold(self, |writer, word| writer.append(&word.to_le_bytes()))
    }

    /// Adds 64-bit words.
    ///
    /// # Errors
    /// As for [`Writer::bytes`].
    pub fn longs(self, longs: &[u64]) -> Result<Self> {
        longs.iter().try_fold(self, |writer, long| writer.append(&long.to_le_bytes()))
    }

    fn append(mut self, bytes: &[u8]) -> Result<Self> {
        self.mailbox.memory.store(self.end, bytes)?;
        self.end += bytes.len() as u64;
        Ok(self)
    }

    /// Sends it to `port`, a send or a receive right as `disposition` says.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(self, port: Port, disposition: Disposition) -> Result<()> {
        self.close(port, disposition, None)?;
        self.mailbox.message(option::SEND, self.end, Port::NULL, 0).map(|_| ())
    }

    /// Sends it to `port`, a send right, and waits for the answer.
    ///
    /// # Errors
    /// The kernel's; [`KernReturn::InvalidCapability`] if whoever had to answer is gone; [`Error::Protocol`] if the answer is none to this.
    pub fn call(self, port: Port) -> Result<Received<'m, 'a>> {
        let reply = self.mailbox.reply;
        self.close(port, Disposition::CopySend, Some(reply))?;
        let answer = self.mailbox.message(option::SEND | option::RECEIVE, self.end, reply, 0)?;
        match answer.header.id {
            id if id == self.id.wrapping_add(abi::io::REPLY) => Ok(answer),
            // Whoever had to answer is gone.
            SEND_ONCE => Err(Error::Kernel(KernReturn::InvalidCapability)),
            _ => Err(Error::Protocol),
        }
    }

    fn close(&self, port: Port, disposition: Disposition, reply: Option<Port>) -> Result<()> {
        let complex = if self.descriptors != 0 { COMPLEX } else { 0 };
        let header = Header {
            bits: bits(disposition, reply.map(|_| Disposition::MakeSendOnce)) | complex,
            size: self.end as u32,
            remote: port.0,
            local: reply.unwrap_or(Port::NULL).0,
            id: self.id,
            descriptors: self.descriptors,
            sequence: 0,
        };
        self.mailbox.memory.store(0, &header.encode())
    }
}

impl Received<'_, '_> {
    /// Its id.
    pub fn id(&self) -> u32 {
        self.header.id
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its right number `index`.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it carries none there.
    pub fn port(&self, index: u32) -> Result<Port> {
        if index >= self.header.descriptors {
            return Err(Error::Protocol);
        }
        let mut bytes = [0; DESCRIPTOR_BYTES];
        let at = HEADER_BYTES as u64 + u64::from(index) * DESCRIPTOR_BYTES as u64;
        self.mailbox.memory.load(at, &mut bytes)?;
        match Descriptor::decode(&bytes) {
            Some(Descriptor::Port { name, .. }) => Ok(Port(name)),
            _ => Err(Error::Protocol),
        }
    }

    /// The 32-bit word at `offset` of the body.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the message ends before.
    pub fn word(&self, offset: usize) -> Result<u32> {
        let mut bytes = [0; 4];
        self.bytes(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The 64-bit word at `offset` of the body.
    ///
    /// # Errors
    /// As for [`Received::word`].
    pub fn long(&self, offset: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        self.bytes(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Bytes of the body from `offset` on.
    ///
    /// # Errors
    /// As for [`Received::word`].
    pub fn bytes(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let body = HEADER_BYTES as u64 + u64::from(self.header.descriptors) * DESCRIPTOR_BYTES as u64;
        let at = body + offset as u64;
        if at + into.len() as u64 > u64::from(self.header.size) {
            return Err(Error::Protocol);
        }
        self.mailbox.memory.load(at, into)
    }

    /// Bytes of the body.
    pub fn body_bytes(&self) -> usize {
        let before = HEADER_BYTES + self.header.descriptors as usize * DESCRIPTOR_BYTES;
        (self.header.size as usize).saturating_sub(before)
    }
}
