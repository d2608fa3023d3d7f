//! Option values of a plan in the form that models take.

use super::Model;
use crate::fault::plan::Plug;
use std::collections::BTreeMap;

/// Longest time that an option takes: 1000 s.
const MAX_TIME: u64 = 1_000_000_000_000;
/// Largest size that an option takes: 1 TiB.
const MAX_SIZE: u64 = 1 << 40;

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
    scaled(text, &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)], MAX_TIME)
}

/// Bytes of `16M`; `None` if it is not a size or larger than 1 TiB.
pub fn parse_size(text: &str) -> Option<u64> {
    scaled(text, &[("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)], MAX_SIZE)
}

fn scaled(text: &str, units: &[(&str, u64)], max: u64) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let value = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (value <= max).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(parse_time("20us"), Some(20_000));
        assert_eq!(parse_time("1000s"), Some(MAX_TIME));
        assert_eq!(parse_size("16M"), Some(16 << 20));
        assert_eq!(parse_size("512"), Some(512));
        for bad in ["", "us", "1", "-1us", "99999999999999999999s", "1001s", "1 us"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(parse_size("1025G"), None);
    }
}
