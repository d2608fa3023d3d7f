//! The socket's place in the file system: nobody else's is stolen, nobody else may connect, and nothing is left behind.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error("the socket {0} is in use: another machine listens there; name another path")]
    InUse(PathBuf),
    /// A file, a folder or the like is there.
    #[error("{0} is there already and is no socket; name another path for the socket")]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot make the socket {path}: {error}")]
    System {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A socket that is removed when this is dropped, if it is still the same.
#[derive(Debug)]
pub struct Socket {
    /// It listens.
    pub listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    same: (u64, u64),
}

impl Socket {
    /// Listens at `path`, with mode 0600 from the first moment. A socket that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        clear(path)?;
        let system = |error| SocketError::System { path: path.to_owned(), error };
        // It is made in a folder that is closed to others, and gets its name when its mode is right.
        let folder = private_folder(path).map_err(system)?;
        let made = make(&folder, path);
        // The folder is ours and empty by now; if it stays, that does no harm.
        let _ = fs::remove_file(folder.join(NAME));
        let _ = fs::remove_dir(&folder);
        let (listener, same) = made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => SocketError::InUse(path.to_owned()),
            _ => system(error),
        })?;
        Ok(Self { listener, path: path.to_owned(), same })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|same| same == self.same) {
            // Somebody may have been quicker; then it is gone as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The socket's name while it is made.
const NAME: &str = "s";

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|data| (data.dev(), data.ino()))
}

/// Removes a socket at which nobody listens.
fn clear(path: &Path) -> Result<(), SocketError> {
    let system = |error| SocketError::System { path: path.to_owned(), error };
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
    };
    if !data.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(system)
        }
        // It answers, or it cannot be known whether it would.
        _ => Err(SocketError::InUse(path.to_owned())),
    }
}

fn private_folder(path: &Path) -> io::Result<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Names of other processes, and of other machines in this one, differ.
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = parent.join(format!(".wg{:x}.{number:x}", std::process::id()));
    // Left behind by a process of the same number that was killed.
    let _ = fs::remove_file(folder.join(NAME));
    let _ = fs::remove_dir(&folder);
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

fn make(folder: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let draft = folder.join(NAME);
    let listener = UnixListener::bind(&draft)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
    // Unlike a rename, this never replaces what somebody else has put there meanwhile.
    fs::hard_link(&draft, path)?;
    Ok((listener, identity(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("wg-socket-{}-{name}", std::process::id()))
    }

    #[test]
    fn it_is_for_its_owner_and_goes_with_its_machine() {
        let path = path("own");
        let socket = Socket::bind(&path).expect("a socket");
        let data = fs::metadata(&path).expect("it is there");
        assert_eq!(data.permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_lives_is_not_stolen_and_a_dead_one_is_replaced() {
        let path = path("dead");
        let living = Socket::bind(&path).expect("a socket");
        assert!(matches!(Socket::bind(&path), Err(SocketError::InUse(_))));
        assert!(UnixStream::connect(&path).is_ok(), "the first is still there");
        drop(living);
        // A process that was killed leaves its socket behind.
        drop(UnixListener::bind(&path).expect("a socket"));
        let again = Socket::bind(&path).expect("the place is free");
        assert!(UnixStream::connect(&path).is_ok());
        drop(again);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_is_left_alone_and_a_place_that_is_not_there_is_told() {
        let path = path("file");
        fs::write(&path, "mine").expect("a file");
        assert!(matches!(Socket::bind(&path), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "mine");
        fs::remove_file(&path).expect("ours");
        let nowhere = path.join("deeper");
        assert!(matches!(Socket::bind(&nowhere), Err(SocketError::System { .. })));
    }

    #[test]
    fn a_successor_of_the_same_name_is_not_removed() {
        let path = path("next");
        let first = Socket::bind(&path).expect("a socket");
        fs::remove_file(&path).expect("ours");
        let second = Socket::bind(&path).expect("the place is free");
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
    }
}
