//! Messages, as user code has them.

use alloc::vec::Vec;

use abi::{
    Descriptor, Disposition, Header,
    message::{self, DESCRIPTOR_BYTES, HEADER_BYTES},
};

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Its header.
    pub header: Header,
    /// What it carries.
    pub items: Vec<Descriptor>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A right as a descriptor.
pub fn right(name: u32, disposition: Disposition) -> Descriptor {
    Descriptor::Port { name, disposition }
}

/// The name that a descriptor carries.
///
/// # Panics
/// If it is memory.
pub fn name_in(item: &Descriptor) -> u32 {
    match item {
        Descriptor::Port { name, .. } => *name,
        Descriptor::OutOfLine { .. } => panic!("{item:?} is no right"),
    }
}

impl Mail {
    /// A message with an id to `to`.
    pub fn to(to: u32, disposition: Disposition, id: u32) -> Self {
        let bits = message::bits(disposition, None);
        Self { header: Header { bits, remote: to, id, ..Header::default() }, ..Self::default() }
    }

    /// The same with a right to answer to.
    pub fn reply_to(mut self, name: u32, disposition: Disposition) -> Self {
        self.header.local = name;
        self.header.bits |= (disposition as u32) << 8;
        self
    }

    /// The same with one thing more.
    pub fn with(mut self, item: Descriptor) -> Self {
        self.items.push(item);
        self
    }

    /// The same with these bytes.
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// As it lies in memory.
    pub fn encode(&self) -> Vec<u8> {
        let mut header = self.header;
        if !self.items.is_empty() {
            header.bits |= message::COMPLEX;
            header.descriptors = self.items.len() as u32;
        }
        let items = self.items.iter().flat_map(Descriptor::encode);
        header.encode().into_iter().chain(items).chain(self.body.iter().copied()).collect()
    }

    /// What lies in memory.
    ///
    /// # Panics
    /// If it is no message.
    pub fn decode(bytes: &[u8]) -> Self {
        let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a header");
        let header = Header::decode(head);
        assert_eq!(header.size as usize, bytes.len());
        let (items, body) = rest.split_at(header.descriptors as usize * DESCRIPTOR_BYTES);
        let item = |bytes: &[u8]| Descriptor::decode(bytes.try_into().unwrap()).expect("a descriptor");
        Self { header, items: items.chunks_exact(DESCRIPTOR_BYTES).map(item).collect(), body: body.to_vec() }
    }
}
