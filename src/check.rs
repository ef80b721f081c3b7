//! What `penstock check` finds: one `Finding` a fact that was looked at. Sources, sinks and the
//! local checks make them; `command::check` prints them. A finding never holds a secret.

use crate::error::Error;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// The pipeline runs, but somebody should know.
    Warning,
    /// The pipeline cannot run, or loses something: exit status 3.
    Failure,
}

impl Level {
    /// The word in the table and in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One fact that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Stable code; a key of the registry in `error::codes`, also when all is well.
    pub code: &'static str,
    /// What was found, one sentence without a full stop.
    pub what: String,
    /// The statement or command that mends it.
    pub mend: Option<String>,
}

impl Finding {
    fn new(level: Level, code: &'static str, what: impl Into<String>) -> Self {
        Self { level, code, what: what.into(), mend: None }
    }

    /// As it should be.
    pub fn ok(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, code, what)
    }

    /// Worth knowing.
    pub fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, what)
    }

    /// Cannot work like this.
    pub fn failure(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Failure, code, what)
    }

    /// Adds the statement or command that mends it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

impl From<Error> for Finding {
    /// An error met while checking is a failure with the error's own code and hint.
    fn from(error: Error) -> Self {
        let what = match error.at {
            Some(at) => format!("{} (at {at})", error.what),
            None => error.what,
        };
        Self { level: Level::Failure, code: error.code, what, mend: error.hint }
    }
}
