//! A probability, in integers: `p=0.01`.

use std::fmt;

/// What certainty is worth.
const ONE: u32 = 1_000_000_000;
/// Digits behind the point.
const DIGITS: usize = 9;

/// A probability above zero, in parts per thousand million. No floating point: a plan must mean the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// So many parts per thousand million; `None` for zero and for more than all.
    pub fn from_parts(parts: u32) -> Option<Self> {
        (1..=ONE).contains(&parts).then_some(Self(parts))
    }

    /// Reads a decimal number above 0, at most 1, with at most nine digits behind the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > DIGITS || whole.len() > 1 {
            return None;
        }
        let scale = 10u32.pow((DIGITS - fraction.len()) as u32);
        let behind = fraction.parse::<u32>().ok()?.checked_mul(scale)?;
        Self::from_parts(whole.parse::<u32>().ok()?.checked_mul(ONE)?.checked_add(behind)?)
    }

    /// Whether it happens, for one random number that is spread evenly over 64 bits.
    pub fn happens(self, random: u64) -> bool {
        ((random >> 32) * u64::from(ONE)) >> 32 < u64::from(self.0)
    }

    /// The same as a threshold on 32 random bits; certainty is [`u32::MAX`].
    pub fn of_32_bits(self) -> u32 {
        let threshold = (u64::from(self.0) << 32) / u64::from(ONE);
        u32::try_from(threshold).unwrap_or(u32::MAX).max(1)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == ONE {
            return f.write_str("1");
        }
        let fraction = format!("{:09}", self.0);
        write!(f, "0.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_printed() {
        for (text, parts, shown) in [
            ("0.01", 10_000_000, "0.01"),
            ("1", ONE, "1"),
            ("1.000", ONE, "1"),
            ("0.50", 500_000_000, "0.5"),
            ("0.000000001", 1, "0.000000001"),
        ] {
            let chance = Chance::parse(text).expect(text);
            assert_eq!((chance, chance.to_string().as_str()), (Chance(parts), shown));
        }
        for wrong in
            ["", "0", "0.0", "1.1", "2", ".5", "1.", "-0.1", "0.0000000001", "1e-3", "0x1", "01.0", "+1"]
        {
            assert_eq!(Chance::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_happens_as_often_as_it_says() {
        assert!(Chance(ONE).happens(u64::MAX) && Chance(ONE).happens(0));
        assert!(Chance(1).happens(0) && !Chance(1).happens(1 << 40));
        let half = Chance(ONE / 2);
        assert!(half.happens((1 << 63) - 1) && !half.happens(1 << 63));
        assert_eq!(
            (Chance(ONE).of_32_bits(), half.of_32_bits(), Chance(1).of_32_bits()),
            (u32::MAX, 1 << 31, 4)
        );
    }
}
