//! Rules: a trigger, and what it does.

use super::Parser;
use super::arguments::{Arguments, is_name, one_of, shorten};
use crate::fault::plan::lex::Word;
use crate::fault::plan::units::{NUMBER, RATE, TIME};
use crate::fault::plan::{Action, Item, PlanError, Rule, Trigger, limits, words};

impl Parser {
    /// Reads `at …`, `every …` or `on …`.
    pub(super) fn rule(&mut self, words: &[Word]) -> Option<Item> {
        if let Some(chance) = chance(words) {
            self.errors.push(chance);
            return None;
        }
        let mut arguments = Arguments::new(words, &mut self.errors);
        let trigger = match words[0].text.as_str() {
            "at" => Trigger::At(arguments.quantity("when", TIME, &limits::TIME)?),
            "every" => Trigger::Every(arguments.quantity("when", TIME, &limits::PERIOD)?),
            _ => arguments.site()?,
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

/// `on SITE p=…` is a word of the language, but of a later version.
fn chance(words: &[Word]) -> Option<PlanError> {
    let [on, _, chance, ..] = words else { return None };
    if on.text != "on" || !chance.text.starts_with("p=") {
        return None;
    }
    let error = PlanError::new(chance.span, "`p=` is not available in this version");
    Some(error.expected("`#N`, the number of the occurrence"))
}

impl Arguments<'_> {
    /// `DEVICE.SITE [#N]`; without a number, the first time.
    fn site(&mut self) -> Option<Trigger> {
        let word = self.word("site", "a site, such as `edu0.mmio.write`")?;
        let parts = word.text.split_once('.').filter(|(device, site)| is_name(device) && is_site(site));
        let Some((device, site)) = parts else {
            let error = PlanError::new(word.span, format!("`{}` is not a site", shorten(&word.text)));
            self.errors.push(error.expected("a device name, `.` and a site, such as `edu0.mmio.write`"));
            return None;
        };
        let count = match self.word_if('#') {
            None => 1,
            Some(number) => self.value(NUMBER, &number.text[1..], number.span, &limits::COUNT)?,
        };
        Some(Trigger::Nth { device: device.into(), site: site.into(), count })
    }

    /// `ACTION DEVICE [options]`.
    fn action(&mut self) -> Option<Action> {
        let word = self.word("action", &format!("an action: {}", one_of(words::ACTIONS)))?;
        let known = match word.text.as_str() {
            "unplug" => Action::Unplug,
            "eject" => Action::Eject,
            "replug" => Action::Replug,
            "plug" => Action::Plug,
            "storm" => return self.storm(),
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
        let expected = one_of(words::ACTIONS);
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
