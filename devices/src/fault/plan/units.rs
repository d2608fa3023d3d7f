//! Numbers and quantities: times, rates, sizes. Integers only, decimal or `0x`, with `_` between digits.

use std::fmt;
use std::ops::RangeInclusive;

/// A family of units, smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// What the quantity is called in messages.
    pub what: &'static str,
    /// Suffix and factor, smallest first. An empty suffix: the bare number is allowed.
    pub table: &'static [(&'static str, u64)],
}

/// Times; the value is in nanoseconds.
pub const TIME: Units =
    Units { what: "a time", table: &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)] };
/// Rates; the value is in events per second.
pub const RATE: Units = Units { what: "a rate", table: &[("Hz", 1), ("kHz", 1_000), ("MHz", 1_000_000)] };
/// Sizes; the value is in bytes, and the units are powers of 1024.
pub const SIZE: Units =
    Units { what: "a size", table: &[("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)] };
/// Plain numbers.
pub const NUMBER: Units = Units { what: "a number", table: &[("", 1)] };

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It does not begin with a digit, or has a misplaced underscore, or digits of the wrong base.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A number without a unit where one is needed.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit that is not of the family.
    #[error("unknown unit `{0}`")]
    UnknownUnit(String),
    /// Outside the range allowed.
    #[error("{value} is out of range")]
    OutOfRange {
        /// The text as given.
        value: String,
        /// The range in words.
        range: String,
    },
}

impl Units {
    /// Reads `text` as a quantity of this family that lies in `range`.
    ///
    /// # Errors
    /// [`UnitError`]: what is wrong with the text. Never overflows.
    pub fn parse(self, text: &str, range: &RangeInclusive<u64>) -> Result<u64, UnitError> {
        let (number, suffix) = split(text).ok_or_else(|| UnitError::NotANumber(text.into()))?;
        let factor = match self.table.iter().find(|(word, _)| *word == suffix) {
            Some((_, factor)) => *factor,
            None if suffix.is_empty() => return Err(UnitError::NoUnit(text.into())),
            None => return Err(UnitError::UnknownUnit(suffix.into())),
        };
        match number.and_then(|n| n.checked_mul(factor)) {
            Some(value) if range.contains(&value) => Ok(value),
            _ => Err(UnitError::OutOfRange { value: text.into(), range: self.range(range) }),
        }
    }

    /// The canonical text of `value`: the largest unit that divides it.
    pub fn show(self, value: u64) -> Shown {
        let fits = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor);
        let largest = if value == 0 { self.table.first() } else { self.table.iter().rev().find(fits) };
        let (suffix, factor) = largest.copied().unwrap_or(("", 1));
        Shown { number: value / factor, suffix }
    }

    /// The suffixes in words: "ns, us, ms or s".
    pub fn suffixes(self) -> String {
        let words: Vec<&str> =
            self.table.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        match words.split_last() {
            None => "no unit".into(),
            Some((last, [])) => (*last).into(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        }
    }

    /// A range in words: "from 1us to 3600s".
    pub fn range(self, range: &RangeInclusive<u64>) -> String {
        format!("from {} to {}", self.show(*range.start()), self.show(*range.end()))
    }
}

/// A quantity ready to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    number: u64,
    suffix: &'static str,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.suffix)
    }
}

/// The number at the front of `text` and what follows it. The inner `None`: too large for 64 bits.
fn split(text: &str) -> Option<(Option<u64>, &str)> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(rest) => (rest, 16),
        None => (text, 10),
    };
    let end = digits.find(|c: char| c != '_' && !c.is_digit(base)).unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let misplaced = number.starts_with('_') || number.ends_with('_') || number.contains("__");
    if number.is_empty() || misplaced {
        return None;
    }
    let value = number.chars().filter_map(|c| c.to_digit(base)).try_fold(0u64, |value, digit| {
        value.checked_mul(u64::from(base)).and_then(|v| v.checked_add(u64::from(digit)))
    });
    Some((value, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: RangeInclusive<u64> = 0..=u64::MAX;

    #[test]
    fn quantities_are_read() {
        assert_eq!(TIME.parse("5ms", &ALL), Ok(5_000_000));
        assert_eq!(TIME.parse("1_000us", &ALL), Ok(1_000_000));
        assert_eq!(RATE.parse("200kHz", &ALL), Ok(200_000));
        assert_eq!(SIZE.parse("16M", &ALL), Ok(16 << 20));
        assert_eq!(SIZE.parse("4096", &ALL), Ok(4096));
        assert_eq!(NUMBER.parse("0x1f", &ALL), Ok(31));
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(TIME.parse("ms", &ALL), Err(UnitError::NotANumber("ms".into())));
        assert_eq!(TIME.parse("", &ALL), Err(UnitError::NotANumber(String::new())));
        assert_eq!(TIME.parse("-1ms", &ALL), Err(UnitError::NotANumber("-1ms".into())));
        assert_eq!(TIME.parse("1__0ms", &ALL), Err(UnitError::NotANumber("1__0ms".into())));
        assert_eq!(TIME.parse("5", &ALL), Err(UnitError::NoUnit("5".into())));
        assert_eq!(TIME.parse("5m", &ALL), Err(UnitError::UnknownUnit("m".into())));
        assert_eq!(NUMBER.parse("5.5", &ALL), Err(UnitError::UnknownUnit(".5".into())));
        let large = "99999999999999999999999999999999s";
        assert!(matches!(TIME.parse(large, &ALL), Err(UnitError::OutOfRange { .. })));
        assert!(matches!(TIME.parse("18446744073709551615s", &ALL), Err(UnitError::OutOfRange { .. })));
        assert!(
            matches!(NUMBER.parse("9", &(1..=8)), Err(UnitError::OutOfRange { range, .. }) if range == "from 1 to 8")
        );
    }

    #[test]
    fn canonical_text_uses_the_largest_unit() {
        assert_eq!(TIME.show(5_000_000).to_string(), "5ms");
        assert_eq!(TIME.show(5_000_001).to_string(), "5000001ns");
        assert_eq!(TIME.show(0).to_string(), "0ns");
        assert_eq!(SIZE.show(16 << 20).to_string(), "16M");
        assert_eq!(SIZE.show(513).to_string(), "513");
    }
}
