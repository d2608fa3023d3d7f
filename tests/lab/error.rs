//! Why a leg did not hold.

use thiserror::Error;

/// What went wrong in a leg.
#[derive(Debug, Error)]
pub enum LabError {
    /// A program, package or file that the leg needs is not here.
    #[error("missing: {what} ({hint})")]
    Missing {
        /// What is not here.
        what: String,
        /// How to get it.
        hint: String,
    },
    /// The leg ran, and something did not hold.
    #[error("FAILED: {0}")]
    Failed(String),
    /// A file or process of the lab itself failed.
    #[error("FAILED: {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl LabError {
    /// Something is not here, and how to get it.
    pub fn missing(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), hint: hint.into() }
    }

    /// Turns an I/O error into one that says what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The exit status for this error: 3 for what is missing, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Missing { .. } => 3,
            _ => 1,
        }
    }
}
