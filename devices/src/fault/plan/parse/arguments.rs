//! The words of one statement, taken one after the other; `key=value` words in any order at its end.

use crate::fault::plan::lex::Word;
use crate::fault::plan::nearest::nearest;
use crate::fault::plan::units::{UnitError, Units};
use crate::fault::plan::{Marks, PlanError, Span, limits};
use std::ops::RangeInclusive;

/// The words of a statement that are not yet taken.
pub(super) struct Arguments<'a> {
    words: std::slice::Iter<'a, Word>,
    options: Vec<Opt<'a>>,
    /// Keys that were asked for so far, to tell them to somebody who wrote another.
    known: Vec<&'static str>,
    /// The whole statement.
    pub span: Span,
    /// The place just behind the statement.
    end: Span,
    /// Where the words taken so far stand.
    pub marks: Marks,
    pub errors: &'a mut Vec<PlanError>,
}

/// A `key=value` word.
pub(super) struct Opt<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub span: Span,
}

impl<'a> Arguments<'a> {
    /// The words behind the statement's first, which is `words[0]`.
    pub fn new(words: &'a [Word], errors: &'a mut Vec<PlanError>) -> Self {
        let plain = words.iter().position(|w| w.text.contains('=')).unwrap_or(words.len());
        let first = words.first().map(|w| w.span).unwrap_or_default();
        let end = words.last().map_or(first.end, |w| w.span.end);
        let column = words.last().map_or(first.column, |w| w.end_column);
        let mut arguments = Self {
            words: words[..plain].iter(),
            options: Vec::new(),
            known: Vec::new(),
            span: Span { end, ..first },
            end: Span { start: end, end, line: first.line, column },
            marks: Marks::default(),
            errors,
        };
        arguments.words.next();
        for word in &words[plain..] {
            arguments.option(word);
        }
        arguments
    }

    /// Files a word behind the first `key=value` word.
    fn option(&mut self, word: &'a Word) {
        let Some((key, value)) = word.text.split_once('=') else {
            let error =
                PlanError::new(word.span, format!("`{}` stands behind the options", shorten(&word.text)));
            self.errors.push(error.expected("KEY=VALUE"));
            return;
        };
        if self.options.iter().any(|o| o.key == key) {
            self.errors.push(PlanError::new(word.span, format!("`{}=` is given twice", shorten(key))));
        } else if self.options.len() >= limits::OPTIONS {
            let error = PlanError::new(word.span, "too many options");
            self.errors.push(error.expected(format!("at most {}", limits::OPTIONS)));
        } else {
            self.options.push(Opt { key, value, span: word.span });
        }
    }

    /// The next word. `role` marks it; `expected` says what it should be, for the message if there is none.
    pub fn word(&mut self, role: &str, expected: &str) -> Option<&'a Word> {
        let word = self.words.next();
        match word {
            Some(word) => self.mark(role, word.span),
            None => {
                self.errors.push(PlanError::new(self.end, "the statement ends too early").expected(expected));
            }
        }
        word
    }

    /// The next word if it begins with `prefix`.
    pub fn word_if(&mut self, prefix: char) -> Option<&'a Word> {
        let word = self.words.as_slice().first()?;
        if !word.text.starts_with(prefix) {
            return None;
        }
        self.words.next()
    }

    /// The next word as a device name.
    pub fn name(&mut self, role: &str) -> Option<String> {
        let word = self.word(role, "a device name")?;
        if is_name(&word.text) {
            return Some(word.text.clone());
        }
        let error = PlanError::new(word.span, format!("`{}` is not a name", shorten(&word.text)));
        self.errors.push(error.expected(name_rule()));
        None
    }

    /// The next word as a quantity.
    pub fn quantity(&mut self, role: &str, units: Units, range: &RangeInclusive<u64>) -> Option<u64> {
        let word = self.word(role, &units.expected())?;
        self.value(units, &word.text, word.span, range)
    }

    /// The option `key` as it stands, if given.
    pub fn take(&mut self, key: &'static str) -> Option<Opt<'a>> {
        self.known.push(key);
        let at = self.options.iter().position(|o| o.key == key)?;
        let option = self.options.remove(at);
        self.mark(key, option.span);
        Some(option)
    }

    /// The option `key` as a quantity. Outer `None`: it was wrong, and an error was filed.
    pub fn optional(
        &mut self,
        key: &'static str,
        units: Units,
        range: &RangeInclusive<u64>,
    ) -> Option<Option<u64>> {
        match self.take(key) {
            None => Some(None),
            Some(option) => self.value(units, option.value, option.span, range).map(Some),
        }
    }

    /// The option `key` as a quantity; it must be there.
    pub fn required(&mut self, key: &'static str, units: Units, range: &RangeInclusive<u64>) -> Option<u64> {
        let value = self.optional(key, units, range)?;
        if value.is_none() {
            let error = match self.misspelt(key) {
                Some(option) => unknown(&option, [key]),
                None => PlanError::new(self.end, format!("`{key}=` is missing")),
            };
            self.errors.push(error.expected(format!("`{key}=` and {}", units.expected())));
        }
        value
    }

    /// The option that probably means `key`.
    fn misspelt(&mut self, key: &'static str) -> Option<Opt<'a>> {
        let at = self.options.iter().position(|option| nearest(option.key, [key]).is_some())?;
        Some(self.options.remove(at))
    }

    /// Reads a quantity and files what is wrong with it.
    pub fn value(
        &mut self,
        units: Units,
        text: &str,
        span: Span,
        range: &RangeInclusive<u64>,
    ) -> Option<u64> {
        let error = match units.parse(text, range) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let expected = match &error {
            UnitError::OutOfRange { range, .. } => range.clone(),
            UnitError::UnknownUnit(_) | UnitError::NoUnit(_) if units.table.len() > 1 => {
                format!("a number with {}", units.suffixes())
            }
            _ => units.expected(),
        };
        let message = match error {
            UnitError::NotANumber(text) => format!("`{}` is not {}", shorten(&text), units.what),
            UnitError::NoUnit(text) => format!("`{}` has no unit", shorten(&text)),
            UnitError::UnknownUnit(unit) => format!("unknown unit `{}`", shorten(&unit)),
            UnitError::OutOfRange { value, .. } => format!("`{}` is out of range", shorten(&value)),
        };
        self.errors.push(PlanError::new(span, message).expected(expected));
        None
    }

    /// What is left of the options.
    pub fn rest(&mut self) -> Vec<Opt<'a>> {
        let rest = std::mem::take(&mut self.options);
        for option in &rest {
            self.mark(option.key, option.span);
        }
        rest
    }

    /// Marks the place of a word.
    fn mark(&mut self, role: &str, span: Span) {
        self.marks.0.insert(role.into(), span);
    }

    /// Files whatever was not asked for. Every statement ends with this.
    pub fn finish(mut self) -> (Span, Marks) {
        if let Some(word) = self.words.next() {
            let error = PlanError::new(word.span, format!("`{}` is one word too many", shorten(&word.text)));
            self.errors.push(error.expected("the end of the statement"));
        }
        for option in &self.options {
            let mut error = unknown(option, self.known.iter().copied());
            error = match self.known.as_slice() {
                [] => error.expected("no options"),
                known => error.expected(one_of(known)),
            };
            self.errors.push(error);
        }
        (self.span, self.marks)
    }
}

/// An option that none of `known` is.
fn unknown(option: &Opt<'_>, known: impl IntoIterator<Item = &'static str>) -> PlanError {
    PlanError::new(option.span, format!("unknown option `{}`", shorten(option.key)))
        .nearest(option.key, known)
}

impl Units {
    /// The quantity in words, with its units.
    fn expected(self) -> String {
        match self.table.len() {
            1 => self.what.into(),
            _ => format!("{} in {}", self.what, self.suffixes()),
        }
    }
}

/// The name rule in words.
fn name_rule() -> String {
    format!("a small letter, then small letters, digits or `-`; at most {} characters", limits::NAME_CHARS)
}

/// `text` is a name: `[a-z][a-z0-9-]*`, not too long.
pub(super) fn is_name(text: &str) -> bool {
    is_word(text, limits::NAME_CHARS)
}

/// `text` has the form of a name, and at most `chars` characters.
pub(super) fn is_word(text: &str, chars: usize) -> bool {
    let rest = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    text.len() <= chars
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.as_bytes().iter().all(rest)
}

/// A list in words: "`a`, `b` or `c`".
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// A word for a message, cut where it is too long to read.
pub(super) fn shorten(word: &str) -> String {
    const SHOWN: usize = 40;
    if word.chars().count() <= SHOWN {
        return word.into();
    }
    word.chars().take(SHOWN).chain(['…']).collect()
}
