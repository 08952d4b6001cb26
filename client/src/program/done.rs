//! How a verb that writes reports its end: what was done is printed, or else named on stderr with exit code 3.
//!
//! Invariant: from before a write is sent until its answer is printed, whatever ends the program (a full device, a closed
//! pipe, a signal) says so, with the idempotency key and, once it is known, the id.

use std::cell::RefCell;
use std::fmt;
use std::io;

use serde::Serialize;

use crate::client::{Answer, Error, IdempotencyKey, Unknown};

use super::stop::Stop;
use super::verbs::Session;

/// What a write has done, for whoever could not be shown its answer.
#[derive(Debug, Clone)]
pub(super) struct Done {
    /// A sentence: what holds now.
    what: String,
    id: Option<String>,
    key: Option<IdempotencyKey>,
    /// What to do about it; `None` where the same command under its key shows the answer again.
    hint: Option<String>,
}

/// A write that is under way: its idempotency key, where it has one.
#[derive(Debug, Default)]
pub(super) struct UnderWay(RefCell<Option<Option<IdempotencyKey>>>);

impl Done {
    pub(super) fn new(what: impl Into<String>) -> Done {
        Done { what: what.into(), id: None, key: None, hint: None }
    }

    /// The id of what came to be.
    #[must_use]
    pub(super) fn id(self, id: impl ToString) -> Done {
        Done { id: Some(id.to_string()), ..self }
    }

    #[must_use]
    pub(super) fn under(self, key: &IdempotencyKey) -> Done {
        Done { key: Some(key.clone()), ..self }
    }

    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Done {
        Done { hint: Some(hint.into()), ..self }
    }

    /// The end of a verb that could not print this, for the reason `why`.
    pub(super) fn unreported(self, why: impl ToString) -> Stop {
        Stop::Unreported(Box::new(Unreported { done: self, why: why.to_string() }))
    }
}

/// What was done, and why it could not be printed.
#[derive(Debug, Clone)]
pub(super) struct Unreported {
    done: Done,
    why: String,
}

impl Unreported {
    pub(super) fn id(&self) -> Option<&str> {
        self.done.id.as_deref()
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.done.key.as_ref().map(IdempotencyKey::as_str)
    }

    pub(super) fn hint(&self) -> Option<&str> {
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

impl Session {
    /// Waits for the answer to a write under this key.
    pub(super) async fn write<T>(
        &self,
        key: Option<&IdempotencyKey>,
        call: impl Future<Output = Result<Answer<T>, Error>>,
    ) -> Result<Answer<T>, Stop> {
        self.under_way.0.replace(Some(key.cloned()));
        Ok(call.await?)
    }

    /// Prints the answer to a write: JSON for programs, or `text` for people. `done` names what it did.
    pub(super) fn report(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
        done: impl FnOnce() -> Done,
    ) -> Result<(), Stop> {
        self.reported(self.output.answer(value, text), done)
    }

    /// The end of a write whose answer was printed, or was not.
    pub(super) fn reported(&self, printed: io::Result<()>, done: impl FnOnce() -> Done) -> Result<(), Stop> {
        self.under_way.0.take();
        printed.map_err(|error| done().unreported(error))
    }

    /// The end of a verb that a signal interrupts.
    pub(super) fn interrupted(&self) -> Stop {
        match self.under_way.0.take() {
            Some(key) => {
                let detail = "interrupted while its answer was awaited".to_owned();
                let key_window = self.client.key_window();
                Stop::Call(Error::OutcomeUnknown(Unknown { attempts: 0, key, key_window, retry_after: None, detail }))
            }
            None => Stop::local("interrupted"),
        }
    }
}
