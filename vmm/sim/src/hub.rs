//! The hub: resumes the fibre of the CPU that runs, and ends the run.

use corosensei::CoroutineResult;
use mach::seam::ThreadId;
use trace::{EVENT_BYTES, Event};
use xxhash_rust::xxh3::Xxh3Default;

use crate::{
    ending,
    fibre::{Fibre, Finish, Resume, Suspend, USUAL_CONTEXTS},
    outcome::Ended,
    recorder,
    state::{Cold, Mode, cold, hot},
    upcalls::Upcalls,
};

/// Rounds over all fibres in which none unwound further, after which the rest is given up.
const UNWIND_ROUNDS: usize = 64;

/// Where events go.
pub(crate) type Sink<'a> = dyn FnMut(&Event) + 'a;

/// Runs fibres on the OS thread's own stack.
pub(crate) struct Hub<'a> {
    kernel: &'a (dyn Upcalls + 'static),
    sink: &'a mut Sink<'a>,
    fibres: Vec<Option<Fibre<'a>>>,
    hasher: Xxh3Default,
    events: u64,
    spare: Vec<Event>,
    /// Encoded events: hashing many at once costs less than one by one, and gives the same.
    bytes: Vec<u8>,
    abandoned: usize,
    /// Lets whoever steers the machine look at it.
    look: &'a mut (dyn FnMut() + 'a),
}

/// What the hub counted.
pub(crate) struct Totals {
    /// xxh3 over the encoded events.
    pub trace_hash: u64,
    /// Events.
    pub events: u64,
    /// Fibres given up.
    pub abandoned: usize,
}

impl<'a> Hub<'a> {
    /// A hub for `kernel`, whose events go to `sink`; `look` lets whoever steers the machine look at it.
    pub fn new(
        kernel: &'a (dyn Upcalls + 'static),
        sink: &'a mut Sink<'a>,
        look: &'a mut (dyn FnMut() + 'a),
    ) -> Self {
        Self {
            kernel,
            sink,
            fibres: Vec::with_capacity(USUAL_CONTEXTS),
            hasher: Xxh3Default::new(),
            events: 0,
            spare: Vec::new(),
            bytes: recorder::take_bytes(),
            abandoned: 0,
            look,
        }
    }

    /// Runs until the run has ended and all fibres are gone.
    pub fn run(mut self) -> Totals {
        hot(|h| h.alarm.set(0));
        self.main_loop();
        self.flush();
        self.unwind();
        recorder::keep(std::mem::take(&mut self.spare));
        recorder::keep_bytes(std::mem::take(&mut self.bytes));
        Totals { trace_hash: self.hasher.digest(), events: self.events, abandoned: self.abandoned }
    }

    fn main_loop(&mut self) {
        while hot(|h| h.mode.get()) == Mode::Running {
            let number = hot(|h| h.current[h.cpu.get()].get());
            let Some(fibre) = self.fibre(number) else { return };
            match fibre.resume(Resume::Go) {
                CoroutineResult::Yield(Suspend::Next | Suspend::End) => {}
                CoroutineResult::Yield(Suspend::Flush) => self.flush(),
                CoroutineResult::Yield(Suspend::Look) => self.look(),
                CoroutineResult::Yield(Suspend::Spin) => fibre.unwinding = true,
                CoroutineResult::Yield(Suspend::Never) => self.abandon(number),
                CoroutineResult::Return(finish) => self.finished(number, finish),
            }
            if hot(|h| h.reap.replace(false)) {
                self.reap();
            }
        }
    }

    /// The fibre of context `number`, made when it runs first. `None` ends the run.
    #[inline]
    fn fibre(&mut self, number: usize) -> Option<&mut Fibre<'a>> {
        if self.fibres.len() <= number {
            self.fibres.resize_with(number + 1, || None);
        }
        if self.fibres[number].is_none() {
            let boot = (number < cold(|c| c.cpus)).then_some(number);
            match Fibre::new(self.kernel, boot) {
                Ok(fibre) => self.fibres[number] = Some(fibre),
                Err(error) => {
                    ending::record(Ended::Fatal {
                        message: format!("no memory for a fibre's stack: {error}"),
                    });
                    return None;
                }
            }
        }
        self.fibres[number].as_mut()
    }

    fn finished(&mut self, number: usize, finish: Finish) {
        self.fibres[number] = None;
        match finish {
            // The panic hook has usually told already, with the place; the first record stays.
            Finish::Panicked(message) => ending::record(Ended::Fatal { message }),
            Finish::Returned => ending::record(Ended::Fatal {
                message: format!("the kernel returned from the first function of context {number}"),
            }),
            Finish::Unwound => {}
        }
    }

    /// Takes back the stacks of destroyed contexts and frees their numbers.
    fn reap(&mut self) {
        let mut dead = cold(|c| std::mem::take(&mut c.dead));
        for &number in &dead {
            if let Some(fibre) = self.fibres.get_mut(number).and_then(Option::take) {
                fibre.discard();
            }
        }
        cold(|c| {
            c.free.append(&mut dead);
            c.dead = dead;
        });
    }

    fn flush(&mut self) {
        self.spare.clear();
        let spare = std::mem::take(&mut self.spare);
        let batch = cold(|c| c.recorder.swap(spare));
        let length = batch.len() * EVENT_BYTES;
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        let encoded = &mut self.bytes[..length];
        let (records, _) = encoded.as_chunks_mut();
        batch.iter().zip(records).for_each(|(event, record)| event.encode_into(record));
        self.hasher.update(encoded);
        batch.iter().for_each(&mut *self.sink);
        self.events += batch.len() as u64;
        self.spare = batch;
    }

    /// Lets whoever steers the machine look at it. It stands still meanwhile.
    fn look(&mut self) {
        self.flush();
        loop {
            (self.look)();
            let visits = cold(Cold::take_visits);
            if visits.is_empty() {
                return;
            }
            visits.into_iter().for_each(|(number, thread)| self.show(number, thread));
        }
    }

    /// Lets a debugger look at the stack of context `number`, if it has one.
    fn show(&mut self, number: usize, thread: ThreadId) {
        if let Some(fibre) = self.fibres.get_mut(number).and_then(Option::as_mut) {
            cold(|c| c.visit(thread));
            // The fibre suspends again where it stood, for the same reason, which has been heard.
            _ = fibre.resume(Resume::Show);
        }
    }

    /// Drops what is on the fibres' stacks. A fibre that has to wait for another one's guard takes turns with it.
    fn unwind(&mut self) {
        hot(|h| h.mode.set(Mode::Ending));
        let orderly = self.kernel.stop();
        hot(|h| h.orderly.set(orderly));
        self.reap();
        let mut rounds = 0;
        while rounds < UNWIND_ROUNDS && self.fibres.iter().any(Option::is_some) {
            rounds += 1;
            for number in 0..self.fibres.len() {
                if self.unwind_one(number) {
                    rounds = 0;
                }
            }
        }
        for number in 0..self.fibres.len() {
            self.abandon(number);
        }
        // From here on the kernel is called outside of any thread.
        hot(|h| h.thread.iter().for_each(|thread| thread.set(0)));
    }

    /// True if context `number` had a fibre and has none now.
    fn unwind_one(&mut self, number: usize) -> bool {
        let Some(fibre) = self.fibres[number].as_mut() else { return false };
        let how = if fibre.unwinding { Resume::Go } else { Resume::Unwind };
        fibre.unwinding = true;
        impersonate(number);
        ending::be_patient();
        match fibre.resume(how) {
            CoroutineResult::Yield(Suspend::Never) => self.abandon(number),
            CoroutineResult::Yield(_) => return false,
            CoroutineResult::Return(_) => self.fibres[number] = None,
        }
        true
    }

    /// Gives up a fibre: what it owns is leaked, its stack is not.
    fn abandon(&mut self, number: usize) {
        if let Some(fibre) = self.fibres[number].take() {
            fibre.discard();
            self.abandoned += 1;
        }
    }
}

impl Drop for Hub<'_> {
    /// The sink panicked: the fibres still go.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.unwind();
        }
    }
}

/// Tears the kernel down, on a fibre: if that has to wait for what is not there any more, it is given up. The answer is what went wrong.
pub(crate) fn close(kernel: Box<dyn Upcalls>) -> Option<String> {
    ending::be_patient();
    match Fibre::closing(kernel).map(|mut fibre| fibre.resume(Resume::Go)) {
        Ok(CoroutineResult::Return(Finish::Returned)) => None,
        Ok(CoroutineResult::Return(Finish::Panicked(message))) => Some(message),
        Ok(_) => Some("it waits".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Makes the machine say that context `number` runs, on the CPU where it ran if it did.
fn impersonate(number: usize) {
    let context = cold(|c| c.contexts[number]);
    hot(|h| {
        h.run_cpu(context.cpu.map_or(0, usize::from));
        h.thread[h.cpu.get()].set(context.thread);
    });
}
