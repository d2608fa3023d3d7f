//! Where a console goes, as people write it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What is expected.
const EXPECTED: &str = "expected a file, file:PATH, pty, pty:LINK, unix:PATH, tcp:HOST:PORT or tcp::PORT";

/// A place for what the guest prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, made anew.
    File(PathBuf),
    /// A new pseudoterminal; with a path, a symbolic link there leads to it.
    Pty(Option<PathBuf>),
    /// A Unix socket, mode 0600.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp(SocketAddr),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = |rest: &str| match rest {
            "" => Err(format!("`{text}` names no path: {EXPECTED}")),
            rest => Ok(PathBuf::from(rest)),
        };
        match text.split_once(':') {
            None if text == "pty" => Ok(Self::Pty(None)),
            Some(("file", rest)) => path(rest).map(Self::File),
            Some(("pty", rest)) => path(rest).map(|link| Self::Pty(Some(link))),
            Some(("unix", rest)) => path(rest).map(Self::Unix),
            Some(("tcp", rest)) => {
                let address = crate::control::address(rest);
                address.map(Self::Tcp).ok_or_else(|| format!("`{rest}` is no address and port: {EXPECTED}"))
            }
            _ => path(text).map(Self::File),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Pty(None) => write!(out, "pty"),
            Self::Pty(Some(link)) => write!(out, "pty:{}", link.display()),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(address) => write!(out, "tcp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_their_first_word() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("a/log"), Ok(Place::File("a/log".into())));
        assert_eq!(place("file:pty"), Ok(Place::File("pty".into())));
        assert_eq!(place("pty"), Ok(Place::Pty(None)));
        assert_eq!(place("pty:/tmp/tty"), Ok(Place::Pty(Some("/tmp/tty".into()))));
        assert_eq!(place("unix:/tmp/s"), Ok(Place::Unix("/tmp/s".into())));
        assert_eq!(place("tcp::9"), Ok(Place::Tcp(SocketAddr::from(([127, 0, 0, 1], 9)))));
        // A path may have colons in it.
        assert_eq!(place("odd:name"), Ok(Place::File("odd:name".into())));
    }

    #[test]
    fn what_is_no_place_is_told_with_what_is_expected() {
        for text in ["", "unix:", "pty:", "file:", "tcp:", "tcp:nowhere", "tcp:1.2.3.4", "tcp::70000"] {
            let error = text.parse::<Place>().expect_err(text);
            assert!(error.contains("expected a file"), "{text}: {error}");
        }
    }
}
