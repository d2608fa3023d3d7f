//! The thread that carries a console to whoever reads it.

use super::backlog::Backlog;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

/// Readers at a time; a further one is let go at once.
const READERS: usize = 16;
/// How long readers may take for the rest when the machine has ended.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often it is then looked whether they have it.
const LOOK_MS: i32 = 5;
/// How long nobody is let in after the system had no descriptor for one.
const NO_ENTRY: Duration = Duration::from_millis(100);
/// Bytes that are on their way to a reader, or from one, at a time.
const CHUNK: usize = 4096;

const BELL: u64 = 0;
const DOOR: u64 = 1;
const FIRST_READER: u64 = 2;

/// Both ways to a reader; neither waits.
pub trait Stream: Read + Write + AsRawFd + Send {}

impl<T: Read + Write + AsRawFd + Send> Stream for T {}

/// Through which readers come.
pub trait Doors: Send {
    /// What can be read when somebody comes; `None`: nobody comes later.
    fn bell(&self) -> Option<RawFd>;

    /// Somebody who has come.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`]: nobody.
    fn next(&mut self) -> io::Result<Box<dyn Stream>>;

    /// Something was handed to the system that nobody has read yet.
    fn unread(&self) -> bool {
        false
    }
}

/// What the machine and the thread share.
#[derive(Debug)]
pub struct Shared {
    backlog: Mutex<Backlog>,
    bell: EventFd,
    /// The bell has been rung since the thread looked last.
    rung: AtomicBool,
    over: AtomicBool,
}

impl Shared {
    pub fn new(backlog: Backlog, bell: EventFd) -> Self {
        Self {
            backlog: Mutex::new(backlog),
            bell,
            rung: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// The machine's end.
    pub fn writer(self: Arc<Self>) -> Writer {
        Writer(self)
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It can only be full of earlier rings, which are as good.
            let _ = self.bell.write(1);
        }
    }
}

/// Takes what is printed, and never waits.
pub struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.backlog().push(bytes);
        self.0.ring();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The running thread. It ends when this is dropped.
pub struct Far {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Far {
    /// Carries what comes into `shared` to all who come through `doors`; what they type goes into `typed`.
    ///
    /// # Errors
    /// The system refuses a descriptor or a thread.
    pub fn start(doors: Box<dyn Doors>, shared: Arc<Shared>, typed: Option<PipeWriter>) -> io::Result<Self> {
        let mut carrier = Carrier::new(doors, shared.clone(), typed)?;
        let thread = std::thread::Builder::new().name("console".to_owned()).spawn(move || carrier.carry())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Readers get what waits for them, as far as they read it in time.
    pub fn finish(self) {}
}

impl Drop for Far {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message has been printed; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Carrier {
    doors: Box<dyn Doors>,
    shared: Arc<Shared>,
    typed: Option<PipeWriter>,
    epoll: Epoll,
    readers: BTreeMap<u64, Reader>,
    next: u64,
    over: Option<Instant>,
}

impl Carrier {
    fn new(doors: Box<dyn Doors>, shared: Arc<Shared>, typed: Option<PipeWriter>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let add = |fd, token| epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, token));
        add(shared.bell.as_raw_fd(), BELL)?;
        doors.bell().map_or(Ok(()), |door| add(door, DOOR))?;
        if let Some(typed) = &typed {
            // A guest that does not read must not keep this thread.
            rustix::io::ioctl_fionbio(typed, true)?;
        }
        let mut carrier =
            Self { doors, shared, typed, epoll, readers: BTreeMap::new(), next: FIRST_READER, over: None };
        // Who needs no bell is there already.
        carrier.let_in();
        Ok(carrier)
    }

    fn carry(&mut self) {
        let mut events = vec![EpollEvent::default(); READERS + 2];
        while !self.is_done() {
            let patience = if self.over.is_some() { LOOK_MS } else { -1 };
            let ready = match self.epoll.wait(patience, &mut events) {
                Ok(ready) => ready,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Without it nobody can be served.
                Err(_) => break,
            };
            for event in &events[..ready] {
                match event.data() {
                    BELL => self.pass_on(),
                    DOOR => self.let_in(),
                    number => self.reader(number, event.event_set()),
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        let Some(since) = self.over else { return false };
        let end = self.shared.backlog().end();
        let all_have_all = self.readers.values().all(|reader| reader.has_all(end)) && !self.doors.unread();
        all_have_all || since.elapsed() >= FAREWELL
    }

    fn let_in(&mut self) {
        loop {
            match self.doors.next() {
                // Too many: the connection is closed again at once.
                Ok(_) if self.readers.len() >= READERS => {}
                Ok(stream) => self.welcome(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // No descriptor is free: the connection waits, and would be told again and again.
                Err(_) => return std::thread::sleep(NO_ENTRY),
            }
        }
    }

    /// A reader sees first what is kept of what was printed before it came, and how much is not kept any more.
    fn welcome(&mut self, stream: Box<dyn Stream>) {
        let number = self.next;
        let event = EpollEvent::new(EventSet::IN, number);
        if self.epoll.ctl(ControlOperation::Add, stream.as_raw_fd(), event).is_err() {
            return;
        }
        self.next += 1;
        self.readers.insert(number, Reader::new(stream));
        self.with(number, |_, _| Ok(()));
    }

    fn pass_on(&mut self) {
        // It only says that there is something; what comes from here on rings again.
        let _ = self.shared.bell.read();
        self.shared.rung.store(false, Ordering::Release);
        if self.shared.over.load(Ordering::Acquire) {
            self.over.get_or_insert_with(Instant::now);
        }
        let numbers: Vec<u64> = self.readers.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.with(number, |_, _| Ok(())));
    }

    fn reader(&mut self, number: u64, events: EventSet) {
        self.with(number, |reader, typed| {
            if events.contains(EventSet::IN) {
                return reader.listen(typed);
            }
            if events.intersects(EventSet::ERROR | EventSet::HANG_UP) { Err(Gone) } else { Ok(()) }
        });
    }

    /// Does something with a reader, and sends what it takes. One that is gone is dropped.
    fn with(
        &mut self,
        number: u64,
        act: impl FnOnce(&mut Reader, Option<&mut PipeWriter>) -> Result<(), Gone>,
    ) {
        let Some(reader) = self.readers.get_mut(&number) else { return };
        let done = act(reader, self.typed.as_mut())
            .and_then(|()| reader.send(&self.shared))
            .and_then(|all| reader.watch(number, &self.epoll, !all));
        if done.is_err() {
            // Closing it takes it out of what is watched.
            self.readers.remove(&number);
        }
    }
}

/// The reader is not there any more.
struct Gone;

/// A line for a reader, between those of the guest.
fn note(bytes: u64, how: &str) -> Vec<u8> {
    format!("\r\n[{bytes} bytes {how}]\r\n").into()
}

/// Somebody who reads, and may type.
struct Reader {
    stream: Box<dyn Stream>,
    /// The number of the byte that it gets next, behind `chunk`.
    at: u64,
    chunk: Vec<u8>,
    sent: usize,
    /// It has got something.
    greeted: bool,
    /// Bytes that it has typed and the guest did not get, of which it was not told yet.
    untyped: u64,
    /// It says nothing more.
    deaf: bool,
    /// What the system was told to watch for.
    watched: EventSet,
}

impl Reader {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            at: 0,
            chunk: Vec::new(),
            sent: 0,
            greeted: false,
            untyped: 0,
            deaf: false,
            watched: EventSet::IN,
        }
    }

    fn has_all(&self, end: u64) -> bool {
        self.sent == self.chunk.len() && self.at >= end
    }

    /// What is typed goes to the guest, and waits for it in a pipe. What does not fit there is lost, and told.
    fn listen(&mut self, typed: Option<&mut PipeWriter>) -> Result<(), Gone> {
        let mut bytes = [0; CHUNK];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.deaf = true,
            Ok(n) => {
                let taken = typed.map(|typed| typed.write(&bytes[..n]).unwrap_or(0));
                self.untyped += taken.map_or(0, |taken| n - taken) as u64;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Gone),
        }
        Ok(())
    }

    /// Sends what the reader takes now; whether that was all.
    fn send(&mut self, shared: &Shared) -> Result<bool, Gone> {
        while self.sent < self.chunk.len() || self.refill(shared) {
            match self.stream.write(&self.chunk[self.sent..]) {
                Ok(0) => return Err(Gone),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Err(Gone),
            }
        }
        Ok(true)
    }

    /// Takes what comes next; `false`: nothing.
    fn refill(&mut self, shared: &Shared) -> bool {
        self.sent = 0;
        self.chunk.resize(CHUNK, 0);
        let (read, lost) = shared.backlog().read(self.at, &mut self.chunk);
        self.chunk.truncate(read);
        if self.untyped > 0 {
            let bytes = std::mem::take(&mut self.untyped);
            self.chunk = note(bytes, "that were typed are lost: the guest does not read them");
        } else if lost > 0 {
            let how = if self.greeted {
                "of the console were lost: too slow a reader"
            } else {
                "of the console came before: they are not kept any more"
            };
            self.chunk = note(lost, how);
            self.at += lost;
            self.greeted = true;
        } else {
            self.at += read as u64;
            self.greeted |= read > 0;
        }
        !self.chunk.is_empty()
    }

    fn watch(&mut self, number: u64, epoll: &Epoll, more: bool) -> Result<(), Gone> {
        let mut events = EventSet::empty();
        events.set(EventSet::IN, !self.deaf);
        events.set(EventSet::OUT, more);
        if events == self.watched {
            return Ok(());
        }
        self.watched = events;
        let event = EpollEvent::new(events, number);
        epoll.ctl(ControlOperation::Modify, self.stream.as_raw_fd(), event).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests;
