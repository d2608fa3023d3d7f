//! A socket to which readers of a console come.

use super::far::{Doors, Stream};
use control::{Socket, SocketError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

/// It listens. A Unix socket's place in the file system goes with it.
pub enum Listener {
    Unix(Socket),
    Tcp(TcpListener),
}

impl Listener {
    /// At a path, mode 0600.
    pub fn unix(path: &Path) -> Result<Self, SocketError> {
        Socket::bind(path).map(Self::Unix)
    }

    /// At an address.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// The address, with the port that the system chose for port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(listener) => listener.local_addr().ok(),
        }
    }
}

impl Doors for Listener {
    fn bell(&self) -> Option<RawFd> {
        Some(match self {
            Self::Unix(socket) => socket.listener.as_raw_fd(),
            Self::Tcp(listener) => listener.as_raw_fd(),
        })
    }

    fn next(&mut self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}
