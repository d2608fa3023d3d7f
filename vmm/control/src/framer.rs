//! Bytes into messages: each is one JSON object or array, whatever stands between them.
//!
//! Nothing says where a message ends but its brackets. So the brackets are counted, outside of strings, and only a text whose brackets have
//! all been closed is given to a JSON parser. Whatever a client sends, the framer comes back to the beginning of a message: behind a closing
//! bracket too many, behind a line end within a string (JSON has none there), and behind the end of a message that is too long.

use crate::limits::MESSAGE_BYTES;

/// What came out of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text whose brackets are balanced; not more is known of it.
    Text(Vec<u8>),
    /// A message that is longer than [`MESSAGE_BYTES`]. It was not kept.
    TooLong,
    /// Bytes that no message begins with, or a string that is not closed.
    Broken,
}

/// What the next byte means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between messages.
    #[default]
    Outside,
    /// In a word that is no message.
    Junk,
    /// In a message.
    Inside,
    /// In a string of a message.
    Quoted,
    /// Behind a backslash in a string.
    Escaped,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct Framer {
    place: Place,
    text: Vec<u8>,
    /// Bytes of the message, kept or not.
    length: usize,
    braces: i64,
    brackets: i64,
}

impl Framer {
    /// Takes one byte; a frame if it was the last one of it.
    pub fn push(&mut self, byte: u8) -> Option<Frame> {
        match self.place {
            Place::Outside => self.begin(byte),
            Place::Junk => self.junk(byte),
            Place::Inside => self.inside(byte),
            Place::Quoted => self.quoted(byte),
            Place::Escaped => {
                self.keep(byte);
                self.place = Place::Quoted;
                None
            }
        }
    }

    /// True between two messages.
    pub fn is_idle(&self) -> bool {
        self.place == Place::Outside
    }

    fn begin(&mut self, byte: u8) -> Option<Frame> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => None,
            b'{' | b'[' => {
                self.place = Place::Inside;
                self.inside(byte)
            }
            _ => {
                self.place = Place::Junk;
                None
            }
        }
    }

    /// A word that is no message is one mistake, however long.
    fn junk(&mut self, byte: u8) -> Option<Frame> {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Some(self.end(Frame::Broken));
        }
        None
    }

    fn inside(&mut self, byte: u8) -> Option<Frame> {
        self.keep(byte);
        match byte {
            b'"' => self.place = Place::Quoted,
            b'{' => self.braces += 1,
            b'[' => self.brackets += 1,
            b'}' => self.braces -= 1,
            b']' => self.brackets -= 1,
            _ => {}
        }
        let over = self.braces < 0 || self.brackets < 0 || (self.braces == 0 && self.brackets == 0);
        over.then(|| self.whole())
    }

    fn quoted(&mut self, byte: u8) -> Option<Frame> {
        self.keep(byte);
        match byte {
            b'\\' => self.place = Place::Escaped,
            b'"' => self.place = Place::Inside,
            b'\n' => return Some(self.end(Frame::Broken)),
            _ => {}
        }
        None
    }

    fn keep(&mut self, byte: u8) {
        self.length = self.length.saturating_add(1);
        if self.length <= MESSAGE_BYTES {
            self.text.push(byte);
        }
    }

    fn whole(&mut self) -> Frame {
        if self.length > MESSAGE_BYTES {
            return self.end(Frame::TooLong);
        }
        let text = std::mem::take(&mut self.text);
        self.end(Frame::Text(text))
    }

    fn end(&mut self, frame: Frame) -> Frame {
        *self = Self::default();
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Frame> {
        let mut framer = Framer::default();
        bytes.iter().filter_map(|&byte| framer.push(byte)).collect()
    }

    fn text(text: &str) -> Frame {
        Frame::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_need_no_separator_and_may_have_any() {
        let bytes = b" {\"a\":1}{\"b\":\"}{\"}\r\n\n[1,[2]]\t{ }";
        assert_eq!(frames(bytes), [text("{\"a\":1}"), text("{\"b\":\"}{\"}"), text("[1,[2]]"), text("{ }")]);
    }

    #[test]
    fn quotes_and_backslashes_hide_brackets() {
        assert_eq!(frames(br#"{"a":"\"}\\"}{}"#), [text(r#"{"a":"\"}\\"}"#), text("{}")]);
    }

    #[test]
    fn what_is_broken_is_one_frame_and_the_next_message_is_read() {
        assert_eq!(frames(b"hello\n{}"), [Frame::Broken, text("{}")]);
        assert_eq!(frames(b"} \n{}"), [Frame::Broken, text("{}")]);
        assert_eq!(frames(b"{]{}"), [text("{]"), text("{}")]);
        assert_eq!(frames(b"{\"a\n{}"), [Frame::Broken, text("{}")]);
    }

    #[test]
    fn a_message_that_is_too_long_is_passed_over() {
        let mut bytes = b"{\"a\":\"".to_vec();
        bytes.resize(MESSAGE_BYTES + 10, b'x');
        bytes.extend(b"\"}{}");
        assert_eq!(frames(&bytes), [Frame::TooLong, text("{}")]);
        let most = format!("{{\"a\":\"{}\"}}", "x".repeat(MESSAGE_BYTES - 8));
        assert_eq!(frames(most.as_bytes()), [text(&most)]);
    }
}
