//! Option values of a plan in the form that models take.

use super::Model;
use crate::fault::plan::units::{SIZE, TIME};
use crate::fault::plan::{Plug, limits};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Machine ns that an option takes.
const TIMES: RangeInclusive<u64> = 0..=1_000_000_000_000;

/// The options of one device; what the plan does not say has the model's default.
pub struct Settings<'a> {
    model: &'a Model,
    name: &'a str,
    given: &'a BTreeMap<String, String>,
}

impl<'a> Settings<'a> {
    /// The options of `plug` must have been checked against `model`.
    pub(super) fn new(model: &'a Model, plug: &'a Plug) -> Self {
        Self { model, name: &plug.name, given: &plug.options }
    }

    /// The plan's name of the device.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value as it stands; empty for an option that does not exist.
    pub fn word(&self, name: &str) -> &'a str {
        let default = || self.model.option(name).map_or("", |option| option.default);
        self.given.get(name).map_or_else(default, String::as_str)
    }

    /// `yes`?
    pub fn flag(&self, name: &str) -> bool {
        self.word(name) == "yes"
    }

    /// Machine ns.
    pub fn time(&self, name: &str) -> u64 {
        parse_time(self.word(name)).unwrap_or(0)
    }

    /// Bytes.
    pub fn size(&self, name: &str) -> u64 {
        parse_size(self.word(name)).unwrap_or(0)
    }
}

/// Machine ns of `20us`; `None` if it is not a time or longer than 1000 s.
pub fn parse_time(text: &str) -> Option<u64> {
    TIME.parse(text, &TIMES).ok()
}

/// Bytes of `16M`; `None` if it is not a size that a disk can have.
pub fn parse_size(text: &str) -> Option<u64> {
    SIZE.parse(text, &limits::SIZE).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(parse_time("20us"), Some(20_000));
        assert_eq!(parse_time("1000s"), Some(1_000_000_000_000));
        assert_eq!(parse_size("16M"), Some(16 << 20));
        assert_eq!(parse_size("512"), Some(512));
        for bad in ["", "us", "1", "-1us", "99999999999999999999s", "1001s", "1 us"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(parse_size("65G"), None);
    }
}
