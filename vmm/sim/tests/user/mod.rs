//! User tasks for tests: programs are closures, rights are handed round by a board that stands for a port.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use abi::{
    Descriptor, Disposition, Header, KernReturn, Trap,
    message::{self, DESCRIPTOR_BYTES, HEADER_BYTES, MESSAGE_MAX, option},
    port::Right,
    space::flag,
};
use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, KernelPort, Request, SendRight},
    task::{Program, Task, TaskPlan, UserThread},
};

/// Ids of messages to the board: put a right there, get a copy of one.
pub const PUT: u32 = 1;
pub const GET: u32 = 2;
/// A port of its own for the board, so that answers do not meet other messages.
const ONE_SECOND: u64 = 1_000_000_000;

/// A message, as user code has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub header: Header,
    pub items: Vec<Descriptor>,
    pub body: Vec<u8>,
}

/// A right as a descriptor.
pub fn right(name: u32, disposition: Disposition) -> Descriptor {
    Descriptor::Port { name, disposition }
}

/// The name that a descriptor carries.
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

    pub fn reply_to(mut self, name: u32, disposition: Disposition) -> Self {
        self.header.local = name;
        self.header.bits |= (disposition as u32) << 8;
        self
    }

    pub fn with(mut self, item: Descriptor) -> Self {
        self.items.push(item);
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut header = self.header;
        if !self.items.is_empty() {
            header.bits |= message::COMPLEX;
            header.descriptors = self.items.len() as u32;
        }
        let items = self.items.iter().flat_map(Descriptor::encode);
        header.encode().into_iter().chain(items).chain(self.body.iter().copied()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>().expect("a header");
        let header = Header::decode(head);
        assert_eq!(header.size as usize, bytes.len());
        let (items, body) = rest.split_at(header.descriptors as usize * DESCRIPTOR_BYTES);
        let item = |bytes: &[u8]| Descriptor::decode(bytes.try_into().unwrap()).expect("a descriptor");
        Self { header, items: items.chunks_exact(DESCRIPTOR_BYTES).map(item).collect(), body: body.to_vec() }
    }
}

/// A user thread with what tests need.
pub struct User<'a> {
    pub thread: &'a UserThread,
    buffer: Cell<u64>,
    answers: Cell<u32>,
}

impl<'a> User<'a> {
    pub fn new(thread: &'a UserThread) -> Self {
        Self { thread, buffer: Cell::new(0), answers: Cell::new(0) }
    }

    pub fn trap(&self, trap: Trap, arguments: &[u64]) -> Result<u64, KernReturn> {
        let (code, value) = self.raw(trap as u64, arguments);
        code.ok(value)
    }

    pub fn raw(&self, number: u64, arguments: &[u64]) -> (KernReturn, u64) {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        self.thread.trap(number, all)
    }

    pub fn allocate(&self, kind: Right) -> u32 {
        self.trap(Trap::PortAllocate, &[kind as u64]).expect("a name") as u32
    }

    /// A port with a receive and a send right.
    pub fn port(&self) -> u32 {
        let name = self.allocate(Right::Receive);
        self.trap(Trap::PortMakeSend, &[name.into()]).expect("a send right");
        name
    }

    pub fn references(&self, name: u32, kind: Right) -> Result<u64, KernReturn> {
        self.trap(Trap::PortGetReferences, &[name.into(), kind as u64])
    }

    pub fn destroy(&self, name: u32) {
        self.trap(Trap::PortDestroy, &[name.into()]).expect("a name");
    }

    pub fn memory(&self, bytes: u64) -> u64 {
        self.trap(Trap::VmAllocate, &[0, bytes, flag::ANYWHERE]).expect("memory")
    }

    pub fn load(&self, address: u64, bytes: usize) -> Vec<u8> {
        let mut into = vec![0; bytes];
        self.thread.load(address, &mut into).expect("memory that can be read");
        into
    }

    pub fn store(&self, address: u64, bytes: &[u8]) {
        self.thread.store(address, bytes).expect("memory that can be written");
    }

    fn buffer(&self) -> Result<u64, KernReturn> {
        if self.buffer.get() == 0 {
            let buffer = self.trap(Trap::VmAllocate, &[0, MESSAGE_MAX as u64, flag::ANYWHERE])?;
            self.buffer.set(buffer);
        }
        Ok(self.buffer.get())
    }

    pub fn send(&self, mail: &Mail) -> Result<(), KernReturn> {
        self.send_within(mail, None)
    }

    pub fn send_within(&self, mail: &Mail, timeout: Option<u64>) -> Result<(), KernReturn> {
        let bytes = mail.encode();
        let buffer = self.buffer()?;
        self.thread.store(buffer, &bytes).map_err(|_| KernReturn::Terminated)?;
        let options = option::SEND | timeout.map_or(0, |_| option::SEND_TIMEOUT);
        let size = bytes.len() as u64;
        self.trap(Trap::Message, &[buffer, options, size, 0, 0, timeout.unwrap_or(0)]).map(drop)
    }

    pub fn receive(&self, name: u32) -> Result<Mail, KernReturn> {
        self.receive_within(name, None)
    }

    pub fn receive_within(&self, name: u32, timeout: Option<u64>) -> Result<Mail, KernReturn> {
        let buffer = self.buffer()?;
        let options = option::RECEIVE | timeout.map_or(0, |_| option::RECEIVE_TIMEOUT);
        let room = MESSAGE_MAX as u64;
        let arguments = [buffer, options, 0, room, name.into(), timeout.unwrap_or(0)];
        let bytes = self.trap(Trap::Message, &arguments)?;
        let mut mail = vec![0; bytes as usize];
        self.thread.load(buffer, &mut mail).map_err(|_| KernReturn::Terminated)?;
        Ok(Mail::decode(&mail))
    }

    /// What is queued already.
    pub fn poll(&self, name: u32) -> Result<Mail, KernReturn> {
        self.receive_within(name, Some(0))
    }

    /// Sends, and receives the answer at a port of its own.
    pub fn call(&self, mail: Mail) -> Result<Mail, KernReturn> {
        if self.answers.get() == 0 {
            self.answers.set(self.trap(Trap::PortAllocate, &[Right::Receive as u64])? as u32);
        }
        let answers = self.answers.get();
        self.send(&mail.reply_to(answers, Disposition::MakeSendOnce))?;
        self.receive_within(answers, Some(60 * ONE_SECOND))
    }

    fn board(&self) -> u32 {
        self.trap(Trap::HostSelf, &[]).expect("a board") as u32
    }

    /// Puts a right on the board.
    pub fn put(&self, slot: u32, item: Descriptor) {
        let mail = Mail::to(self.board(), Disposition::MoveSend, PUT).with(item).body(&slot.to_le_bytes());
        match self.send(&mail) {
            // Who has the right by now may have used it.
            Ok(()) | Err(KernReturn::Terminated) => {}
            Err(why) => panic!("the board takes it: {why}"),
        }
    }

    /// A copy of a send right from the board, as soon as it is there.
    pub fn get(&self, slot: u32) -> Result<u32, KernReturn> {
        loop {
            let mail = Mail::to(self.board(), Disposition::MoveSend, GET).body(&slot.to_le_bytes());
            match name_in(&self.call(mail)?.items[0]) {
                0 => self.trap(Trap::Sleep, &[10_000]).map(drop)?,
                name => return Ok(name),
            }
        }
    }
}

/// A kernel object that keeps send rights by number.
#[derive(Default)]
pub struct Board {
    rights: Mutex<BTreeMap<u32, SendRight>>,
}

impl KernelObject for Board {
    fn message(&self, _: &KernelRef, _: &Arc<Task>, mut request: Request) -> Option<Answer> {
        let slot = message::word(&request.body, 0);
        let mut answer = Answer::default();
        match request.id {
            PUT => {
                let mut rights = self.rights.lock().unwrap();
                let before = match request.items.pop() {
                    Some(Item::Port(right)) => rights.insert(slot, right),
                    _ => rights.remove(&slot),
                };
                drop(rights);
                drop(before);
            }
            GET => {
                let copy = self.rights.lock().unwrap().get(&slot).and_then(SendRight::duplicate);
                answer.items.push(copy.map_or(Item::Nothing, Item::Port));
            }
            _ => return None,
        }
        Some(answer)
    }
}

/// Lets tasks of `kernel` find each other's ports until it is dropped.
pub struct Meeting {
    board: Arc<Board>,
    _port: KernelPort,
}

impl Meeting {
    pub fn new(kernel: &KernelRef) -> Self {
        let board = Arc::new(Board::default());
        let port = KernelPort::of(kernel, board.clone());
        kernel.set_host_port(port.make_send());
        Self { board, _port: port }
    }

    /// Takes all rights off the board.
    pub fn clear(&self) {
        let rights = std::mem::take(&mut *self.board.rights.lock().unwrap());
        drop(rights);
    }
}

/// Starts a task that runs `body`.
pub fn task(kernel: &KernelRef, name: &str, body: impl Fn(&User) + Send + Sync + 'static) -> Arc<Task> {
    task_with(kernel, name, move |user, _, _| {
        body(user);
        0
    })
}

/// Starts a task whose threads run `body` with (entry, argument).
pub fn task_with(
    kernel: &KernelRef,
    name: &str,
    body: impl Fn(&User, u64, u64) -> u64 + Send + Sync + 'static,
) -> Arc<Task> {
    let run = move |thread: &UserThread, entry, argument| body(&User::new(thread), entry, argument);
    kernel.create_task(TaskPlan::new(name, Program::native(run))).expect("a task")
}

/// Runs `body` as a task's only thread, and waits until it is gone.
pub fn run(kernel: &KernelRef, body: impl Fn(&User) + Send + Sync + 'static) {
    join(kernel, task(kernel, "user", body));
}

/// Waits until `task` is gone; nobody keeps what is left of it.
pub fn join(kernel: &KernelRef, task: Arc<Task>) -> u64 {
    task.wait_gone(kernel)
}

/// Nothing of any task is left, but for `ports` ports of the kernel's objects. What other threads still hold on their stacks goes in a moment.
pub fn assert_nothing_left(kernel: &KernelRef, ports: u32) {
    let left =
        || kernel.resources().map(|(name, count)| (name, count - if name == "Port" { ports } else { 0 }));
    let is_clean = || left().iter().all(|(_, count)| *count == 0);
    for _ in 0..1_000 {
        if is_clean() {
            return;
        }
        kernel.delay(10_000);
    }
    panic!("left: {:?}", left());
}
