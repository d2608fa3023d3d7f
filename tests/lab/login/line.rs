//! A line to a Linux at which somebody types and reads.

use crate::error::LabError;
use crate::process;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How long an answer may take. Far above what is needed: it ends hangs.
const PATIENCE: Duration = Duration::from_secs(100);
/// Bytes that are read at a time, and how many such pieces wait.
const PIECE: usize = 4096;
const PIECES: usize = 16;

/// One connection.
pub struct Line {
    to: Box<dyn Write>,
    from: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    read: String,
}

impl Line {
    /// A line to whoever reads what is written `to`, and writes what is read `from`.
    pub fn new(to: impl Write + 'static, from: impl Read + Send + 'static) -> Self {
        let (pieces, receiver) = sync_channel(PIECES);
        std::thread::spawn(move || listen(from, &pieces));
        Self { to: Box::new(to), from: receiver, unread: Vec::new(), read: String::new() }
    }

    /// All that was taken of what came, so far.
    pub fn read(&self) -> &str {
        &self.read
    }

    /// Types.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn say(&mut self, text: &str) -> Result<(), LabError> {
        self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).map_err(LabError::io("the console"))
    }

    /// What comes before `end`, which is taken too.
    ///
    /// # Errors
    /// It does not come.
    pub fn until(&mut self, end: &str) -> Result<String, LabError> {
        let mut looked_at = 0;
        loop {
            let rest = &self.unread[looked_at..];
            if let Some(at) = rest.windows(end.len()).position(|bytes| bytes == end.as_bytes()) {
                let before = self.take(looked_at + at)?;
                self.take(end.len())?;
                return Ok(before);
            }
            // The end may have come in part.
            looked_at = self.unread.len().saturating_sub(end.len().saturating_sub(1));
            let why = match self.from.recv_timeout(PATIENCE) {
                Ok(piece) => {
                    self.unread.extend(piece);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => "nothing comes any more",
                Err(RecvTimeoutError::Disconnected) => "the console has ended",
            };
            let came = format!("{}{}", self.read, String::from_utf8_lossy(&self.unread));
            return Err(LabError::Failed(format!(
                "{why} where {end:?} should come, behind\n{}",
                process::last_lines(&came, 20)
            )));
        }
    }

    /// What comes until the other side ends.
    ///
    /// # Errors
    /// It does not end.
    pub fn rest(&mut self) -> Result<String, LabError> {
        loop {
            match self.from.recv_timeout(PATIENCE) {
                Ok(piece) => self.unread.extend(piece),
                Err(RecvTimeoutError::Disconnected) => return self.take(self.unread.len()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(LabError::Failed("the console does not end".into()));
                }
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Result<String, LabError> {
        let taken = self.unread.drain(..bytes).collect();
        let text = String::from_utf8(taken)
            .map_err(|error| LabError::Failed(format!("what came is no text: {error}")))?;
        self.read.push_str(&text);
        Ok(text)
    }
}

/// Reads until the other side ends, or nobody listens any more.
fn listen(mut from: impl Read, pieces: &SyncSender<Vec<u8>>) {
    let mut bytes = [0; PIECE];
    while let Ok(n) = from.read(&mut bytes) {
        if n == 0 || pieces.send(bytes[..n].to_vec()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_waited_for_may_come_in_pieces_and_is_missed_when_the_line_ends() {
        let (mut far, near) = UnixStream::pair().expect("a pair");
        let mut line = Line::new(near.try_clone().expect("a descriptor"), near);
        line.say("ls\r").expect("somebody is there");
        let mut heard = [0; 3];
        far.read_exact(&mut heard).expect("typed");
        assert_eq!(&heard, b"ls\r");
        for piece in ["fi", "le\r", "\nwg", "> and more"] {
            far.write_all(piece.as_bytes()).expect("somebody is there");
        }
        assert_eq!(line.until("\r\n").expect("it comes"), "file");
        assert_eq!(line.until("wg>").expect("it comes"), "");
        assert_eq!(line.read(), "file\r\nwg>");
        drop(far);
        let error = line.until("wg>").expect_err("it does not come").to_string();
        assert!(error.contains("the console has ended where \"wg>\" should come"), "{error}");
        assert_eq!(line.rest().expect("it has ended"), " and more");
    }
}
