//! Versions of bundles.

/// How finished a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `d`
    Development,
    /// `a`
    Alpha,
    /// `b`
    Beta,
    /// `fc`
    Candidate,
    /// Nothing.
    Release,
}

/// A version, `1.2.3fc4`: up to four digits, then up to two parts of up to two digits, then a stage with a level of 1–255.
/// Later versions are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
    revision: u16,
    stage: Stage,
    level: u16,
}

impl Version {
    /// Reads a version; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, stage, level) = split_stage(text)?;
        let mut parts = numbers.split('.');
        let major = number(parts.next()?, 4)?;
        let minor = parts.next().map_or(Some(0), |p| number(p, 2))?;
        let revision = parts.next().map_or(Some(0), |p| number(p, 2))?;
        parts.next().is_none().then_some(Self { major, minor, revision, stage, level })
    }
}

/// The numbers, the stage and its level.
fn split_stage(text: &str) -> Option<(&str, Stage, u16)> {
    let Some(at) = text.find(|c: char| c.is_ascii_alphabetic()) else {
        return Some((text, Stage::Release, 0));
    };
    let (numbers, rest) = text.split_at(at);
    let stages =
        [("fc", Stage::Candidate), ("d", Stage::Development), ("a", Stage::Alpha), ("b", Stage::Beta)];
    let (level, stage) = stages.iter().find_map(|&(word, stage)| Some((rest.strip_prefix(word)?, stage)))?;
    let level = number(level, 3).filter(|n| (1..=255).contains(n))?;
    Some((numbers, stage, level))
}

fn number(text: &str, digits: usize) -> Option<u16> {
    let fits = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_is_greater() {
        let order =
            ["0.9", "1.0d1", "1.0a1", "1.0b2", "1.0b10", "1.0fc1", "1", "1.0.1", "1.2", "1.10", "2000"];
        let versions: alloc::vec::Vec<_> = order.iter().map(|v| Version::parse(v).unwrap()).collect();
        assert!(versions.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(Version::parse("1"), Version::parse("1.0.0"));
    }

    #[test]
    fn what_is_not_a_version() {
        for text in [
            "", ".", "1.", "1..2", "1.2.3.4", "10000", "1.100", "1.0x1", "1.0d", "1.0d0", "1.0d256", "d1",
            "-1", "1 ", "1.0é1",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
