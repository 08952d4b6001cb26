//! Why a call failed: refused, certainly not done, or unknown. There is no fourth case.

use std::fmt;
use std::time::Duration;

use etebar_api::Problem;

use crate::IdempotencyKey;

/// Why a call failed, as its caller has to act on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The ledger or the node said no; the same call will not succeed. Nothing moved.
    #[error("{}", Shown(.0))]
    Refused(Box<Problem>),
    /// No attempt can have been done; the call may be made again under the same key or another.
    #[error("not done: {0}")]
    NotDone(NotDone),
    /// A write that may have been done: repeat it under the same key to learn the outcome.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(Unknown),
}

/// A call that was certainly not done, and how its last attempt failed.
#[derive(Debug, Clone)]
pub struct NotDone {
    /// How many requests were sent.
    pub attempts: u32,
    /// The last answer's problem; `None` where no node answered.
    pub problem: Option<Box<Problem>>,
    /// No server proved to be the one that was dialled; trying again does not change that.
    pub untrusted: bool,
    /// How long until a node takes something of this API key again; `None` where no node limits its rate.
    pub retry_after: Option<Duration>,
    /// What happened, in a sentence for people.
    pub detail: String,
}

/// A write whose outcome is unknown.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// How many requests were sent; 0 where they were not counted.
    pub attempts: u32,
    /// The key to repeat it under; `None` where the call is harmless to repeat without one.
    pub key: Option<IdempotencyKey>,
    /// How long the cluster remembers that key after the first attempt; `None` where no node has reported it.
    pub key_window: Option<Duration>,
    /// As of [`NotDone::retry_after`].
    pub retry_after: Option<Duration>,
    /// What happened, in a sentence for people.
    pub detail: String,
}

impl Error {
    /// The problem that a node answered with; `None` where none did, or where the outcome is unknown all the same.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused(problem) => Some(problem),
            Error::NotDone(not_done) => not_done.problem.as_deref(),
            Error::OutcomeUnknown(_) => None,
        }
    }

    /// How long until a node takes something of this API key again, where nodes limit its rate; see [`NotDone::retry_after`].
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(_) => None,
            Error::NotDone(not_done) => not_done.retry_after,
            Error::OutcomeUnknown(unknown) => unknown.retry_after,
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
                write!(f, "; repeat it under the key {key} within {} to learn the outcome", duration_text(window))
            }
            (Some(key), None) => write!(f, "; repeat it under the key {key} to learn the outcome"),
            (None, _) => f.write_str("; repeat it to learn the outcome"),
        }
    }
}

/// A duration in one unit for people, such as `24 h`, `5 min` or `90 s`, in whole seconds.
pub fn duration_text(duration: Duration) -> String {
    match duration.as_secs() {
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
        // A detail describes a single error by itself.
        let more = if self.0.errors.len() > 1 { self.0.errors.as_slice() } else { &[] };
        more.iter().try_for_each(|error| write!(f, "; {}: {}", error.pointer, error.detail))
    }
}
