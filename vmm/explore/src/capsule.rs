//! Capsules: a bug in a file of a few KiB. Plan, schedule, the rule that breaks and the trace's hash, as text that a person can read.
//!
//! ```text
//! workgate-capsule 1
//! rule close-before-return
//! hash 4be3a1f09c1d2e57
//! schedule list 2 dice=0
//! 1161450 cpu cpu=0 of=0b11 answer=1
//! 1170000 latency cpu=1 of=0b10/8 answer=5
//! plan surprise-removal.plan
//! machine cpus=2 memory=16M
//! …
//! ```

use crate::bytes::MAX_SCHEDULE_BYTES;
use crate::cause::Cause;
use crate::list::MAX_DEVIATIONS;
use crate::schedule::{Deviation, KINDS, Schedule, word};
use devices::fault::plan::Plan;
use sim::chooser::Decision;
use std::fmt::Write;
use thiserror::Error;

/// The first line of every capsule of this version.
const MAGIC: &str = "workgate-capsule 1";
/// What the first line of any version begins with.
const ANY: &str = "workgate-capsule ";
/// Largest capsule, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

/// A bug, ready to be seen again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capsule {
    /// What breaks; `None`: nothing does.
    pub cause: Option<Cause>,
    /// Hash of the run's trace.
    pub hash: u64,
    /// Everything that the plan leaves open.
    pub schedule: Schedule,
    /// The plan's file name.
    pub name: String,
    /// The plan's text.
    pub plan: String,
}

/// A text is no capsule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {found}; expected {expected}")]
pub struct CapsuleError {
    /// Line, from 1.
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl Capsule {
    /// True if `text` is meant to be a capsule of some version.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(ANY)
    }

    /// The capsule of a run.
    pub fn new(plan: &Plan, schedule: Schedule, cause: Option<Cause>, hash: u64) -> Self {
        Self { cause, hash, schedule, name: plan.name.clone(), plan: plan.to_string() }
    }

    /// Reads a capsule.
    ///
    /// # Errors
    /// [`CapsuleError`] with the line. The plan in it is not parsed here.
    pub fn parse(text: &str) -> Result<Self, CapsuleError> {
        Reader { lines: text.lines(), line: 0 }.capsule()
    }
}

impl std::fmt::Display for Capsule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{MAGIC}")?;
        writeln!(f, "rule {}", self.cause.as_ref().map_or("none", |cause| &cause.rule))?;
        writeln!(f, "hash {:016x}", self.hash)?;
        match &self.schedule {
            Schedule::List { deviations, dice } => {
                writeln!(f, "schedule list {} dice={dice}", deviations.len())?;
                deviations.iter().try_for_each(|deviation| writeln!(f, "{}", line(deviation)))?;
            }
            Schedule::Bytes { bytes, dice } => writeln!(f, "schedule bytes {} dice={dice}", hex(bytes))?,
            other => writeln!(f, "schedule {}", other.describe())?,
        }
        write!(f, "plan {}\n{}", self.name, self.plan)
    }
}

/// Two digits a byte; `-` for none.
fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The bytes of [`hex`].
fn unhex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() / 2 <= MAX_SCHEDULE_BYTES)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn line(deviation: &Deviation) -> String {
    let Decision { now, kind, alternatives, cpus, cpu } = deviation.decision;
    let mut text = format!("{now} {} cpu={cpu} of={cpus:#b}", word(kind));
    if alternatives != cpus.count_ones() {
        // Writing into a string cannot fail.
        _ = write!(text, "/{alternatives}");
    }
    if deviation.skip > 0 {
        _ = write!(text, "+{}", deviation.skip);
    }
    _ = write!(text, " answer={}", deviation.answer);
    text
}

struct Reader<'t> {
    lines: std::str::Lines<'t>,
    line: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self, expected: &str) -> Result<&'t str, CapsuleError> {
        self.line += 1;
        self.lines.next().ok_or_else(|| self.wrong("the end of the file", expected))
    }

    fn wrong(&self, found: &str, expected: &str) -> CapsuleError {
        let mut found: String = found.chars().take(60).collect();
        if found.is_empty() {
            "an empty line".clone_into(&mut found);
        }
        CapsuleError { line: self.line, found, expected: expected.to_owned() }
    }

    /// The rest of a line that begins with `word`.
    fn field(&mut self, word: &str) -> Result<&'t str, CapsuleError> {
        let expected = format!("`{word} …`");
        let line = self.next(&expected)?;
        line.strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(' '))
            .map(str::trim)
            .ok_or_else(|| self.wrong(line, &expected))
    }

    fn capsule(mut self) -> Result<Capsule, CapsuleError> {
        let first = self.next(MAGIC)?;
        if first != MAGIC {
            return Err(self.wrong(first, &format!("`{MAGIC}` (capsules of other versions are not read)")));
        }
        let cause = match self.field("rule")? {
            "none" => None,
            rule => Some(Cause { rule: rule.to_owned() }),
        };
        let hash = self.field("hash")?;
        let hash = u64::from_str_radix(hash, 16)
            .map_err(|_| self.wrong(hash, "the trace's hash, 16 hexadecimal digits"))?;
        let schedule = self.schedule()?;
        let name = self.field("plan")?.to_owned();
        let plan = self.lines.fold(String::new(), |text, line| text + line + "\n");
        Ok(Capsule { cause, hash, schedule, name, plan })
    }

    fn schedule(&mut self) -> Result<Schedule, CapsuleError> {
        const EXPECTED: &str = "`plain`, `seed N`, `pct seed=N depth=N horizon=N`, `pos seed=N`, `bytes HEX dice=N` or `list N dice=N`";
        let text = self.field("schedule")?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u64>().ok();
        let keyed = |word: &str, key: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok();
        let read = match words.as_slice() {
            ["plain"] => Some(Schedule::Plain),
            ["seed", seed] => number(seed).map(Schedule::Seed),
            ["pct", seed, depth, horizon] => (|| {
                let depth = u32::try_from(keyed(depth, "depth")?).ok().filter(|depth| *depth <= 1024)?;
                Some(Schedule::Pct { seed: keyed(seed, "seed")?, depth, horizon: keyed(horizon, "horizon")? })
            })(),
            ["pos", seed] => keyed(seed, "seed").map(|seed| Schedule::Pos { seed }),
            ["bytes", text, dice] => (|| {
                let (bytes, dice) = (unhex(text)?, keyed(dice, "dice")?);
                Some(Schedule::Bytes { bytes, dice })
            })(),
            ["list", count, dice] => match (number(count), keyed(dice, "dice")) {
                (Some(count), Some(dice)) if count <= MAX_DEVIATIONS as u64 => {
                    Some(Schedule::List { deviations: self.list(count as usize)?, dice })
                }
                _ => None,
            },
            _ => None,
        };
        read.ok_or_else(|| self.wrong(text, EXPECTED))
    }

    fn list(&mut self, count: usize) -> Result<Vec<Deviation>, CapsuleError> {
        const EXPECTED: &str = "`TIME KIND cpu=N of=MASK[/N][+N] answer=N`, in order of time";
        let mut list: Vec<Deviation> = Vec::new();
        for _ in 0..count {
            let line = self.next(EXPECTED)?;
            let deviation = deviation(line).ok_or_else(|| self.wrong(line, EXPECTED))?;
            if list.last().is_some_and(|last| last.decision.now > deviation.decision.now) {
                return Err(self.wrong(line, EXPECTED));
            }
            list.push(deviation);
        }
        Ok(list)
    }
}

fn deviation(line: &str) -> Option<Deviation> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [now, kind, cpu, of, answer] = words.as_slice() else { return None };
    let kind = KINDS.iter().find(|(_, word)| word == kind)?.0;
    let of = of.strip_prefix("of=0b")?;
    let (of, skip) = match of.split_once('+') {
        Some((of, skip)) => (of, skip.parse().ok()?),
        None => (of, 0),
    };
    let (mask, alternatives) = match of.split_once('/') {
        Some((mask, alternatives)) => (mask, Some(alternatives.parse::<u32>().ok()?)),
        None => (of, None),
    };
    let cpus = u8::from_str_radix(mask, 2).ok()?;
    let alternatives = alternatives.unwrap_or(cpus.count_ones());
    let answer = answer.strip_prefix("answer=")?.parse::<u32>().ok()?;
    let cpu = cpu.strip_prefix("cpu=")?.parse::<u8>().ok()?;
    let decision = Decision { now: now.parse().ok()?, kind, alternatives, cpus, cpu };
    (1..alternatives).contains(&answer).then_some(Deviation { decision, skip, answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sim::chooser::Kind;

    fn capsule(schedule: Schedule) -> Capsule {
        Capsule {
            cause: Some(Cause { rule: "io-lost".to_owned() }),
            hash: 0x12,
            schedule,
            name: "a.plan".to_owned(),
            plan: "machine cpus=2\nrun for=1ms\n".to_owned(),
        }
    }

    fn deviations() -> impl Strategy<Value = Vec<Deviation>> {
        let one = (any::<u32>(), 0..4_usize, 2..9_u32, any::<u8>(), 0..8_u8, any::<u32>(), 0..3_u32);
        prop::collection::vec(one, 0..20).prop_map(|mut list| {
            list.sort_by_key(|one| one.0);
            let make =
                |(now, kind, alternatives, cpus, cpu, answer, skip): (u32, usize, u32, u8, u8, u32, u32)| {
                    Deviation {
                        decision: Decision { now: now.into(), kind: KINDS[kind].0, alternatives, cpus, cpu },
                        skip,
                        answer: 1 + answer % (alternatives - 1),
                    }
                };
            list.into_iter().map(make).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(list in deviations(), seed: u64, depth in 0..1024_u32, pick in 0..6) {
            let schedule = match pick {
                0 => Schedule::Plain,
                1 => Schedule::Seed(seed),
                2 => Schedule::Pct { seed, depth, horizon: seed / 2 },
                3 => Schedule::Pos { seed },
                4 => Schedule::Bytes { bytes: seed.to_le_bytes()[..depth as usize % 9].to_vec(), dice: seed },
                _ => Schedule::List { deviations: list, dice: seed },
            };
            let capsule = capsule(schedule);
            prop_assert_eq!(Capsule::parse(&capsule.to_string()), Ok(capsule));
        }

        #[test]
        fn no_text_is_a_panic(text in ".{0,200}", cut in 0..400_usize) {
            let _ = Capsule::parse(&text);
            let whole = capsule(Schedule::none(0)).to_string();
            let cut = whole.floor_char_boundary(cut);
            let _ = Capsule::parse(&whole[..cut]);
        }
    }

    #[test]
    fn mistakes_have_a_line_and_say_what_was_expected() {
        let whole = |list: &str| format!("{MAGIC}\nrule x\nhash 12\nschedule {list}\nplan a\n");
        for (text, line, expected) in [
            ("workgate-capsule 9\n".to_owned(), 1, "other versions"),
            (format!("{MAGIC}\nrule x\nhash zz\n"), 3, "16 hexadecimal"),
            (format!("{MAGIC}\nrule x\n"), 3, "`hash …`"),
            (whole("list 1 dice=0"), 5, "in order of time"),
            (whole("list 99999999999 dice=0"), 4, "`list N dice=N`"),
            (whole("dice"), 4, "`seed N`"),
            (whole("bytes 0 dice=1"), 4, "`bytes HEX dice=N`"),
            (whole("bytes 0x dice=1"), 4, "`bytes HEX dice=N`"),
            (
                whole("list 2 dice=0\n9 cpu cpu=0 of=0b11 answer=1\n8 cpu cpu=0 of=0b11 answer=1"),
                6,
                "in order",
            ),
            (whole("list 1 dice=0\n9 cpu cpu=0 of=0b11 answer=2"), 5, "answer=N"),
        ] {
            let error = Capsule::parse(&text).expect_err(&text);
            assert!(error.line == line && error.expected.contains(expected), "{text}: {error}");
        }
        assert_eq!(word(Kind::Elapse), "elapse");
    }
}
