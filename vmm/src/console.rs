//! What the guest prints: the last lines, and where wanted everything at once.

use crate::tap::Tap;
use std::collections::VecDeque;
use std::io::{self, Write};

/// Lines kept unless the caller wants another number.
const LINES: usize = 64;
/// Bytes of a line kept.
const LINE_BYTES: usize = 512;

/// The far end of the serial line.
#[derive(Default)]
pub struct Console {
    lines: VecDeque<Vec<u8>>,
    partial: Vec<u8>,
    pass_on: bool,
    tap: Option<Tap>,
    kept: usize,
}

impl Console {
    /// A console that keeps the last `lines` lines (0 = the usual number); with `pass_on`, bytes also go to the standard output as they come, and with `tap` there.
    pub fn new(pass_on: bool, tap: Option<Tap>, lines: usize) -> Self {
        Self { pass_on, tap, kept: if lines == 0 { LINES } else { lines }, ..Self::default() }
    }

    /// The last lines, with control characters made visible: the guest is not trusted with the terminal.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .iter()
            .chain((!self.partial.is_empty()).then_some(&self.partial))
            .map(|line| clean(line))
            .collect()
    }
}

fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_matches('\r')
        .chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pass_on {
            let mut out = io::stdout().lock();
            // A reader that has gone must not stop the machine.
            let _ = out.write_all(bytes).and_then(|()| out.flush());
        }
        if let Some(tap) = &self.tap {
            tap.print(bytes);
        }
        for &byte in bytes {
            if byte == b'\n' {
                if self.lines.len() >= self.kept {
                    self.lines.pop_front();
                }
                self.lines.push_back(std::mem::take(&mut self.partial));
            } else if self.partial.len() < LINE_BYTES {
                self.partial.push(byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_made_harmless() {
        let mut console = Console::new(false, None, 0);
        for n in 0..100 {
            writeln!(console, "line {n}").expect("memory");
        }
        write!(console, "\x1b[2Jpartial\r").expect("memory");
        let lines = console.lines();
        assert_eq!(lines.len(), LINES + 1);
        assert_eq!(lines[LINES - 1], "line 99");
        assert_eq!(lines[LINES], "\u{fffd}[2Jpartial");
    }

    #[test]
    fn a_tap_gets_every_byte() {
        let (mut far, tap) = io::pipe().expect("a pipe");
        let mut console = Console::new(false, Some(Tap::new(tap, None)), 0);
        console.write_all(b"\x1bone\ntwo").expect("memory");
        drop(console);
        let mut got = Vec::new();
        io::Read::read_to_end(&mut far, &mut got).expect("a pipe");
        assert_eq!(got, b"\x1bone\ntwo");
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut console = Console::new(false, None, 0);
        console.write_all(&[b'x'; 100_000]).expect("memory");
        assert_eq!(console.lines()[0].len(), LINE_BYTES);
    }
}
