//! What a client has still to read.

use crate::limits::UNREAD_BYTES;
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Messages that wait, as bytes.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

/// The client does not read, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Outbox {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Appends a message.
    ///
    /// # Errors
    /// The client has left more than [`UNREAD_BYTES`] unread.
    pub fn push(&mut self, message: &Value) -> Result<(), Lost> {
        if self.bytes.len() - self.sent > UNREAD_BYTES {
            return Err(Lost);
        }
        // Writing a value into memory cannot fail.
        serde_json::to_writer(&mut self.bytes, message).map_err(|_| Lost)?;
        self.bytes.extend(b"\r\n");
        Ok(())
    }

    /// Sends what the client takes now.
    ///
    /// # Errors
    /// The client is gone.
    pub fn send(&mut self, to: &mut impl Write) -> Result<(), Lost> {
        while !self.is_empty() {
            match to.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(Lost),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Lost),
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Takes `room` bytes, then no more.
    struct Narrow {
        got: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.got.extend(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_arrive_in_order_however_little_fits() {
        let mut outbox = Outbox::default();
        for n in 0..10 {
            outbox.push(&json!({"n": n})).expect("room");
        }
        let mut narrow = Narrow { got: Vec::new(), room: 0 };
        while !outbox.is_empty() {
            narrow.room = 3;
            outbox.send(&mut narrow).expect("a client");
        }
        let expected: String = (0..10).map(|n| format!("{{\"n\":{n}}}\r\n")).collect();
        assert_eq!(String::from_utf8(narrow.got).expect("text"), expected);
    }

    #[test]
    fn a_client_that_never_reads_is_lost() {
        let mut outbox = Outbox::default();
        let large = json!("x".repeat(1 << 20));
        let pushed = (0..100).take_while(|_| outbox.push(&large).is_ok()).count();
        assert!((8..=9).contains(&pushed), "{pushed}");
    }
}
