//! Exit statuses, and failures that carry one.

use devices::fault::plan::nearest::nearest;
use std::fmt::Display;
use std::process::ExitCode;

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All expectations held.
    Held = 0,
    /// A bug was found: an expectation or an oracle failed, or the guest panicked or hung.
    Found = 1,
    /// The request is wrong.
    Request = 2,
    /// This host cannot do it.
    Host = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A command that could not be carried out.
#[derive(Debug)]
pub struct Failure {
    /// The status to end with.
    pub exit: Exit,
    /// What was wrong, where, and what to do; for the error stream.
    pub message: String,
}

impl Failure {
    /// The request is wrong.
    pub fn request(message: impl Display) -> Self {
        Self { exit: Exit::Request, message: format!("workgate: {message}") }
    }

    /// This host cannot do it.
    pub fn host(message: impl Display) -> Self {
        Self { exit: Exit::Host, message: format!("workgate: {message}") }
    }

    /// The request is wrong, and the message is a rendered snippet of the user's own text.
    pub fn snippet(message: String) -> Self {
        Self { exit: Exit::Request, message }
    }
}

/// What to say behind a message about `word`, which is none of `words`: the one that was probably meant.
pub fn hint<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, words).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// What should have been left behind. What could not be is told last: it hides nothing that was found out, and is no reason to leave out the rest.
#[derive(Debug, Default)]
pub struct Left(Option<Failure>);

impl Left {
    /// Something was written, or not; the first failure is the one that is told.
    pub fn note(&mut self, written: Result<(), Failure>) {
        if let Err(failure) = written {
            self.0.get_or_insert(failure);
        }
    }

    /// Something could not be written.
    pub fn lacks_something(&self) -> bool {
        self.0.is_some()
    }

    /// # Errors
    /// The first that was noted.
    pub fn told(self) -> Result<(), Failure> {
        self.0.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_was_probably_meant_is_named() {
        assert_eq!(hint("cycels", ["core", "cycles"]), "; did you mean `cycles`?");
        assert_eq!(hint("unicorn", ["core", "cycles"]), "");
    }

    #[test]
    fn the_first_failure_is_told() {
        let mut left = Left::default();
        left.note(Ok(()));
        for message in ["first", "second"] {
            left.note(Err(Failure::request(message)));
        }
        assert_eq!(left.told().expect_err("there were two").message, "workgate: first");
        assert!(Left::default().told().is_ok());
    }
}
