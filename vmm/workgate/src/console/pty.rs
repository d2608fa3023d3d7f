//! A pseudoterminal: a terminal program opens its name.

use super::far::{Doors, Stream};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A pair of terminals. Ours goes to the thread that carries; the other one is kept open, so that a program that closes it hangs nothing up.
pub struct Pty {
    ours: Option<File>,
    theirs: OwnedFd,
    path: String,
    link: Option<PathBuf>,
}

impl Pty {
    /// Makes a pair, raw: the guest has a terminal line discipline of its own. With `link`, a symbolic link there leads to it while it is open.
    pub fn open(link: Option<&Path>) -> io::Result<Self> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let name = rustix::pty::ptsname(&ours, Vec::new())?;
        let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut modes = rustix::termios::tcgetattr(&theirs)?;
        modes.make_raw();
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let path = name.to_string_lossy().into_owned();
        if let Some(link) = link {
            symlink(&path, link)?;
        }
        Ok(Self { ours: Some(File::from(ours)), theirs, path, link: link.map(Path::to_owned) })
    }

    /// What a terminal program opens.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Somebody may have put something else there.
        if let Some(link) = &self.link
            && std::fs::read_link(link).is_ok_and(|target| target == Path::new(&self.path))
        {
            let _ = std::fs::remove_file(link);
        }
    }
}

impl Doors for Pty {
    fn bell(&self) -> Option<RawFd> {
        None
    }

    fn next(&mut self) -> io::Result<Box<dyn Stream>> {
        match self.ours.take() {
            Some(ours) => Ok(Box::new(ours)),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// What was printed is in the terminal's buffer until a program reads it, and gone with us.
    fn unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.theirs).is_ok_and(|bytes| bytes > 0)
    }
}
