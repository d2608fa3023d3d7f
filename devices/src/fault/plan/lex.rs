//! Lines into words.

use super::{PlanError, Span, limits};

/// One word of a line: characters up to white space, or a `"…"` part in which white space and `#` count as characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word, quotes and escapes resolved.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// The column behind its last character.
    pub end_column: usize,
}

/// One line: its words and its comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LexedLine {
    pub words: Vec<Word>,
    /// The comment without its `#`, trailing white space cut.
    pub comment: Option<String>,
}

/// Where a line is in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Byte offset of the line.
    pub offset: usize,
    /// Line number, from 1.
    pub number: usize,
}

/// Takes one line (without its line end) apart.
///
/// # Errors
/// The line is too long, has a control character, or a quote that is not closed.
pub(super) fn line(text: &str, place: Place) -> Result<LexedLine, Box<PlanError>> {
    let mut scanner = Scanner { text, place, at: 0, column: 1 };
    if text.len() > limits::LINE_BYTES {
        let error = PlanError::new(scanner.span_from(0, 1), "the line is too long");
        return Err(Box::new(error.expected(format!("at most {} bytes", limits::LINE_BYTES))));
    }
    let mut out = LexedLine::default();
    loop {
        scanner.skip_space();
        match scanner.peek() {
            None => return Ok(out),
            Some('#') if !(scanner.at_count() && takes_count(&out.words)) => {
                out.comment = Some(scanner.comment()?);
                return Ok(out);
            }
            Some(_) => out.words.push(scanner.word()?),
        }
    }
}

/// `on SITE`, or a rule's `fail-alloc`, stands before: a `#` with a digit behind it is a count here, not a comment.
fn takes_count(words: &[Word]) -> bool {
    match words {
        [on, _] if on.text == "on" => true,
        [first, .., last] => {
            matches!(first.text.as_str(), "at" | "every" | "on") && last.text == "fail-alloc"
        }
        _ => false,
    }
}

struct Scanner<'a> {
    text: &'a str,
    place: Place,
    /// Byte offset in the line.
    at: usize,
    /// Column in characters, from 1.
    column: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) {
        if let Some(c) = self.peek() {
            self.at += c.len_utf8();
            self.column += 1;
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.bump();
        }
    }

    /// The text goes on with `#` and a digit.
    fn at_count(&self) -> bool {
        let mut chars = self.text[self.at..].chars();
        chars.next() == Some('#') && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    /// The span from byte `start` of the line, column `column`, to here.
    fn span_from(&self, start: usize, column: usize) -> Span {
        let offset = self.place.offset;
        Span { start: offset + start, end: offset + self.at, line: self.place.number, column }
    }

    fn control_character(&mut self, c: char) -> Box<PlanError> {
        let (start, column) = (self.at, self.column);
        self.bump();
        let name = c.escape_unicode();
        let error =
            PlanError::new(self.span_from(start, column), format!("control character {name} in the text"));
        Box::new(error.expected("printable characters"))
    }

    fn comment(&mut self) -> Result<String, Box<PlanError>> {
        self.bump();
        let start = self.at;
        while let Some(c) = self.peek() {
            if c.is_control() && c != '\t' {
                return Err(self.control_character(c));
            }
            self.bump();
        }
        Ok(self.text[start..].trim_end_matches([' ', '\t']).into())
    }

    fn word(&mut self) -> Result<Word, Box<PlanError>> {
        let (start, column) = (self.at, self.column);
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => break,
                '#' if self.at > start => break,
                '"' => self.quoted(&mut text)?,
                c if c.is_control() => return Err(self.control_character(c)),
                c => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        Ok(Word { text, span: self.span_from(start, column), end_column: self.column })
    }

    /// A `"…"` part; `\"` and `\\` inside stand for the second character.
    fn quoted(&mut self, text: &mut String) -> Result<(), Box<PlanError>> {
        let (start, column) = (self.at, self.column);
        self.bump();
        while let Some(c) = self.peek() {
            if c.is_control() {
                return Err(self.control_character(c));
            }
            self.bump();
            match (c, self.peek()) {
                ('"', _) => return Ok(()),
                ('\\', Some(escaped @ ('"' | '\\'))) => {
                    text.push(escaped);
                    self.bump();
                }
                _ => text.push(c),
            }
        }
        let error = PlanError::new(self.span_from(start, column), "the quote is not closed");
        Err(Box::new(error.expected("a closing `\"`")))
    }
}
