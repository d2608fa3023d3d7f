//! Where a debugger comes to, and the bytes to and from it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// Bytes that wait for a debugger; one that reads less is let go.
const UNREAD_BYTES: usize = 8 << 20;
/// Bytes that are read from it in a turn.
const READ_BYTES: usize = 64 << 10;

/// A socket that listens. It does not block.
#[derive(Debug)]
pub enum Listener {
    /// On a Unix socket.
    Unix(UnixListener),
    /// On a port.
    Tcp(TcpListener),
}

impl Listener {
    /// The next one who wants to talk.
    pub(super) fn accept(&self) -> Option<Client> {
        let stream = match self {
            Self::Unix(listener) => Stream::Unix(listener.accept().ok()?.0),
            Self::Tcp(listener) => Stream::Tcp(listener.accept().ok()?.0),
        };
        stream.prepare().ok()?;
        Some(Client { stream, out: Vec::new() })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Self::Unix(listener) => listener.as_raw_fd(),
            Self::Tcp(listener) => listener.as_raw_fd(),
        }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(true),
            Self::Tcp(stream) => {
                // Packets are small, and each is waited for.
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(into),
            Self::Tcp(stream) => stream.read(into),
        }
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(from),
            Self::Tcp(stream) => stream.write(from),
        }
    }
}

/// One who talks.
pub(super) struct Client {
    stream: Stream,
    out: Vec<u8>,
}

/// A client that is gone, or reads nothing.
#[derive(Debug)]
pub(super) struct Gone;

impl Client {
    pub fn descriptor(&self) -> RawFd {
        match &self.stream {
            Stream::Unix(stream) => stream.as_raw_fd(),
            Stream::Tcp(stream) => stream.as_raw_fd(),
        }
    }

    /// What has come; empty if nothing has.
    pub fn receive(&mut self) -> Result<Vec<u8>, Gone> {
        let mut bytes = vec![0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(Gone),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Vec::new())
            }
            Err(_) => Err(Gone),
        }
    }

    /// Sends `bytes` behind what waits already, as far as the client reads it.
    pub fn send(&mut self, bytes: &mut Vec<u8>) -> Result<(), Gone> {
        self.out.append(bytes);
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return Err(Gone),
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Gone),
            }
        }
        if self.out.len() > UNREAD_BYTES { Err(Gone) } else { Ok(()) }
    }

    /// Whether something waits for it.
    pub fn is_behind(&self) -> bool {
        !self.out.is_empty()
    }
}

/// What the protocol writes, until it is sent.
#[derive(Default)]
pub(super) struct Outbox(pub Vec<u8>);

/// More than any answer has.
#[derive(Debug, thiserror::Error)]
#[error("an answer without end")]
pub(super) struct TooMuch;

impl gdbstub::conn::Connection for Outbox {
    type Error = TooMuch;

    fn write(&mut self, byte: u8) -> Result<(), TooMuch> {
        if self.0.len() >= UNREAD_BYTES {
            return Err(TooMuch);
        }
        self.0.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TooMuch> {
        Ok(())
    }
}
