//! The server: one thread, which waits for all clients at once and for none alone.

use crate::desk::{Desk, News};
use crate::limits::{CLIENTS, FAREWELL_MS, READ_BYTES};
use crate::message::{self, Answer, Failure};
use crate::outbox::{Lost, Outbox};
use crate::session::{Session, Step};
use crate::socket::{Socket, SocketError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A descriptor or the thread.
    #[error("cannot serve the control socket: {0}")]
    System(#[from] std::io::Error),
}

/// A running server. When it is dropped, the machine is taken to have ended.
pub struct Server {
    desk: Desk,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `path`.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(path: &Path) -> Result<Self, ServerError> {
        let socket = Socket::bind(path)?;
        let bell = EventFd::new(EFD_NONBLOCK)?;
        let desk = Desk::new(bell.try_clone()?);
        let mut served = Served::new(socket, bell, desk.clone())?;
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || served.serve())?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// The machine's end of it.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Clients get what waits for them, as far as they read it in time; then the socket is gone.
    pub fn finish(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.desk.close(ended);
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message has been printed; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

fn ended() -> Answer {
    Err(Failure::generic("the machine has ended"))
}

const LISTENER: u64 = 0;
const BELL: u64 = 1;
/// Numbers of clients begin here, and are never used twice.
const FIRST_CLIENT: u64 = 2;
/// How long nobody is let in after the system had no descriptor for one.
const NO_ENTRY: Duration = Duration::from_millis(100);

struct Client {
    stream: UnixStream,
    session: Session,
    outbox: Outbox,
    /// It has said all that it will say.
    silent: bool,
    /// What the system was told to watch for.
    watched: EventSet,
}

/// The state of the server's thread.
struct Served {
    socket: Option<Socket>,
    bell: EventFd,
    desk: Desk,
    epoll: Epoll,
    clients: BTreeMap<u64, Client>,
    next: u64,
    /// Nobody is let in before then.
    closed_until: Option<Instant>,
    /// The machine has ended; the thread ends at this time at the latest.
    over: Option<Instant>,
}

impl Served {
    fn new(socket: Socket, bell: EventFd, desk: Desk) -> std::io::Result<Self> {
        let epoll = Epoll::new()?;
        let add = |fd, token| epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, token));
        add(socket.listener.as_raw_fd(), LISTENER)?;
        add(bell.as_raw_fd(), BELL)?;
        let clients = BTreeMap::new();
        let socket = Some(socket);
        Ok(Self { socket, bell, desk, epoll, clients, next: FIRST_CLIENT, closed_until: None, over: None })
    }

    fn serve(&mut self) {
        let mut events = vec![EpollEvent::default(); 64];
        while !self.is_done() {
            let ready = match self.epoll.wait(self.patience(), &mut events) {
                Ok(ready) => ready,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Without it nobody can be served.
                Err(_) => break,
            };
            for event in &events[..ready] {
                match event.data() {
                    LISTENER => self.let_in(),
                    BELL => self.pass_on(),
                    number => self.client(number, event.event_set()),
                }
            }
            self.reopen();
        }
        self.clients.clear();
        self.socket = None;
    }

    /// Milliseconds; -1: for ever.
    fn patience(&self) -> i32 {
        let until = self.over.into_iter().chain(self.closed_until).min();
        let left = until.map(|time| time.saturating_duration_since(Instant::now()).as_millis() + 1);
        left.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX))
    }

    fn is_done(&self) -> bool {
        self.over
            .is_some_and(|end| Instant::now() >= end || self.clients.values().all(|c| c.outbox.is_empty()))
    }

    fn let_in(&mut self) {
        while let Some(socket) = &self.socket {
            match socket.listener.accept() {
                // Too many: the connection is closed again at once.
                Ok(_) if self.clients.len() >= CLIENTS => {}
                Ok((stream, _)) => self.greet(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // No descriptor is free: the connection waits, and would be told again and again.
                Err(_) => {
                    self.closed_until = Some(Instant::now() + NO_ENTRY);
                    self.watch_listener(EventSet::empty());
                    return;
                }
            }
        }
    }

    fn watch_listener(&self, events: EventSet) {
        if let Some(socket) = &self.socket {
            let event = EpollEvent::new(events, LISTENER);
            // It was added, so that it can be changed.
            let _ = self.epoll.ctl(ControlOperation::Modify, socket.listener.as_raw_fd(), event);
        }
    }

    fn reopen(&mut self) {
        if self.closed_until.is_some_and(|until| Instant::now() >= until) {
            self.closed_until = None;
            self.watch_listener(EventSet::IN);
        }
    }

    fn greet(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let number = self.next;
        let event = EpollEvent::new(EventSet::IN, number);
        if self.epoll.ctl(ControlOperation::Add, stream.as_raw_fd(), event).is_err() {
            return;
        }
        self.next += 1;
        let (session, outbox) = (Session::default(), Outbox::default());
        self.clients.insert(number, Client { stream, session, outbox, silent: false, watched: EventSet::IN });
        self.with(number, |client, _| client.outbox.push(&Session::greeting()));
    }

    fn client(&mut self, number: u64, events: EventSet) {
        self.with(number, |client, _| {
            if events.intersects(EventSet::ERROR | EventSet::HANG_UP) && !events.contains(EventSet::IN) {
                return Err(Lost);
            }
            if events.contains(EventSet::IN) { client.read() } else { Ok(()) }
        });
    }

    /// Answers to those who asked, events to all who hear them.
    fn pass_on(&mut self) {
        // It only says that there is something.
        let _ = self.bell.read();
        for news in self.desk.news() {
            match news {
                News::Answer(number, answer) => self.with(number, |client, _| {
                    let message = client.session.answered(answer);
                    client.outbox.push(&message)
                }),
                News::Event(name, data, time) => self.tell_all(&message::event(name, data, time)),
                News::Over => {
                    self.over.get_or_insert(Instant::now() + Duration::from_millis(FAREWELL_MS));
                }
            }
        }
    }

    fn tell_all(&mut self, event: &Value) {
        let numbers: Vec<u64> = self.clients.keys().copied().collect();
        for number in numbers {
            self.with(number, |client, _| match client.session.hears_events() {
                true => client.outbox.push(event),
                false => Ok(()),
            });
        }
    }

    /// Does something with a client, lets its session go on, and sends what it takes. A client that is lost is dropped.
    fn with(&mut self, number: u64, act: impl FnOnce(&mut Client, &Desk) -> Result<(), Lost>) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let done = act(client, &self.desk).and_then(|()| client.go_on(number, &self.desk));
        let done = done.and_then(|()| client.watch(number, &self.epoll));
        if done.is_err() {
            // Closing it takes it out of what is watched.
            self.clients.remove(&number);
        }
    }
}

impl Client {
    fn read(&mut self) -> Result<(), Lost> {
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.silent = true,
            Ok(n) => self.session.feed(&bytes[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Lost),
        }
        Ok(())
    }

    /// Takes the session as far as it goes.
    fn go_on(&mut self, number: u64, desk: &Desk) -> Result<(), Lost> {
        while let Some(step) = self.session.step() {
            let message = match step {
                Step::Say(message) => Some(message),
                Step::Ask(command) => (!desk.put(number, command)).then(|| self.session.answered(ended())),
            };
            message.map_or(Ok(()), |message| self.outbox.push(&message))?;
        }
        self.outbox.send(&mut self.stream)?;
        // Whoever has said all goes when all has been answered.
        let finished = self.silent && self.outbox.is_empty() && self.session.wants_input();
        if finished { Err(Lost) } else { Ok(()) }
    }

    fn watch(&mut self, number: u64, epoll: &Epoll) -> Result<(), Lost> {
        let mut events = EventSet::empty();
        events.set(EventSet::IN, !self.silent && self.session.wants_input());
        events.set(EventSet::OUT, !self.outbox.is_empty());
        if events == self.watched {
            return Ok(());
        }
        self.watched = events;
        let event = EpollEvent::new(events, number);
        epoll.ctl(ControlOperation::Modify, self.stream.as_raw_fd(), event).map_err(|_| Lost)
    }
}
