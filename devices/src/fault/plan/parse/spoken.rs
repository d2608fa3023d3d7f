//! One statement, spoken to a machine that runs: an action for now, or a rule for later.

use crate::fault::plan::{Action, Plan, PlanError, Rule, Span, Trigger, limits};

/// What stands before an action alone, so that it reads as a rule.
const NOW: &str = "at 0ns ";
/// The words that a rule begins with.
const TRIGGERS: [&str; 3] = ["at", "every", "on"];

/// A statement that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// To be done now.
    Now(Action),
    /// To be added to the plan's rules.
    Rule(Rule),
}

impl Plan {
    /// Reads one statement about the devices of this plan: an action (`unplug edu0`), or a whole rule (`on edu0.irq.raise #3 unplug edu0`).
    /// Lines and columns of mistakes are those of `text`; `name` is what messages call it.
    ///
    /// # Errors
    /// Every mistake found, also those that only the catalogue of models sees.
    pub fn speak(&self, name: &str, text: &str) -> Result<Spoken, Vec<PlanError>> {
        let first = text.split_whitespace().next().unwrap_or_default();
        let is_rule = TRIGGERS.contains(&first);
        let ahead = if is_rule { 0 } else { NOW.len() };
        let line = if is_rule { text.to_owned() } else { format!("{NOW}{text}") };
        self.read_rule(name, &line)
            .map(|rule| if is_rule { Spoken::Rule(rule) } else { Spoken::Now(rule.action) })
            .map_err(|errors| errors.into_iter().map(|error| back(error, ahead)).collect())
    }

    /// The plan as it is to be held against what is said while the machine runs: a device that was not there at first may be there by now, and
    /// one that was may be out. Whether it is, is known to the machine alone.
    fn at_any_moment(&self) -> Plan {
        let out = |plug: &super::super::Plug| Rule {
            trigger: Trigger::At(0),
            action: Action::Unplug(plug.name.clone()),
            span: Span::default(),
            marks: Default::default(),
        };
        let mut plan = Plan { rules: self.plugs.iter().map(out).collect(), ..self.clone() };
        plan.plugs.iter_mut().for_each(|plug| _ = plug.options.remove("absent"));
        plan
    }

    fn read_rule(&self, name: &str, line: &str) -> Result<Rule, Vec<PlanError>> {
        let wrong = |error: PlanError| vec![error.in_plan(name)];
        if self.rules.len() >= limits::RULES {
            let error = PlanError::new(Default::default(), "too many rules");
            return Err(wrong(error.expected(format!("at most {}", limits::RULES))));
        }
        let place = super::lex::Place { offset: 0, number: 1 };
        let words = super::lex::line(line, place).map_err(|error| wrong(*error))?.words;
        let mut parser = super::Parser::new(name);
        let plugs_in = words.iter().any(|word| word.text == "plug");
        parser.plan =
            Plan { name: name.into(), ..if plugs_in { self.clone() } else { self.at_any_moment() } };
        parser.plan.lines = Vec::new();
        parser.rule(&words);
        let plan = parser.finish()?;
        let mistakes = crate::catalogue::check(&plan);
        match (mistakes.is_empty(), plan.rules.last()) {
            (true, Some(rule)) => Ok(rule.clone()),
            _ => Err(mistakes),
        }
    }
}

/// The mistake where it stands in the text without the `ahead` characters before it.
fn back(mut error: PlanError, ahead: usize) -> PlanError {
    error.span.start = error.span.start.saturating_sub(ahead);
    error.span.end = error.span.end.saturating_sub(ahead);
    error.column = error.column.saturating_sub(ahead).max(1);
    error.span.column = error.column;
    error
}
