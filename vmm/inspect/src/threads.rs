//! Threads of a machine that stands still: the kernel's own, each with its registers; and the processors that run none of these.

use crate::memory::Physical;
use crate::paging::Space;
use crate::published::{Directory, Entry, Root};
use crate::registers::{Cpu, Registers};
use abi::threads::{DEAD, FRAME_REGISTERS, RUNNABLE, RUNNING, WAITING};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of the stand-ins for processors that run no known thread: this and the processor's number.
pub const CPU_THREADS: u32 = 1_000_000_000;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A processor runs it.
    Running,
    /// It waits for a processor.
    Runnable,
    /// It is blocked.
    Waiting,
    /// It has ended.
    Dead,
    /// It stands for a processor that runs no known thread.
    Processor,
    /// The kernel says something that is no state.
    Unknown,
}

impl State {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Runnable => "runnable",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Processor => "processor",
            Self::Unknown => "unknown",
        }
    }
}

/// The lock that a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWait {
    /// Its number.
    pub lock: u64,
    /// The thread that has it; 0 = readers.
    pub owner: u32,
    /// Its class, such as that of a driver's gate, if it has one.
    pub class: Option<String>,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: State,
    /// The processor that runs it.
    pub cpu: Option<usize>,
    /// The processor runs its user code.
    pub user: bool,
    /// The priority that holds.
    pub priority: u8,
    /// The priority that was asked for.
    pub base: u8,
    /// Its policy's name.
    pub policy: String,
    /// Number and name of its task; `None`: it is the kernel's.
    pub task: Option<(u32, String)>,
    /// The event that it waits for.
    pub event: Option<u64>,
    /// The lock that it waits for.
    pub lock: Option<LockWait>,
    /// The classes of the locks that it has, gates among them, the last one taken first.
    pub held: Vec<String>,
    /// Its registers in the kernel; `None`: they cannot be found.
    #[serde(skip)]
    pub registers: Option<Registers>,
}

/// All threads: first those that processors run, in the order of `cpus`, then the others by number. `root`: where the kernel's
/// [`Root`](abi::threads::Root) is, if it publishes one. The first processor's page tables are the kernel's.
pub fn threads(memory: &dyn Physical, root: Option<u64>, cpus: &[Cpu]) -> Vec<Thread> {
    let paging = cpus.first().map(|cpu| cpu.paging).unwrap_or_default();
    let space = Space::new(memory, paging);
    let found = root.and_then(|root| {
        let root = Root::read(&space, root)?;
        let directory = Directory::read(&space, root.directory);
        Some(Reader { space, root, directory })
    });
    match found {
        Some(reader) => reader.threads(cpus),
        None => cpus.iter().map(stand_in).collect(),
    }
}

fn stand_in(cpu: &Cpu) -> Thread {
    Thread {
        id: CPU_THREADS + cpu.number as u32,
        name: format!("cpu{}", cpu.number),
        state: State::Processor,
        cpu: Some(cpu.number),
        user: cpu.registers.is_user(),
        priority: 0,
        base: 0,
        policy: String::new(),
        task: None,
        event: None,
        lock: None,
        held: Vec::new(),
        registers: Some(cpu.registers),
    }
}

struct Reader<'a> {
    space: Space<'a>,
    root: Root,
    directory: Directory,
}

impl Reader<'_> {
    fn threads(&self, cpus: &[Cpu]) -> Vec<Thread> {
        let running = self.running(cpus);
        let mut found = Vec::new();
        for cpu in cpus {
            match running.get(&cpu.number).and_then(|id| self.directory.threads.get(id)) {
                Some(entry) => found.push(self.thread(entry, Some(cpu), cpu)),
                None => found.push(stand_in(cpu)),
            }
        }
        let Some(first) = cpus.first() else { return found };
        let ids: Vec<u32> = running.into_values().collect();
        let rest = self.directory.threads.values().filter(|entry| !ids.contains(&entry.id));
        found.extend(rest.map(|entry| self.thread(entry, None, first)));
        found
    }

    /// The thread that each processor runs. One that is about to change stacks already names the next, on the stack of the one before: it
    /// counts for none, since both are where they were left.
    fn running(&self, cpus: &[Cpu]) -> BTreeMap<usize, u32> {
        let threads = &self.directory.threads;
        let stack_of = |address| self.root.stack_of(address);
        let stacks: BTreeMap<u64, u32> =
            threads.values().filter_map(|entry| Some((stack_of(entry.context)?, entry.id))).collect();
        let mut running = BTreeMap::new();
        for cpu in cpus {
            let Some(id) = self.root.thread_on(&self.space, cpu.number) else { continue };
            let on = stack_of(cpu.registers.rsp).and_then(|stack| stacks.get(&stack));
            let elsewhere = !cpu.registers.is_user() && on.is_some_and(|&other| other != id);
            if threads.contains_key(&id) && !elsewhere && !running.values().any(|&other| other == id) {
                running.insert(cpu.number, id);
            }
        }
        running
    }

    /// `like`: a processor whose segments the thread has.
    fn thread(&self, entry: &Entry, cpu: Option<&Cpu>, like: &Cpu) -> Thread {
        let user = cpu.is_some_and(|cpu| cpu.registers.is_user());
        let registers = match cpu {
            Some(cpu) if user => {
                let frame = self.root.user_frame(&self.space, cpu.number);
                frame.and_then(|frame| self.saved(frame, cpu)).or(Some(cpu.registers))
            }
            Some(cpu) => Some(cpu.registers),
            None => {
                let frame = self.root.frame(&self.space, entry.context);
                frame.and_then(|frame| self.saved(frame, like))
            }
        };
        let wait = entry.lock != 0;
        Thread {
            id: entry.id,
            name: entry.name.clone(),
            state: state(entry.state, cpu.is_some()),
            cpu: cpu.map(|cpu| cpu.number),
            user,
            priority: entry.priority,
            base: entry.base,
            policy: entry.policy.clone(),
            task: (entry.task != 0).then(|| (entry.task, entry.task_name.clone())),
            event: (entry.event != 0 && !wait).then_some(entry.event),
            lock: wait.then(|| LockWait {
                lock: entry.lock,
                owner: entry.lock_owner,
                class: self.directory.class(entry.lock_class).map(str::to_owned),
            }),
            held: self.directory.held_by(entry.id),
            registers,
        }
    }

    /// The registers that a switch left at `frame`.
    fn saved(&self, frame: u64, like: &Cpu) -> Option<Registers> {
        const BYTES: usize = FRAME_REGISTERS.len() * 8;
        let bytes: [u8; BYTES] = self.space.bytes(frame)?;
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or(0);
        let [r15, r14, r13, r12, rbx, rbp, rip] = core::array::from_fn(|_| next());
        let rsp = frame.checked_add(BYTES as u64)?;
        let (kernel_code, kernel_data) = match like.registers.is_user() {
            true => (0, 0),
            false => (like.registers.cs, like.registers.ss),
        };
        Some(Registers {
            r15,
            r14,
            r13,
            r12,
            rbx,
            rbp,
            rip,
            rsp,
            cs: kernel_code,
            ss: kernel_data,
            rflags: 2,
            ..Registers::default()
        })
    }
}

fn state(told: u8, on_cpu: bool) -> State {
    match told {
        _ if on_cpu => State::Running,
        // It says so, and no processor does: it is about to run, or has just been left.
        RUNNING | RUNNABLE => State::Runnable,
        WAITING => State::Waiting,
        DEAD => State::Dead,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::flat::Flat;
    use abi::threads::{
        DIRECTORY_MAGIC, HELD_AT, HELD_BYTES, NAME_BYTES, ROOT_MAGIC, VERSION, directory, entry, root,
    };

    const ROOT: u64 = 0x1000;
    const BLOCKS: u64 = 0x1100;
    const DIRECTORY: u64 = 0x2000;
    const CHUNK: u64 = 0x3000;
    const ENTRIES: u64 = 0x4000;
    const HELD: u64 = 0x5000;
    const CLASSES: u64 = 0x6000;
    const STACKS: u64 = 0x10_000;
    const SLOT: u64 = 0x1000;

    fn half(memory: &mut Flat, at: u64, value: u32) {
        memory.put_bytes(at, &value.to_le_bytes());
    }

    /// Two processors; thread 1 runs on the first, thread 2 waits for its gate.
    fn machine() -> Flat {
        let mut m = Flat(0, vec![0; 0x20_000]);
        m.put(ROOT, ROOT_MAGIC);
        for (at, value) in [
            (root::VERSION, VERSION),
            (root::BLOCKS, 2),
            (root::BLOCK_BYTES, 64),
            (root::THREAD_AT, 8),
            (root::USER_STACK_AT, 16),
            (root::BUSY_AT, 8),
        ] {
            half(&mut m, ROOT + at as u64, value);
        }
        for (at, value) in [
            (root::DIRECTORY, DIRECTORY),
            (root::FIRST_BLOCK, BLOCKS),
            (root::STACKS, STACKS),
            (root::STACK_SLOT, SLOT),
        ] {
            m.put(ROOT + at as u64, value);
        }
        half(&mut m, BLOCKS + 8, 1);
        m.put(DIRECTORY, DIRECTORY_MAGIC);
        half(&mut m, DIRECTORY + directory::VERSION as u64, VERSION);
        half(&mut m, DIRECTORY + directory::HELD_COUNT as u64, 4);
        m.put(DIRECTORY + directory::HELD as u64, HELD);
        m.put(DIRECTORY + directory::CLASSES as u64, CLASSES);
        m.put(DIRECTORY + directory::CHUNKS as u64, CHUNK);
        for (n, name) in [(1u64, "loop"), (2, "client")] {
            let at = ENTRIES + n * 0x200;
            m.put(CHUNK + n * 8, at);
            half(&mut m, at, n as u32);
            let context = STACKS + n * SLOT - 64;
            m.put(at + entry::CONTEXT as u64, context);
            m.put_bytes(at + entry::NAME as u64, name.as_bytes());
            m.put_bytes(at + entry::STATE as u64, &[if n == 1 { RUNNING } else { WAITING }, 81, 80]);
            // Left with r15 … at 256 bytes below.
            m.put(context, context - 256);
            for register in 0..7 {
                m.put(context - 256 + register * 8, n * 100 + register);
            }
        }
        let client = ENTRIES + 2 * 0x200;
        m.put(client + entry::LOCK as u64, 9);
        half(&mut m, client + entry::LOCK_OWNER as u64, 1);
        m.put_bytes(client + entry::LOCK_CLASS as u64, &[2]);
        half(&mut m, HELD + HELD_BYTES as u64, 1);
        m.put(HELD + HELD_BYTES as u64 + HELD_AT as u64, 2);
        m.put_bytes(CLASSES + NAME_BYTES as u64, b"Edu gate");
        m
    }

    fn cpu(number: usize, rsp: u64) -> Cpu {
        let registers = Registers { rsp, rip: 0x77, ..Registers::default() };
        Cpu { number, registers, ..Cpu::default() }
    }

    #[test]
    fn each_thread_has_its_registers_and_its_gates() {
        let memory = machine();
        let found = threads(&memory, Some(ROOT), &[cpu(0, STACKS + 0x800), cpu(1, 0)]);
        let ids: Vec<u32> = found.iter().map(|thread| thread.id).collect();
        assert_eq!(ids, [1, CPU_THREADS + 1, 2]);
        assert_eq!((found[0].state, found[0].cpu, &*found[0].name), (State::Running, Some(0), "loop"));
        assert_eq!(found[0].registers.map(|r| r.rip), Some(0x77));
        assert_eq!(found[0].held, ["Edu gate"]);
        let client = &found[2];
        assert_eq!((client.state, client.priority, client.base), (State::Waiting, 81, 80));
        let lock = client.lock.as_ref().expect("it waits");
        assert_eq!((lock.owner, lock.class.as_deref()), (1, Some("Edu gate")));
        let r = client.registers.expect("it was left");
        let frame = STACKS + 2 * SLOT - 64 - 256;
        assert_eq!((r.r15, r.rbp, r.rip, r.rsp), (200, 205, 206, frame + 56));
    }

    #[test]
    fn a_processor_in_midst_of_a_switch_runs_neither() {
        let memory = machine();
        let found = threads(&memory, Some(ROOT), &[cpu(0, STACKS + SLOT + 0x800)]);
        let ids: Vec<u32> = found.iter().map(|thread| thread.id).collect();
        assert_eq!(ids, [CPU_THREADS, 1, 2]);
        assert_eq!(found[1].registers.map(|r| r.rip), Some(106), "where it was left");
    }

    #[test]
    fn a_guest_that_publishes_nothing_has_its_processors() {
        let memory = Flat(0, vec![0; 0x2000]);
        for root in [None, Some(ROOT), Some(u64::MAX)] {
            let found = threads(&memory, root, &[cpu(0, 5)]);
            assert_eq!((found.len(), found[0].id, &*found[0].name), (1, CPU_THREADS, "cpu0"));
        }
    }

    #[test]
    fn any_byte_of_it_may_be_wrong() {
        for at in (0x1000..0x7000).filter(|at| machine().1[*at] != 0) {
            for value in [0xff, 0x80, 0] {
                let mut memory = machine();
                memory.1[at] = value;
                let found = threads(&memory, Some(ROOT), &[cpu(0, STACKS + 0x800)]);
                assert!(found.len() <= 3, "{at:#x}");
            }
        }
    }
}
