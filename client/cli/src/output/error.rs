//! Why a verb failed, and its exit code.

use etebar::api;
use etebar::{BadAuthority, BadKey, BadServer, Error};

use super::done::Unreported;

/// Exit code of wrong usage, as clap has it too.
pub(crate) const WRONG_USAGE: u8 = 2;
/// Most characters of a line of an error. Source: a command that is repeated in a hint, with three long texts in it.
pub(crate) const LINE_CHARS: usize = 4_000;
/// Most lines of one error. Source: twenty faults of an import's file, and some more.
pub(crate) const LINES: usize = 40;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The call failed, or its outcome is unknown.
    #[error("{0}")]
    Call(#[from] Error),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// A file, the system.
    #[error("{0}")]
    Local(String),
    /// The answer is known, and could not be printed.
    #[error("the answer could not be printed: {0}")]
    Unprinted(String),
    /// The write is done, and its answer could not be printed.
    #[error("{0}")]
    Unreported(Box<Unreported>),
    /// A failure with a hint and an exit code of its own.
    #[error("{text}")]
    Advised { text: String, hint: String, code: u8 },
    /// Not every promise could be checked.
    #[error("{0}")]
    Unproven(String),
    /// A promise was found broken.
    #[error("{0}")]
    Broken(String),
    /// A backup is cut or altered.
    #[error("{0}")]
    Damaged(String),
}

impl CliError {
    pub(crate) fn usage(text: impl Into<String>) -> CliError {
        CliError::Usage(text.into())
    }

    pub(crate) fn local(text: impl Into<String>) -> CliError {
        CliError::Local(text.into())
    }

    /// The text for people: bounded, and with all control characters escaped. Only a verb that lists things, and
    /// what was done and not printed, has lines of its own; it escapes what others wrote in them.
    pub(crate) fn shown(&self) -> String {
        let text = self.to_string();
        match self {
            CliError::Advised { text: _, hint: _, code: _ } | CliError::Unreported(_) => {
                api::shown_lines(&text, LINE_CHARS, LINES)
            }
            CliError::Call(_)
            | CliError::Usage(_)
            | CliError::Local(_)
            | CliError::Unprinted(_)
            | CliError::Unproven(_)
            | CliError::Broken(_)
            | CliError::Damaged(_) => api::shown(&text, LINE_CHARS).into_owned(),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CliError::Call(Error::Refused(_)) | CliError::Local(_) => 1,
            CliError::Usage(_) => WRONG_USAGE,
            CliError::Call(Error::NotDone(_) | Error::OutcomeUnknown(_))
            | CliError::Unproven(_)
            | CliError::Unprinted(_)
            | CliError::Unreported(_) => 3,
            CliError::Broken(_) | CliError::Damaged(_) => 4,
            CliError::Advised { text: _, hint: _, code } => *code,
        }
    }
}

impl From<Unreported> for CliError {
    fn from(unreported: Unreported) -> Self {
        CliError::Unreported(Box::new(unreported))
    }
}

impl From<BadServer> for CliError {
    fn from(error: BadServer) -> CliError {
        CliError::Usage(error.to_string())
    }
}

impl From<BadAuthority> for CliError {
    fn from(error: BadAuthority) -> CliError {
        CliError::Usage(format!("--ca: {error}"))
    }
}

impl From<BadKey> for CliError {
    fn from(error: BadKey) -> CliError {
        CliError::Usage(error.to_string())
    }
}

impl From<getrandom::Error> for CliError {
    fn from(error: getrandom::Error) -> CliError {
        CliError::Local(format!("the system has no random bits: {error}"))
    }
}
