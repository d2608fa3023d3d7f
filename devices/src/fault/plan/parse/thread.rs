//! `thread`

use super::Parser;
use super::arguments::{Arguments, Opt, is_name, one_of, shorten};
use crate::fault::plan::lex::Word;
use crate::fault::plan::threads::{Policy, ThreadSpec};
use crate::fault::plan::units::{NUMBER, TIME};
use crate::fault::plan::{Item, Nanos, PlanError, limits};

/// `run=` of a thread that never lets go.
const ALWAYS: &str = "always";

impl Parser {
    pub(super) fn thread(&mut self, words: &[Word]) -> Option<Item> {
        let mut arguments = Arguments::new(words, &mut self.errors);
        let name = arguments.name("name")?;
        let priority = arguments.required("priority", NUMBER, &limits::PRIORITY)?;
        let policy = match arguments.take("policy") {
            None => Policy::default(),
            Some(option) => arguments.policy(&option)?,
        };
        let run = arguments.run()?;
        let every = arguments.required("every", TIME, &limits::PERIOD)?;
        let start = arguments.optional("start", TIME, &limits::TIME)?.unwrap_or(0);
        let gate = match arguments.take("gate") {
            None => None,
            Some(option) => Some(arguments.gate(&option)?),
        };
        let (span, marks) = arguments.finish();
        if self.plan.threads.len() >= limits::THREADS {
            let error = PlanError::new(span, "too many threads");
            self.errors.push(error.expected(format!("at most {}", limits::THREADS)));
            return None;
        }
        let priority = u32::try_from(priority).ok()?;
        self.plan.threads.push(ThreadSpec { name, priority, policy, run, every, start, gate, span, marks });
        Some(Item::Thread(self.plan.threads.len() - 1))
    }
}

impl Arguments<'_> {
    fn policy(&mut self, option: &Opt<'_>) -> Option<Policy> {
        let policy = Policy::ALL.into_iter().find(|policy| policy.word() == option.value);
        if policy.is_none() {
            let words = Policy::ALL.map(Policy::word);
            let error = PlanError::new(option.span, format!("unknown policy `{}`", shorten(option.value)));
            self.errors.push(error.expected(one_of(&words)).nearest(option.value, words));
        }
        policy
    }

    /// `run=`. Outer `None`: it is missing or wrong.
    fn run(&mut self) -> Option<Option<Nanos>> {
        match self.take("run") {
            Some(option) if option.value == ALWAYS => Some(None),
            Some(option) => self.value(TIME, option.value, option.span, &limits::DURATION).map(Some),
            // Says that it is missing.
            None => self.required("run", TIME, &limits::DURATION).map(Some),
        }
    }

    fn gate(&mut self, option: &Opt<'_>) -> Option<String> {
        if is_name(option.value) {
            return Some(option.value.into());
        }
        let error = PlanError::new(option.span, format!("`{}` is not a name", shorten(option.value)));
        self.errors.push(error.expected("the name of a device"));
        None
    }
}
