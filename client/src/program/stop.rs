//! Why a verb ended without success, and the exit code that says so.

use crate::client::{BadKey, BadServer, Error};

use super::done::Unreported;

/// Exit code of wrong usage, as clap has it too.
pub(super) const WRONG_USAGE: u8 = 2;

/// The end of a verb that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The cluster did not do it, or nobody knows.
    #[error("{0}")]
    Call(#[from] Error),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// A file, the system.
    #[error("{0}")]
    Local(String),
    /// What was asked for is known, and could not be printed.
    #[error("the answer could not be printed: {0}")]
    Unprinted(String),
    /// What was asked for is done, and could not be printed.
    #[error("{0}")]
    Unreported(Box<Unreported>),
    /// A verb that knows best what to do next, and its exit code.
    #[error("{text}")]
    Advised { text: String, hint: String, code: u8 },
    /// Not every promise could be checked.
    #[error("{0}")]
    Unproven(String),
    /// A promise was found broken.
    #[error("{0}")]
    Broken(String),
}

impl Stop {
    pub(super) fn usage(text: impl Into<String>) -> Stop {
        Stop::Usage(text.into())
    }

    pub(super) fn local(text: impl Into<String>) -> Stop {
        Stop::Local(text.into())
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Stop::Call(Error::Refused(_)) | Stop::Local(_) => 1,
            Stop::Usage(_) => WRONG_USAGE,
            Stop::Call(Error::NotDone(_) | Error::OutcomeUnknown(_))
            | Stop::Unproven(_)
            | Stop::Unprinted(_)
            | Stop::Unreported(_) => 3,
            Stop::Broken(_) => 4,
            Stop::Advised { text: _, hint: _, code } => *code,
        }
    }
}

impl From<BadServer> for Stop {
    fn from(error: BadServer) -> Stop {
        Stop::Usage(error.to_string())
    }
}

impl From<BadKey> for Stop {
    fn from(error: BadKey) -> Stop {
        Stop::Usage(error.to_string())
    }
}

impl From<getrandom::Error> for Stop {
    fn from(error: getrandom::Error) -> Stop {
        Stop::Local(format!("the system has no random bits: {error}"))
    }
}
