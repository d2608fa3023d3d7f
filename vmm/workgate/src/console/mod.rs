//! `--console`: a place for all that the guest prints (a file, a pseudoterminal, a socket), and what is typed there.
//!
//! The machine only ever writes into memory or a file. What somebody else reads is carried by a thread of its own, from the last bytes that are kept: whoever
//! comes late sees what was printed before, and whoever reads too slowly misses a part, and is told how much. Nobody holds the machine up.

mod backlog;
mod far;
mod listener;
mod place;
mod pty;

pub use place::Place;

use crate::exit::Failure;
use backlog::Backlog;
use far::{Far, Shared};
use listener::Listener;
use pty::Pty;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// An open console. When it is dropped, readers get what waits for them, as far as they read it in time.
pub struct Console {
    kind: Kind,
}

enum Kind {
    File(Arc<Mutex<Log>>),
    Far { far: Far, shared: Arc<Shared>, input: Option<Arc<File>>, told: String },
}

impl Console {
    /// Opens the place that `--console` names, if it names one. With `input`, what is typed there goes to the guest.
    ///
    /// # Errors
    /// The place cannot be opened.
    pub fn open(place: Option<&Place>, input: bool) -> Result<Option<Self>, Failure> {
        let Some(place) = place else { return Ok(None) };
        let wrong = |error: io::Error| Failure::request(format_args!("--console {place}: {error}"));
        let kind = match place {
            Place::File(path) => Kind::File(Log::create(path).map_err(wrong)?),
            Place::Pty(link) => {
                let pty = Pty::open(link.as_deref()).map_err(wrong)?;
                let told = pty.path().to_owned();
                carried(Box::new(pty), input, told).map_err(wrong)?
            }
            Place::Unix(path) => {
                let listener =
                    Listener::unix(path).map_err(|e| Failure::request(format_args!("--console: {e}")))?;
                carried(Box::new(listener), input, place.to_string()).map_err(wrong)?
            }
            Place::Tcp(address) => {
                let listener = Listener::tcp(*address).map_err(wrong)?;
                let told =
                    listener.address().map_or_else(|| place.to_string(), |address| format!("tcp:{address}"));
                carried(Box::new(listener), input, told).map_err(wrong)?
            }
        };
        Ok(Some(Self { kind }))
    }

    /// A log file, for a machine whose console is collected.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn log(path: &Path) -> Result<Self, Failure> {
        let log = Log::create(path)
            .map_err(|error| Failure::request(format_args!("cannot write {}: {error}", path.display())))?;
        Ok(Self { kind: Kind::File(log) })
    }

    /// Where readers come to; `None`: nobody has to be told.
    pub fn told(&self) -> Option<&str> {
        match &self.kind {
            Kind::File(_) => None,
            Kind::Far { told, .. } => Some(told),
        }
    }

    /// What the machine prints into.
    pub fn output(&self) -> Box<dyn Write + Send> {
        match &self.kind {
            Kind::File(log) => Box::new(Shares(log.clone())),
            Kind::Far { shared, .. } => Box::new(shared.clone().writer()),
        }
    }

    /// What the machine reads from.
    pub fn input(&self) -> Option<Arc<File>> {
        match &self.kind {
            Kind::File(_) => None,
            Kind::Far { input, .. } => input.clone(),
        }
    }

    /// The console as the KVM machine takes it.
    pub fn tap(&self) -> vmm::Tap {
        vmm::Tap::new(self.output(), self.input())
    }

    /// Closes it.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn close(self) -> Result<(), Failure> {
        match self.kind {
            Kind::Far { far, .. } => {
                far.finish();
                Ok(())
            }
            Kind::File(log) => log.lock().unwrap_or_else(PoisonError::into_inner).close(),
        }
    }
}

/// Starts the thread that carries.
fn carried(doors: Box<dyn far::Doors>, input: bool, told: String) -> io::Result<Kind> {
    let shared = Arc::new(Shared::new(Backlog::default(), EventFd::new(EFD_NONBLOCK)?));
    let (reads, typed) = match input {
        true => {
            let (reads, writes) = io::pipe()?;
            (Some(Arc::new(File::from(OwnedFd::from(reads)))), Some(writes))
        }
        false => (None, None),
    };
    let far = Far::start(doors, shared.clone(), typed)?;
    Ok(Kind::Far { far, shared, input: reads, told })
}

/// A file that takes all that is printed. A disk that is full ends the log and not the machine; it is told at the end.
struct Log {
    path: PathBuf,
    file: io::LineWriter<File>,
    failed: Option<io::Error>,
}

impl Log {
    fn create(path: &Path) -> io::Result<Arc<Mutex<Self>>> {
        let file = io::LineWriter::new(File::create(path)?);
        Ok(Arc::new(Mutex::new(Self { path: path.to_owned(), file, failed: None })))
    }

    fn print(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        let failed = self.failed.take().or_else(|| self.file.flush().err());
        failed.map_or(Ok(()), |error| {
            Err(Failure::request(format_args!(
                "cannot write the console to {}: {error}",
                self.path.display()
            )))
        })
    }
}

/// The machine's end of a log.
struct Shares(Arc<Mutex<Log>>);

impl Write for Shares {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).print(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
