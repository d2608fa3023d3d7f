//! A program that means no good: traps with arguments that are wrong in every way it can think of, messages that make no sense, rights in
//! circles, memory under its own feet, threads that do the same; and in the end, or before, something that no program should do.
//!
//! What it does follows from its seed. It cannot tell anybody how it went: what counts is that the kernel and everybody else are as before.

use crate::io::{Arguments, Connection, Service};
use crate::memory::Memory;
use crate::message::Mailbox;
use crate::os::{Crash, Os, Result};
use crate::port::Port;
use crate::random::Random;
use crate::start::{info, told};
use crate::thread;
use abi::message::{COMPLEX, Disposition, HEADER_BYTES, option};
use abi::space::{ANYWHERE_BASE, PAGE, PROGRAM_BASE, STACK_TOP, USER_BASE, USER_END};
use abi::{Descriptor, Header, Trap};

/// Steps of a thread, if nobody says how many.
const ROUNDS: u64 = 200;
/// Bytes of the place for messages.
const SCRATCH: u64 = 4 * PAGE;
/// Longest wait of a step that would wait, in ns.
const WAIT: u64 = 200_000;
/// Helpers that one task starts at the most.
const HELPERS: u64 = 3;
/// A thread that was started with this bit in its argument starts no others.
const HELPER: u64 = 1 << 63;

/// One thread at it.
struct Villain<'a> {
    os: &'a dyn Os,
    random: Random,
    scratch: Memory<'a>,
    /// What came back from earlier calls: names, addresses.
    known: [u64; 16],
    helpers: u64,
}

/// The program.
pub fn run(os: &dyn Os, argument: u64) -> u64 {
    let seed = told(os, info::SEED) ^ argument.rotate_left(17);
    let rounds = match told(os, info::ROUNDS) {
        0 => ROUNDS,
        rounds => rounds,
    };
    let Ok(scratch) = Memory::new(os, SCRATCH) else { return 1 };
    let random = Random::new(seed);
    let helpers = if argument & HELPER == 0 { HELPERS } else { 0 };
    let mut villain = Villain { os, random, scratch, known: [0; 16], helpers };
    for _ in 0..rounds {
        villain.step();
    }
    // Three in four end badly.
    if villain.random.below(4) != 0 {
        let how = villain.random.of(&Crash::ALL);
        os.crash(how);
    }
    0
}

impl Villain<'_> {
    fn step(&mut self) {
        match self.random.below(16) {
            0..=5 => self.trap(),
            6..=9 => self.message(),
            10 if self.random.below(2) == 0 => _ = self.service(),
            10 => self.circle(),
            11 => self.memory(),
            12 => self.helper(),
            13 => self.task_of_its_own(),
            14 => self.garbage(),
            _ => _ = self.os.trap_by_number(self.random.next(), [self.random.next(); 6]),
        }
    }

    /// A number that might mean something.
    fn number(&mut self) -> u64 {
        let scratch = self.scratch.address();
        let random = &mut self.random;
        match random.below(12) {
            0 => 0,
            1 => random.below(8),
            2 => u64::MAX - random.below(4),
            3 => 1 << random.below(64),
            4 => random.next(),
            5 => random.next() & 0xffff_ffff,
            6 => random.of(&[USER_BASE, USER_END, PROGRAM_BASE, STACK_TOP, ANYWHERE_BASE]) + random.below(64),
            7 => random.of(&[0x20_0000, 0xffff_c000_0000_0000, 0x8000_0000_0000, USER_BASE - 1]),
            8 => scratch + random.below(SCRATCH),
            9 => scratch + random.below(4) * PAGE,
            10 => PAGE * random.below(64),
            _ => random.of(&self.known),
        }
    }

    /// A name that probably means something.
    fn name(&mut self) -> u64 {
        if self.random.below(4) == 0 { self.number() } else { self.random.of(&self.known) }
    }

    fn call(&mut self, trap: Trap, arguments: [u64; 6]) -> u64 {
        let (code, value) = self.os.trap(trap, arguments);
        if code.is_success() {
            let place = self.random.below(self.known.len() as u64) as usize;
            self.known[place] = value;
        }
        value
    }

    /// Any trap but those that end the thread or wait for long, with any arguments.
    fn trap(&mut self) {
        let trap = self.random.of(Trap::ALL);
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = if self.random.below(2) == 0 { self.number() } else { self.name() };
        }
        match trap {
            Trap::TaskTerminate if self.random.below(32) != 0 => return,
            Trap::ThreadExit | Trap::ThreadTerminate if self.random.below(16) != 0 => return,
            Trap::ThreadCreate => return self.helper(),
            Trap::Sleep => arguments[0] = self.random.below(WAIT),
            Trap::Message => {
                arguments[1] |= option::SEND_TIMEOUT | option::RECEIVE_TIMEOUT;
                arguments[5] = self.random.below(WAIT);
            }
            // Memory without end is the quota's business, once in a while.
            Trap::VmAllocate if self.random.below(4) != 0 => arguments[1] = self.random.below(1 << 20),
            Trap::Print => arguments[1] = 0,
            _ => {}
        }
        self.call(trap, arguments);
    }

    /// A message whose header and descriptors are half right.
    fn message(&mut self) {
        let descriptors = self.random.below(4) as u32;
        let mut at = HEADER_BYTES as u64;
        for _ in 0..descriptors {
            let descriptor = self.descriptor();
            _ = self.scratch.store(at, &descriptor);
            at += descriptor.len() as u64;
        }
        let complex = if descriptors != 0 || self.random.below(8) == 0 { COMPLEX } else { 0 };
        let [remote, local] = [0, 8].map(|shift| (self.random.of(&Disposition::ALL) as u32) << shift);
        let local = if self.random.below(2) == 0 { 0 } else { local };
        let noise = if self.random.below(8) == 0 { self.random.next() as u32 } else { 0 };
        let header = Header {
            bits: remote | local | complex | noise,
            size: self.random.next() as u32,
            remote: self.name() as u32,
            local: self.name() as u32,
            id: self.random.of(&[0, 69, 70, 72, 2401, 2501, 2800, 2810, 2811, 2820, 2821, 2822, 2823, 2920]),
            descriptors: if self.random.below(8) == 0 { self.random.next() as u32 } else { descriptors },
            sequence: self.random.next(),
        };
        _ = self.scratch.store(0, &header.encode());
        let size = if self.random.below(4) == 0 { self.number() } else { at + self.random.below(128) };
        let options = option::SEND_TIMEOUT | option::RECEIVE_TIMEOUT | self.random.of(&[1, 1, 2, 3, 7]);
        let room = if self.random.below(4) == 0 { self.number() } else { SCRATCH };
        let (name, wait) = (self.name(), self.random.below(WAIT));
        let address = if self.random.below(8) == 0 { self.number() } else { self.scratch.address() };
        self.call(Trap::Message, [address, options, size, room, name, wait]);
    }

    fn descriptor(&mut self) -> [u8; 16] {
        if self.random.below(6) == 0 {
            let (low, high) = (self.random.next().to_le_bytes(), self.random.next().to_le_bytes());
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&low);
            bytes[8..].copy_from_slice(&high);
            return bytes;
        }
        let descriptor = if self.random.below(2) == 0 {
            Descriptor::Port { name: self.name() as u32, disposition: self.random.of(&Disposition::ALL) }
        } else {
            let size = self.random.of(&[0, 1, 4095, 4096, 8193, 1 << 20, u32::MAX]);
            Descriptor::OutOfLine { address: self.number(), size, deallocate: self.random.below(4) == 0 }
        };
        descriptor.encode()
    }

    /// A receive right in a message to the very port, or two ports in messages to each other.
    fn circle(&mut self) {
        let ports = [(); 2].map(|()| self.call(Trap::PortAllocate, [1, 0, 0, 0, 0, 0]) as u32);
        for (to, carried) in [(ports[0], ports[1]), (ports[1], ports[0]), (ports[0], ports[0])] {
            let disposition =
                self.random.of(&[Disposition::MoveReceive, Disposition::MakeSend, Disposition::MakeSendOnce]);
            let header = Header {
                bits: Disposition::MakeSend as u32 | COMPLEX,
                remote: to,
                descriptors: 1,
                ..Header::default()
            };
            _ = self.scratch.store(0, &header.encode());
            let carried = Descriptor::Port { name: carried, disposition };
            _ = self.scratch.store(HEADER_BYTES as u64, &carried.encode());
            let options = option::SEND | option::SEND_TIMEOUT;
            self.call(Trap::Message, [self.scratch.address(), options, HEADER_BYTES as u64 + 16, 0, 0, 0]);
        }
    }

    /// A service, if the kernel has some: opened, called with whatever there is, closed or forgotten.
    fn service(&mut self) -> Result<()> {
        let mail = Mailbox::new(self.os)?;
        let class = self.random.of(&["IOService", "IOMedia", "EduDriver", "DaqDriver", "", "no such class"]);
        let index = self.random.below(8) as u32;
        let service = Service::find(&mail, class, index)?;
        let connection = service.open(&mail, self.random.of(&[0, 0, 0, 1, u32::MAX]))?;
        self.known[self.random.below(16) as usize] = u64::from(connection.0.0);
        self.known[self.random.below(16) as usize] = u64::from(service.0.0);
        for _ in 0..self.random.below(6) {
            // Whatever it answers, the next one comes.
            _ = self.method(&mail, connection);
        }
        match self.random.below(4) {
            0 => connection.close(&mail)?,
            1 => connection.0.release(self.os)?,
            _ => {}
        }
        if self.random.below(2) == 0 { mail.free() } else { Ok(()) }
    }

    /// A call of a connection, most of them wrong.
    fn method(&mut self, mail: &Mailbox<'_>, connection: Connection) -> Result<()> {
        let kind = self.random.below(3) as u32;
        match self.random.below(8) {
            0 => return connection.map(mail, kind).map(|_| ()),
            1 => {
                let told = Port(self.name() as u32);
                return connection.tell(mail, kind, told);
            }
            _ => {}
        }
        let selector = if self.random.below(8) == 0 { self.random.next() as u32 } else { kind };
        let scalars = [self.number(), self.random.below(64)];
        let (mut numbers, mut bytes) = ([0; 4], [0; 600]);
        let [in_count, out_count] = [(); 2].map(|()| self.random.below(3) as usize);
        let lengths = [0, 0, 1, 16, 20, 96, 512, 600];
        let [in_bytes, out_bytes] = [(); 2].map(|()| self.random.of(&lengths));
        let data = [0x5a; 600];
        let mut arguments = Arguments {
            scalar_input: &scalars[..in_count],
            struct_input: &data[..in_bytes],
            scalar_output: &mut numbers[..out_count],
            struct_output: &mut bytes[..out_bytes],
        };
        connection.call(mail, selector, &mut arguments).map(|_| ())
    }

    /// Memory comes, is written to, protected, copied onto itself, and goes, in part.
    fn memory(&mut self) {
        let bytes = PAGE * (1 + self.random.below(8));
        let Ok(memory) = Memory::new(self.os, bytes) else { return };
        _ = memory.store(self.random.below(bytes), &[1]);
        _ = memory.set_long(bytes - 8, self.random.next());
        let address = memory.address();
        let offset = PAGE * self.random.below(8);
        let [pages, protection] = [(); 2].map(|()| self.random.below(9));
        self.call(Trap::VmCopy, [address, PAGE * pages, address + offset, 0, 0, 0]);
        self.call(Trap::VmProtect, [address + offset, PAGE, protection, 0, 0, 0]);
        self.call(Trap::VmDeallocate, [address + offset, bytes, 0, 0, 0, 0]);
    }

    /// Another thread, which is no better.
    fn helper(&mut self) {
        if self.helpers != 0 {
            self.helpers -= 1;
            _ = thread::spawn(self.os, self.random.next() | HELPER);
        }
    }

    /// The task's own ports, and where its exceptions go.
    fn task_of_its_own(&mut self) {
        match self.random.below(4) {
            0 => _ = self.call(Trap::TaskSelf, [0; 6]),
            1 => _ = self.call(Trap::HostSelf, [0; 6]),
            2 => {
                let port = self.call(Trap::PortAllocate, [1, 0, 0, 0, 0, 0]);
                self.call(Trap::PortMakeSend, [port, 0, 0, 0, 0, 0]);
                // Nobody answers there: with luck, the thread that does something wrong waits for itself.
                if self.random.below(16) == 0 {
                    self.call(Trap::TaskSetExceptionPort, [port, 0, 0, 0, 0, 0]);
                }
            }
            _ => {
                let name = self.name();
                self.call(Trap::TaskSetExceptionPort, [name, 0, 0, 0, 0, 0]);
            }
        }
    }

    /// Memory that may not be there.
    fn garbage(&mut self) {
        // One that is not there ends the task: not too early.
        let address = if self.random.below(64) == 0 { self.number() } else { self.scratch.address() };
        if self.random.below(2) == 0 {
            _ = self.os.load(address, &mut [0; 24]);
        } else {
            _ = self.os.store(address, &[0xa5; 24]);
        }
    }
}
