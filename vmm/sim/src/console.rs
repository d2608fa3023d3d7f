//! The console: the last lines, in bounded memory.

use std::{collections::VecDeque, io::Write};

/// Lines kept.
const LINES: usize = 256;
/// Bytes kept of a line.
const LINE_BYTES: usize = 1024;

/// Collects what the kernel writes.
#[derive(Default)]
pub(crate) struct Console {
    lines: VecDeque<String>,
    open: String,
    tap: Option<Box<dyn Write>>,
}

impl Console {
    /// A console whose text goes to `tap` too, whole.
    pub fn new(tap: Option<Box<dyn Write>>) -> Self {
        Self { tap, ..Self::default() }
    }

    /// Appends `text`, which may hold any number of lines or a part of one.
    pub fn write(&mut self, text: &str) {
        if let Some(tap) = &mut self.tap {
            // A place that takes no more must not stop the machine.
            let _ = tap.write_all(text.as_bytes());
        }
        for piece in text.split_inclusive('\n') {
            let (piece, ends) = match piece.strip_suffix('\n') {
                Some(line) => (line, true),
                None => (piece, false),
            };
            self.append(piece);
            if ends {
                let line = std::mem::take(&mut self.open);
                self.push(line);
            }
        }
    }

    /// The lines so far, an unfinished one left out.
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    /// All lines, an unfinished one included.
    pub fn into_lines(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            let line = std::mem::take(&mut self.open);
            self.push(line);
        }
        self.lines.into()
    }

    fn append(&mut self, piece: &str) {
        let mut end = piece.len().min(LINE_BYTES - self.open.len());
        while !piece.is_char_boundary(end) {
            end -= 1;
        }
        self.open.push_str(&piece[..end]);
    }

    fn push(&mut self, line: String) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_bounded() {
        let mut console = Console::default();
        console.write("a");
        console.write("b\nc\n");
        console.write(&"é".repeat(LINE_BYTES));
        let lines = console.into_lines();
        assert_eq!(&lines[..2], ["ab", "c"]);
        assert_eq!(lines[2].len(), LINE_BYTES);

        let (mut far, tap) = std::io::pipe().unwrap();
        let mut console = Console::new(Some(Box::new(tap)));
        console.write(&"é".repeat(LINE_BYTES));
        drop(console);
        let mut got = String::new();
        std::io::Read::read_to_string(&mut far, &mut got).unwrap();
        assert_eq!(got.len(), 2 * LINE_BYTES);

        let mut console = Console::default();
        for n in 0..1000 {
            console.write(&format!("{n}\n"));
        }
        let lines = console.into_lines();
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (LINES, "999"));
    }
}
