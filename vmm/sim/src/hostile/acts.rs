//! What a hostile thread does, one byte after another.

use abi::{
    Descriptor, Disposition, Header, Trap, exception,
    io::{self, method},
    message::{COMPLEX, DESCRIPTOR_BYTES, HEADER_BYTES, option},
    port::Right,
    space::{PAGE, USER_BASE, flag},
};
use mach::task::UserThread;

use super::bytes::Bytes;

/// Names and pieces of memory that are remembered.
const REMEMBERED: usize = 24;
/// Bytes of the buffer for messages.
const BUFFER: u64 = 4 * PAGE;
/// How long a thread waits for anything, in ns.
const PATIENCE: u64 = 20_000;
/// Classes that it looks for.
const CLASSES: [&[u8]; 4] = [b"IOMedia", b"DaqDriver", b"IOService", b"\xff\xfe"];
/// What it asks of ports that may be IOKit's.
const REQUESTS: [u32; 8] = [
    io::GET_MATCHING_SERVICE,
    io::SERVICE_OPEN,
    io::SERVICE_INFO,
    io::CONNECT_METHOD,
    io::CONNECT_METHOD,
    io::CONNECT_CLOSE,
    io::CONNECT_MAP_MEMORY,
    io::CONNECT_SET_NOTIFICATION_PORT,
];

/// One thread.
pub(super) struct Acts<'a> {
    user: &'a UserThread,
    bytes: &'a Bytes,
    buffer: u64,
    names: Vec<u32>,
    memory: Vec<u64>,
}

impl<'a> Acts<'a> {
    pub fn new(user: &'a UserThread, bytes: &'a Bytes) -> Self {
        Self { user, bytes, buffer: 0, names: Vec::new(), memory: Vec::new() }
    }

    /// Acts until there are no more bytes, or the thread is over.
    pub fn run(mut self) {
        self.buffer = self.trap(Trap::VmAllocate, &[0, BUFFER, flag::ANYWHERE]).unwrap_or(0);
        while !self.bytes.is_empty() && !self.user.is_over() {
            self.act();
        }
    }

    fn trap(&self, trap: Trap, arguments: &[u64]) -> Option<u64> {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        let (code, value) = self.user.trap(trap as u64, all);
        code.is_success().then_some(value)
    }

    fn remember(&mut self, name: u32) {
        self.names.push(name);
        if self.names.len() > REMEMBERED {
            self.names.remove(0);
        }
    }

    /// A name that means something, most of the time.
    fn name(&self) -> u32 {
        match self.names.len() {
            0 => u32::from(self.bytes.next()),
            count => match self.bytes.next() {
                255 => u32::MAX,
                254 => 0,
                253 => self.names[0] ^ 1 << 20,
                byte => self.names[usize::from(byte) % count],
            },
        }
    }

    /// An address that is there, most of the time.
    fn address(&self) -> u64 {
        match self.memory.len() {
            0 => self.bytes.word(),
            count => match self.bytes.next() {
                250.. => self.bytes.word(),
                byte => self.memory[usize::from(byte) % count] + u64::from(self.bytes.next()),
            },
        }
    }

    fn act(&mut self) {
        match self.bytes.next() % 18 {
            0 => self.anything(),
            1 | 2 => self.allocate_name(),
            3..=5 => self.send(),
            6 | 7 => self.receive(),
            8 => self.allocate_memory(),
            9 => self.change_memory(),
            10 => self.change_name(),
            11 => self.ask_for_notification(),
            12..=14 => self.request(),
            15 => self.be_a_task(),
            16 => self.fault(),
            _ => _ = self.trap(Trap::Sleep, &[u64::from(self.bytes.next()) * 100]),
        }
    }

    /// Any trap with anything in its registers. What waits without an end is left to the others.
    fn anything(&mut self) {
        let number = u64::from(self.bytes.next()) % 80;
        let arguments = [(); 6].map(|()| self.bytes.word());
        let waits = [Trap::Message as u64, Trap::Sleep as u64];
        if !waits.contains(&number) {
            self.user.trap(number, arguments);
        }
    }

    fn allocate_name(&mut self) {
        let kind = [Right::Receive, Right::Receive, Right::PortSet, Right::DeadName][self.bytes.below(4)];
        let Some(name) = self.trap(Trap::PortAllocate, &[kind as u64]) else { return };
        if self.bytes.next() & 1 != 0 {
            self.trap(Trap::PortMakeSend, &[name]);
        }
        self.remember(name as u32);
    }

    fn allocate_memory(&mut self) {
        let bytes = u64::from(self.bytes.next()) * 64;
        let fixed = USER_BASE + u64::from(self.bytes.next()) * PAGE;
        let how = self.bytes.next() & 1;
        if let Some(address) = self.trap(Trap::VmAllocate, &[fixed, bytes, how.into()]) {
            self.memory.push(address);
            if self.memory.len() > REMEMBERED {
                self.memory.remove(0);
            }
        }
    }

    fn change_memory(&mut self) {
        let (address, bytes) = (self.address(), u64::from(self.bytes.next()) * 64);
        match self.bytes.next() % 3 {
            0 => self.trap(Trap::VmDeallocate, &[address, bytes]),
            1 => self.trap(Trap::VmProtect, &[address, bytes, u64::from(self.bytes.next()) % 9]),
            _ => self.trap(Trap::VmCopy, &[address & !(PAGE - 1), bytes, self.address() & !(PAGE - 1)]),
        };
    }

    fn change_name(&mut self) {
        let (name, other) = (u64::from(self.name()), u64::from(self.name()));
        let byte = u64::from(self.bytes.next());
        match byte % 7 {
            0 => self.trap(Trap::PortDeallocate, &[name]),
            1 => self.trap(Trap::PortDestroy, &[name]),
            2 => self.trap(Trap::PortModReferences, &[name, byte / 7 % 5, (byte & 3).wrapping_sub(2)]),
            3 => self.trap(Trap::PortMoveMember, &[name, other]),
            4 => self.trap(Trap::PortSetQueueLimit, &[name, byte % 18]),
            5 => self.trap(Trap::PortMakeSend, &[name]),
            _ => self.trap(Trap::TaskSetExceptionPort, &[name]),
        };
    }

    fn ask_for_notification(&mut self) {
        let id = 69 + u64::from(self.bytes.next() % 4);
        let (about, told) = (self.name().into(), self.name().into());
        let once = [Disposition::MakeSendOnce, Disposition::MoveSendOnce][self.bytes.below(2)];
        let sync = u64::from(self.bytes.next() % 3);
        let asked = [about, id, sync, told, once as u64];
        if let Some(before) = self.trap(Trap::PortRequestNotification, &asked).filter(|&name| name != 0) {
            self.remember(before as u32);
        }
    }

    fn descriptor(&self) -> [u8; DESCRIPTOR_BYTES] {
        let byte = self.bytes.next();
        if byte % 4 == 0 {
            let (address, size) = (self.address(), u32::from(self.bytes.next()) * 40);
            return Descriptor::OutOfLine { address, size, deallocate: byte & 16 != 0 }.encode();
        }
        let disposition = Disposition::ALL[usize::from(byte >> 2) % 6];
        Descriptor::Port { name: self.name(), disposition }.encode()
    }

    /// Any message to anybody, with what it takes to make rights go in circles.
    fn send(&mut self) {
        let count = u32::from(self.bytes.next() % 4);
        let remote = Disposition::ALL[self.bytes.below(6)] as u32;
        let local = [0, 19, 20, 21, 18][self.bytes.below(5)];
        let complex = if count > 0 { COMPLEX } else { 0 };
        let header = Header {
            bits: remote | local << 8 | complex,
            remote: self.name(),
            local: if local == 0 { 0 } else { self.name() },
            id: self.bytes.next().into(),
            descriptors: count,
            ..Header::default()
        };
        let items: Vec<u8> = (0..count).flat_map(|_| self.descriptor()).collect();
        let body = vec![self.bytes.next(); self.bytes.below(64)];
        self.post(&[&header.encode()[..], &items, &body].concat());
    }

    fn post(&mut self, message: &[u8]) {
        if self.user.store(self.buffer, message).is_ok() {
            let options = option::SEND | option::SEND_TIMEOUT;
            self.trap(Trap::Message, &[self.buffer, options, message.len() as u64, 0, 0, PATIENCE]);
        }
    }

    fn receive(&mut self) {
        let name = self.name();
        let large = u64::from(self.bytes.next() & 1) * option::RECEIVE_LARGE;
        let room = u64::from(self.bytes.next()) * 8;
        self.receive_at(name, option::RECEIVE | option::RECEIVE_TIMEOUT | large, room);
    }

    /// Receives, and remembers what came.
    fn receive_at(&mut self, name: u32, options: u64, room: u64) {
        let arguments = [self.buffer, options, 0, room, name.into(), PATIENCE];
        let Some(bytes) = self.trap(Trap::Message, &arguments) else { return };
        let mut message = vec![0; bytes as usize];
        if self.user.load(self.buffer, &mut message).is_err() {
            return;
        }
        let Some((head, rest)) = message.split_first_chunk::<HEADER_BYTES>() else { return };
        let header = Header::decode(head);
        self.remember(header.remote);
        for item in rest.chunks_exact(DESCRIPTOR_BYTES).take(header.descriptors as usize) {
            match item.try_into().ok().and_then(Descriptor::decode) {
                Some(Descriptor::Port { name, .. }) => self.remember(name),
                Some(Descriptor::OutOfLine { address, .. }) => self.memory.push(address),
                None => {}
            }
        }
        // An exception: now and then it is said to be handled.
        if header.id == exception::RAISE {
            let bits = Disposition::MoveSendOnce as u32;
            let id = exception::RAISE_REPLY;
            let answer = Header { bits, remote: header.remote, id, ..Header::default() };
            let code = u32::from(self.bytes.next() & 3);
            self.post(&[&answer.encode()[..], &code.to_le_bytes()].concat());
        }
    }

    /// A request to one of the kernel's objects, more or less as it should be, and its answer.
    fn request(&mut self) {
        let host = self.trap(Trap::HostSelf, &[]).unwrap_or(0) as u32;
        let id = REQUESTS[self.bytes.below(REQUESTS.len())];
        let to = if id == io::GET_MATCHING_SERVICE { host } else { self.name() };
        let body = match id {
            io::GET_MATCHING_SERVICE => {
                let index = u32::from(self.bytes.next() % 3).to_le_bytes();
                [&index[..], CLASSES[self.bytes.below(CLASSES.len())]].concat()
            }
            io::CONNECT_METHOD => self.method(),
            _ => u32::from(self.bytes.next() & 1).to_le_bytes().to_vec(),
        };
        let Some(answers) = self.trap(Trap::PortAllocate, &[Right::Receive as u64]) else { return };
        let item = if self.bytes.next() % 4 == 0 || id == io::CONNECT_SET_NOTIFICATION_PORT {
            self.descriptor().to_vec()
        } else {
            Vec::new()
        };
        let complex = if item.is_empty() { 0 } else { COMPLEX };
        let bits = Disposition::CopySend as u32 | (Disposition::MakeSendOnce as u32) << 8 | complex;
        let descriptors = u32::from(!item.is_empty());
        let header = Header { bits, remote: to, local: answers as u32, id, descriptors, ..Header::default() };
        self.post(&[&header.encode()[..], &item, &body].concat());
        self.receive_at(answers as u32, option::RECEIVE | option::RECEIVE_TIMEOUT, BUFFER);
        self.trap(Trap::PortDestroy, &[answers]);
    }

    fn method(&self) -> Vec<u8> {
        let (scalars, bytes) = (self.bytes.below(4), self.bytes.below(3) * 512);
        let counts = [
            u32::from(self.bytes.next() % 6),
            scalars as u32,
            bytes as u32,
            u32::from(self.bytes.next() % 4),
            u32::from(self.bytes.next() % 3) * 512,
            0,
        ];
        let mut body: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        body.resize(method::REQUEST, 0);
        body.extend((0..scalars).flat_map(|_| self.bytes.word().to_le_bytes()));
        body.resize(body.len() + bytes, self.bytes.next());
        // Now and then a little less than it says.
        body.truncate(body.len() - usize::from(self.bytes.next() == 255));
        body
    }

    fn be_a_task(&mut self) {
        match self.bytes.next() % 8 {
            0..=2 => _ = self.trap(Trap::ThreadCreate, &[1, 0, 0]),
            3..=5 => {
                if let Some(own) = self.trap(Trap::TaskSelf, &[]) {
                    self.remember(own as u32);
                }
            }
            6 => {
                let thread = self.trap(Trap::ThreadSelf, &[]).unwrap_or(0);
                self.trap(Trap::ThreadTerminate, &[thread + u64::from(self.bytes.next() % 3)]);
            }
            _ if self.bytes.next() > 200 => _ = self.trap(Trap::TaskTerminate, &[self.name().into()]),
            _ => _ = self.trap(Trap::Print, &[self.address(), self.bytes.next().into()]),
        }
    }

    /// Memory that may not be there.
    fn fault(&mut self) {
        let address = self.address();
        _ = match self.bytes.next() % 3 {
            0 => self.user.load(address, &mut [0; 16]),
            1 => self.user.store(address, &[7; 16]),
            _ => Ok(()),
        };
    }
}
