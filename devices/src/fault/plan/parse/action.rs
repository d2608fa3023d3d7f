//! Rules: a trigger, and what it does.

use super::Parser;
use super::arguments::{Arguments, is_name, shorten};
use crate::fault::plan::lex::Word;
use crate::fault::plan::units::{NUMBER, RATE, TIME};
use crate::fault::plan::{Action, Item, PlanError, Rule, Trigger, limits, words};

/// What is expected where an action must stand: there are too many to name them all.
const KNOWN_ACTION: &str = "an action that `workgate devices` lists, such as `unplug` or `delay`";

impl Parser {
    /// Reads `at …`, `every …` or `on …`.
    pub(super) fn rule(&mut self, words: &[Word]) -> Option<Item> {
        // `on SITE p=…` is the one option that stands in the middle.
        let (chance, words) = take_chance(words);
        let mut arguments = Arguments::new(&words, &mut self.errors);
        let trigger = match words[0].text.as_str() {
            "at" => Trigger::At(arguments.quantity("when", TIME, &limits::TIME)?),
            "every" => Trigger::Every(arguments.quantity("when", TIME, &limits::PERIOD)?),
            _ => arguments.site(chance.as_ref())?,
        };
        let action = arguments.action()?;
        let (span, marks) = arguments.finish();
        if self.plan.rules.len() >= limits::RULES {
            let error = PlanError::new(span, "too many rules");
            self.errors.push(error.expected(format!("at most {}", limits::RULES)));
            return None;
        }
        self.plan.rules.push(Rule { trigger, action, span, marks });
        Some(Item::Rule(self.plan.rules.len() - 1))
    }
}

/// Takes the `p=…` of `on SITE p=…` out of the words.
fn take_chance(words: &[Word]) -> (Option<Word>, Vec<Word>) {
    let mut rest = words.to_vec();
    let there = matches!(words, [on, _, p, ..] if on.text == "on" && p.text.starts_with("p="));
    (there.then(|| rest.remove(2)), rest)
}

impl Arguments<'_> {
    /// `DEVICE.SITE [#N]` or `DEVICE.SITE p=P`; without a number, the first time.
    fn site(&mut self, chance: Option<&Word>) -> Option<Trigger> {
        let word = self.word("site", "a site, such as `edu0.mmio.write`")?;
        let parts = word.text.split_once('.').filter(|(device, site)| is_name(device) && is_site(site));
        let Some((device, site)) = parts else {
            let error = PlanError::new(word.span, format!("`{}` is not a site", shorten(&word.text)));
            self.errors.push(error.expected("a device name, `.` and a site, such as `edu0.mmio.write`"));
            return None;
        };
        let (device, site) = (device.to_owned(), site.to_owned());
        if let Some(chance) = chance {
            let value = chance.text.strip_prefix("p=").unwrap_or_default();
            let chance = self.chance(value, chance.span)?;
            return Some(Trigger::Chance { device, site, chance });
        }
        let count = match self.word_if('#') {
            None => 1,
            Some(number) => self.value(NUMBER, &number.text[1..], number.span, &limits::COUNT)?,
        };
        Some(Trigger::Nth { device, site, count })
    }

    /// `ACTION [DEVICE] [options]`.
    fn action(&mut self) -> Option<Action> {
        let word = self.word("action", KNOWN_ACTION)?;
        let known = match word.text.as_str() {
            "unplug" => Action::Unplug,
            "eject" => Action::Eject,
            "replug" => Action::Replug,
            "plug" => Action::Plug,
            "kill" => Action::Kill,
            "storm" => return self.storm(),
            "race" => return self.race(),
            other if words::ACTIONS.contains(&other) => return self.fault(other),
            other => {
                self.unknown_action(other, word);
                return None;
            }
        };
        self.name("device").map(known)
    }

    fn storm(&mut self) -> Option<Action> {
        let device = self.name("device")?;
        let rate_hz = self.required("rate", RATE, &limits::RATE)?;
        let duration = self.required("for", TIME, &limits::DURATION)?;
        Some(Action::Storm { device, rate_hz, duration })
    }

    fn unknown_action(&mut self, text: &str, word: &Word) {
        let expected = KNOWN_ACTION;
        let error = if words::LATER_ACTIONS.contains(&text) {
            PlanError::new(word.span, format!("`{text}` is not available in this version"))
        } else {
            let error = PlanError::new(word.span, format!("unknown action `{}`", shorten(text)));
            error.nearest(text, words::ACTIONS.iter().copied())
        };
        self.errors.push(error.expected(expected));
    }
}

/// Dotted words of letters and digits, each beginning with a letter.
fn is_site(text: &str) -> bool {
    let part = |part: &str| {
        part.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    text.len() <= limits::SITE_BYTES && text.split('.').all(part)
}
