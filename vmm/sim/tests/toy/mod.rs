//! A kernel of a hundred lines that uses every part of the seam: threads, one run queue, block and wake.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mach::seam::{ContextId, Machine, Point, RESCHEDULE_VECTOR};
use sim::{Outcome, Sim, SimMachine, Upcalls};
use trace::{Event, Kind, ring::Command};

pub type Body = Box<dyn FnOnce(&Arc<Toy>) + Send>;

#[derive(Default)]
struct State {
    /// Context and body of each thread; the first ones are the idle threads of the CPUs.
    threads: Vec<(Option<ContextId>, Option<Body>)>,
    ready: VecDeque<usize>,
    /// A wake that came before its block.
    tokens: Vec<bool>,
    blocked: Vec<bool>,
    dead: Vec<ContextId>,
}

pub struct Toy {
    pub machine: Arc<SimMachine>,
    locked: AtomicBool,
    state: Mutex<State>,
    /// Interrupts taken, by vector.
    pub interrupts: [AtomicU64; 256],
    /// The host said [`Command::Finish`].
    pub finish: AtomicBool,
}

impl Toy {
    pub fn new(machine: Box<SimMachine>) -> Arc<Self> {
        let cpus = machine.cpu_count();
        let state = State {
            threads: (0..=cpus).map(|_| (None, None)).collect(),
            tokens: vec![false; cpus + 1],
            blocked: vec![false; cpus + 1],
            ..State::default()
        };
        Arc::new(Self {
            machine: Arc::from(machine),
            locked: AtomicBool::new(false),
            state: Mutex::new(state),
            interrupts: [const { AtomicU64::new(0) }; 256],
            finish: AtomicBool::new(false),
        })
    }

    /// Takes the one lock, masked. The successor of a switch releases it.
    fn lock(&self) -> bool {
        let enabled = self.machine.mask();
        while self.locked.swap(true, Ordering::Acquire) {
            self.machine.relax();
        }
        enabled
    }

    fn unlock(&self, enable: bool) {
        self.locked.store(false, Ordering::Release);
        if enable {
            self.machine.unmask();
        }
    }

    pub fn spawn(&self, body: Body) -> usize {
        let enabled = self.lock();
        let mut state = self.state.lock().unwrap();
        let number = state.threads.len();
        let context = self.machine.create(number as u32).unwrap();
        state.threads.push((Some(context), Some(body)));
        state.tokens.push(false);
        state.blocked.push(false);
        state.ready.push_back(number);
        drop(state);
        self.unlock(enabled);
        self.kick();
        number
    }

    fn kick(&self) {
        for cpu in 0..self.machine.cpu_count() {
            if cpu != self.machine.cpu() {
                self.machine.ipi(cpu);
            }
        }
        self.machine.point(Point::Wake);
    }

    /// Waits for a [`Toy::wake`], or takes one that came before.
    pub fn block(&self) {
        let enabled = self.lock();
        let thread = self.machine.thread() as usize;
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.tokens[thread]) {
            drop(state);
            return self.unlock(enabled);
        }
        state.blocked[thread] = true;
        drop(state);
        self.switch();
        self.unlock(enabled);
    }

    pub fn wake(&self, thread: usize) {
        let enabled = self.lock();
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.blocked[thread]) {
            state.ready.push_back(thread);
        } else {
            state.tokens[thread] = true;
        }
        drop(state);
        self.machine.trace(Event::new(Kind::Wake).object(thread as u32));
        self.unlock(enabled);
        self.kick();
    }

    pub fn yield_now(&self) {
        let enabled = self.lock();
        let thread = self.machine.thread() as usize;
        self.state.lock().unwrap().ready.push_back(thread);
        self.switch();
        self.unlock(enabled);
    }

    /// Locked: leaves the running thread for the next one, or this CPU's idle thread.
    fn switch(&self) {
        let mut state = self.state.lock().unwrap();
        let idle = self.machine.cpu() + 1;
        let next = state.ready.pop_front().unwrap_or(idle);
        let from = self.machine.thread() as usize;
        let (from, to) = (state.threads[from].0.unwrap(), state.threads[next].0.unwrap());
        drop(state);
        self.machine.trace(Event::new(Kind::Dispatch).object(next as u32));
        self.machine.switch(from, to, next as u32);
    }
}

/// The toy as the machine sees it.
pub struct Handle(pub Arc<Toy>);

impl Upcalls for Handle {
    fn start_cpu(&self, cpu: usize) {
        let toy = &self.0;
        let context = toy.machine.adopt(cpu as u32 + 1);
        toy.lock();
        toy.state.lock().unwrap().threads[cpu + 1].0 = Some(context);
        toy.unlock(false);
        loop {
            toy.lock();
            if toy.state.lock().unwrap().ready.is_empty() {
                toy.unlock(false);
                toy.machine.idle();
                toy.machine.mask();
            } else {
                toy.switch();
                toy.unlock(false);
            }
        }
    }

    fn thread_entry(&self) {
        let toy = &self.0;
        toy.unlock(false);
        let thread = toy.machine.thread() as usize;
        let body = toy.state.lock().unwrap().threads[thread].1.take().unwrap();
        toy.machine.unmask();
        body(toy);
        toy.lock();
        let context = toy.state.lock().unwrap().threads[thread].0.unwrap();
        toy.state.lock().unwrap().dead.push(context);
        toy.switch();
    }

    fn interrupt(&self, vector: u8) -> bool {
        self.0.interrupts[usize::from(vector)].fetch_add(1, Ordering::Relaxed);
        self.0.machine.trace(Event::new(Kind::Interrupt).arg(u64::from(vector)));
        vector == RESCHEDULE_VECTOR && self.0.machine.thread() as usize > self.0.machine.cpu_count()
    }

    fn preempt(&self) {
        self.0.yield_now();
    }

    fn command(&self, command: Command) {
        self.0.finish.store(command == Command::Finish, Ordering::Relaxed);
    }

    fn shutdown(&self) {
        let bodies: Vec<_> = self.0.state.lock().unwrap().threads.drain(..).collect();
        drop(bodies);
    }
}

/// Runs `body` as the first thread; the run is done when it returns.
pub fn run(
    sim: Sim<'_>,
    sink: &mut dyn FnMut(&Event),
    body: impl FnOnce(&Arc<Toy>) + Send + 'static,
) -> Outcome {
    sim.run_upcalls(
        |machine| {
            let toy = Toy::new(machine);
            toy.spawn(Box::new(|toy| {
                body(toy);
                toy.machine.power_off();
            }));
            Box::new(Handle(toy))
        },
        sink,
    )
    .unwrap()
}
