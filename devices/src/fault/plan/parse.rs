//! Text into a plan. Errors are collected: a line that is wrong is left out and the next one is read.

mod action;
mod arguments;
mod fault;
mod spoken;
mod statement;
mod thread;

pub use spoken::Spoken;

use super::lex::{self, Place};
use super::{Line, Plan, PlanError, Span, limits, structure};

impl Plan {
    /// Reads a plan's text; `name` is what messages call it (a file name).
    ///
    /// # Errors
    /// Every mistake found, in the order of the text, at most [`limits::ERRORS`].
    pub fn parse(name: &str, text: &str) -> Result<Plan, Vec<PlanError>> {
        let mut parser = Parser::new(name);
        if text.len() > limits::TEXT_BYTES {
            let start = Span { start: 0, end: 0, line: 1, column: 1 };
            parser.errors.push(
                PlanError::new(start, format!("the plan has {} bytes", text.len()))
                    .expected(format!("at most {}", limits::TEXT_BYTES)),
            );
        } else {
            parser.lines(text);
        }
        parser.finish()
    }
}

/// A parse under way.
struct Parser {
    plan: Plan,
    errors: Vec<PlanError>,
    /// Where the `machine` and `run` statements stand, once they were read.
    machine: Option<Span>,
    run: Option<Span>,
}

impl Parser {
    fn new(name: &str) -> Self {
        let plan = Plan { name: name.into(), ..Plan::default() };
        Self { plan, errors: Vec::new(), machine: None, run: None }
    }

    fn lines(&mut self, text: &str) {
        let mut offset = 0;
        for (index, raw) in text.split_inclusive('\n').enumerate() {
            let place = Place { offset, number: index + 1 };
            offset += raw.len();
            if index >= limits::LINES {
                let span = Span { start: place.offset, end: place.offset, line: place.number, column: 1 };
                let error = PlanError::new(span, "the plan has too many lines");
                self.errors.push(error.expected(format!("at most {}", limits::LINES)));
                return;
            }
            let line = raw.strip_suffix('\n').unwrap_or(raw);
            let line = line.strip_suffix('\r').unwrap_or(line);
            match lex::line(line, place) {
                Ok(lexed) => {
                    let item = self.statement(&lexed.words);
                    self.plan.lines.push(Line { item, comment: lexed.comment });
                }
                Err(error) => self.errors.push(*error),
            }
            if self.errors.len() >= limits::ERRORS {
                return;
            }
        }
    }

    fn finish(mut self) -> Result<Plan, Vec<PlanError>> {
        self.plan.number();
        // A device whose own line is wrong would be reported again by each rule that names it.
        if self.errors.is_empty() {
            structure::check(&self.plan, &mut self.errors);
        }
        if self.errors.is_empty() {
            return Ok(self.plan);
        }
        self.errors.truncate(limits::ERRORS);
        let name = self.plan.name;
        Err(self.errors.into_iter().map(|error| error.in_plan(&name)).collect())
    }
}
