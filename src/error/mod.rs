//! Errors at the rim: a code, what happened, where in the source, what to do, and one of three
//! classes. `penstock help CODE` explains each code at length (`codes`).

pub mod codes;

use std::fmt;

/// What the pipeline does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Retried with bounded backoff.
    Transient,
    /// This table cannot go on: it stops, recorded, or the pipeline does (`on_table_error`).
    Definite,
    /// The pipeline stops and says what to do.
    Fatal,
    /// Wrong usage or configuration: exit status 2.
    Usage,
}

/// An error as a user reads it. Never holds a cell value or a secret.
#[derive(Clone, Debug)]
pub struct Error {
    /// Stable code, such as `pg-slot-in-use`; a key of the registry in `codes`.
    pub code: &'static str,
    /// What the pipeline does about it.
    pub class: Class,
    /// What happened, one sentence without a full stop.
    pub what: String,
    /// Source position, if there is one.
    pub at: Option<String>,
    /// What to do: a sentence, a statement or a command.
    pub hint: Option<String>,
}

/// The result of everything at the rim.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(code: &'static str, class: Class, what: impl Into<String>) -> Self {
        Self { code, class, what: what.into(), at: None, hint: None }
    }

    /// An error that is retried.
    pub fn transient(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Class::Transient, what)
    }

    /// An error of one table.
    pub fn definite(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Class::Definite, what)
    }

    /// An error that ends the pipeline.
    pub fn fatal(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Class::Fatal, what)
    }

    /// An error of usage or configuration.
    pub fn usage(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(code, Class::Usage, what)
    }

    /// Adds the source position.
    #[must_use]
    pub fn at(mut self, at: impl Into<String>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Exit status of a process that ends with this error.
    pub fn exit_status(&self) -> u8 {
        if self.class == Class::Usage { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)?;
        if let Some(at) = &self.at {
            write!(f, "\n  at: {at}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  do: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
