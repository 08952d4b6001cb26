//! Why a backup is refused.

use std::io;

use crate::error::PageError;

/// Why a backup could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The operating system refused.
    #[error("it could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is another kind of file.
    #[error("it is no backup of a ledger: it does not begin with `etbbckup`")]
    Foreign,
    /// It was written by a newer build, in a way that this one cannot read.
    #[error("it is of a newer build ({what}): use that build or a later one")]
    Newer {
        /// What this build does not know.
        what: String,
    },
    /// It ends before its end. What was read until then is as it was written.
    #[error("it is cut short: it ends within {place}")]
    Cut {
        /// The frame that is incomplete.
        place: String,
    },
    /// It is not what was written.
    #[error("it is altered: {place}: {reason}")]
    Altered {
        /// The frame that is concerned.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An increment that does not follow from the file before it.
    #[error("it does not continue the backup before it: {reason}")]
    Elsewhere {
        /// What differs.
        reason: String,
    },
    /// What was to be written is no backup.
    #[error("it cannot be written: {reason}")]
    Unwritable {
        /// Why not.
        reason: String,
    },
}

impl BackupError {
    /// Whether the file is at fault, and not the machine that reads it or the build.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Cut { .. } | Self::Altered { .. } => true,
            Self::Io(_) | Self::Foreign | Self::Newer { .. } | Self::Elsewhere { .. } | Self::Unwritable { .. } => {
                false
            }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
    pub(super) fn altered(place: impl ToString, reason: impl ToString) -> Self {
        Self::Altered { place: place.to_string(), reason: reason.to_string() }
    }
}

/// Of a page or a value in the file: what it says of itself is the place.
impl From<PageError> for BackupError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Damaged { place, reason } | PageError::Form { what: place, reason } => {
                Self::Altered { place, reason }
            }
        }
    }
}
