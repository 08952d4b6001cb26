//! How a verb that writes reports its end: what was done is printed, or else named on stderr with exit code 3.
//!
//! Invariant: from before a write is sent until its answer is printed, whatever ends the program (a full device, a closed
//! pipe, a signal) says so, with the idempotency key and, once it is known, the id.

use std::fmt;

use etebar::IdempotencyKey;

/// What a write has done, reported where its answer could not be printed.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// A sentence: what holds now.
    what: String,
    id: Option<String>,
    key: Option<IdempotencyKey>,
    /// What to do about it; `None` where the same command under its key shows the answer again.
    hint: Option<String>,
}

impl Done {
    pub(crate) fn new(what: impl Into<String>) -> Done {
        Done { what: what.into(), id: None, key: None, hint: None }
    }

    /// The id of what came to be.
    #[must_use]
    pub(crate) fn id(self, id: impl fmt::Display) -> Done {
        Done { id: Some(id.to_string()), ..self }
    }

    #[must_use]
    pub(crate) fn under(self, key: &IdempotencyKey) -> Done {
        Done { key: Some(key.clone()), ..self }
    }

    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Done {
        Done { hint: Some(hint.into()), ..self }
    }

    /// The end of a verb that could not print this, for the reason `why`.
    pub(crate) fn unreported(self, why: &impl ToString) -> Unreported {
        Unreported { done: self, why: why.to_string() }
    }
}

/// What was done, and why it could not be printed.
#[derive(Debug, Clone)]
pub(crate) struct Unreported {
    done: Done,
    why: String,
}

impl Unreported {
    pub(crate) fn id(&self) -> Option<&str> {
        self.done.id.as_deref()
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.done.key.as_ref().map(IdempotencyKey::as_str)
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.done.hint.as_deref()
    }
}

impl fmt::Display for Unreported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, but the answer could not be printed: {}", self.done.what, self.why)?;
        if let Some(id) = self.id() {
            write!(f, "\nid {id}")?;
        }
        self.key().map_or(Ok(()), |key| write!(f, "\nidempotency key {key}"))
    }
}
