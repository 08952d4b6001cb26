//! Why a call brought nothing: refused, certainly not done, or unknown. There is no fourth.

use std::fmt;
use std::time::Duration;

use etebar_api::Problem;

use super::IdempotencyKey;

/// What a caller can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The ledger or the node said no; the same call will not succeed. Nothing moved.
    #[error("{}", Shown(.0))]
    Refused(Box<Problem>),
    /// No attempt can have been done; the call may be made again under the same key or another.
    #[error("not done: {0}")]
    NotDone(NotDone),
    /// A write that may have been done: make it again under the same key to learn.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(Unknown),
}

/// The last that was heard before the time ran out.
#[derive(Debug, Clone)]
pub struct NotDone {
    pub attempts: u32,
    /// The last answer's problem, where there was an answer.
    pub problem: Option<Box<Problem>>,
    /// No server proved to be the one that was asked for; asking again changes nothing.
    pub untrusted: bool,
    pub detail: String,
}

/// A write without a known end.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// 0 where they were not counted.
    pub attempts: u32,
    /// The key to make it again under; `None` where the call is harmless to repeat without.
    pub key: Option<IdempotencyKey>,
    /// How long the cluster remembers that key after the first attempt, where it has told.
    pub key_window: Option<Duration>,
    pub detail: String,
}

impl Error {
    /// The problem that came with it.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused(problem) => Some(problem),
            Error::NotDone(not_done) => not_done.problem.as_deref(),
            Error::OutcomeUnknown(_) => None,
        }
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.detail, self.attempts, attempts(self.attempts))
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if self.attempts > 0 {
            write!(f, " ({} {})", self.attempts, attempts(self.attempts))?;
        }
        match (&self.key, self.key_window) {
            (Some(key), Some(window)) => {
                write!(f, "; again under the key {key}, within {}, to learn", spelled(window))
            }
            (Some(key), None) => write!(f, "; again under the key {key} to learn"),
            (None, _) => f.write_str("; again to learn"),
        }
    }
}

/// A window as people say it.
pub fn spelled(window: Duration) -> String {
    match window.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn attempts(count: u32) -> &'static str {
    if count == 1 { "attempt" } else { "attempts" }
}

/// A problem on one line.
struct Shown<'a>(&'a Problem);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)?;
        if let Some(balance) = self.0.balance {
            write!(f, " (balance {balance})")?;
        }
        // A detail tells a single error by itself.
        let more = if self.0.errors.len() > 1 { self.0.errors.as_slice() } else { &[] };
        more.iter().try_for_each(|error| write!(f, "; {}: {}", error.pointer, error.detail))
    }
}
