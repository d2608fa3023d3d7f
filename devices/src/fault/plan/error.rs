//! What is wrong with a plan, where, and what was expected.

use super::Span;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;

/// One mistake in a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// Name of the plan, as given to [`super::Plan::parse`].
    pub plan: String,
    /// The word or statement that is wrong.
    pub span: Span,
    /// Line of its first character, from 1.
    pub line: usize,
    /// Column of its first character, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would have been right, to be read after "expected".
    pub expected: Option<String>,
    /// The nearest word that exists.
    pub suggestion: Option<String>,
}

impl PlanError {
    /// A mistake at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            plan: String::new(),
            span,
            line: span.line,
            column: span.column,
            message: message.into(),
            expected: None,
            suggestion: None,
        }
    }

    /// The same with what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same with the nearest of `words` to the misspelt `word`, if one is near.
    #[must_use]
    pub fn nearest<'a>(mut self, word: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.suggestion = super::nearest::nearest(word, words).map(Into::into);
        self
    }

    /// The same in the plan called `name`.
    #[must_use]
    pub fn in_plan(mut self, name: &str) -> Self {
        self.plan = name.into();
        self
    }

    /// The mistake shown in the plan's `text`, with a marker under the words that are wrong. `color`: with terminal colours.
    pub fn render(&self, text: &str, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let (line, start, end) = self.within(text);
        let label = self.expected.as_ref().map(|e| format!("expected {e}"));
        let annotation = AnnotationKind::Primary.span(start..end).label(label);
        let mut snippet = Snippet::source(line).line_start(self.line.max(1)).annotation(annotation);
        if !self.plan.is_empty() {
            snippet = snippet.path(self.plan.as_str());
        }
        let mut report = vec![Level::ERROR.primary_title(self.message.as_str()).element(snippet)];
        let help = self.suggestion.as_ref().map(|word| format!("did you mean `{word}`?"));
        if let Some(help) = &help {
            report.push(Group::with_title(Level::HELP.secondary_title(help.as_str())));
        }
        renderer.render(&report)
    }

    /// The line of `text` that the span begins on, and the span within it, forced onto character boundaries (the text
    /// may not be the one that was parsed).
    fn within<'a>(&self, text: &'a str) -> (&'a str, usize, usize) {
        let first = text[..boundary(text, self.span.start)].rfind('\n').map_or(0, |at| at + 1);
        let line = text[first..].lines().next().unwrap_or("");
        let start = boundary(line, self.span.start.saturating_sub(first));
        let end = boundary(line, self.span.end.saturating_sub(first));
        (line, start, end.max(start))
    }
}

/// The last character boundary of `text` that is not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// All of `errors` shown in the plan's `text`, one after the other.
pub fn render(errors: &[PlanError], text: &str, color: bool) -> String {
    let shown: Vec<String> = errors.iter().map(|error| error.render(text, color)).collect();
    shown.join("\n\n")
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.plan.is_empty() {
            write!(f, "{}:", self.plan)?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(word) = &self.suggestion {
            write!(f, "; did you mean `{word}`?")?;
        }
        Ok(())
    }
}
