//! Failures of the storage. Each stops the node, which keeps its data and serves nothing.

use std::io;

use pages::PageError;

use crate::runtime::Unfinished;

/// A failure of the storage. `place` names what is concerned: a folder, a generation, an entry, a page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("could not {doing} {place}: {reason}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file or folder.
        place: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The database under the disk refused.
    #[error("the database in {place} failed: {reason}")]
    Database {
        /// Its folder.
        place: String,
        /// Its own reason.
        reason: String,
    },
    /// What was read is not what was written. Nothing is repaired.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// Which stored thing.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder holds no database of ours: only `init` makes one.
    #[error("{place} holds no {what}")]
    Absent {
        /// What should be there.
        what: &'static str,
        /// Where.
        place: String,
    },
    /// The folder holds one already.
    #[error("{place} holds a {what} already")]
    Present {
        /// What is there.
        what: &'static str,
        /// Where.
        place: String,
    },
    /// A value could not be encoded, or what was received does not decode.
    #[error("{what} does not have the expected form: {reason}")]
    Form {
        /// Which value.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A write that would leave a hole or undo what is durable.
    #[error("refused to {doing}: {reason}")]
    OutOfOrder {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        reason: String,
    },
    /// There is no record of this number.
    #[error("there is no record {number}; the last one is {last}")]
    NoRecord {
        /// The requested number.
        number: u64,
        /// The last record's.
        last: u64,
    },
    /// Writing has stopped, after a failure or at a shutdown.
    #[error("the log takes no more writes: {reason}")]
    Stopped {
        /// Why it stopped.
        reason: String,
    },
}

impl StorageError {
    /// An error of the operating system, with what was tried and where.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
    pub(crate) fn io(doing: &'static str, place: impl ToString, error: &io::Error) -> Self {
        Self::Io { doing, place: place.to_string(), reason: error.to_string() }
    }

    /// Damage at `place`.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
    pub(crate) fn damaged(place: impl ToString, reason: impl ToString) -> Self {
        Self::Damaged { place: place.to_string(), reason: reason.to_string() }
    }
}

impl From<PageError> for StorageError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Damaged { place, reason } => Self::Damaged { place, reason },
            PageError::Form { what, reason } => Self::Form { what, reason },
        }
    }
}

impl From<Unfinished> for StorageError {
    fn from(unfinished: Unfinished) -> Self {
        Self::Stopped { reason: unfinished.to_string() }
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::Damaged { .. } | StorageError::Form { .. } => io::ErrorKind::InvalidData,
            StorageError::Absent { .. } | StorageError::NoRecord { .. } => io::ErrorKind::NotFound,
            StorageError::Present { .. } => io::ErrorKind::AlreadyExists,
            StorageError::OutOfOrder { .. } => io::ErrorKind::InvalidInput,
            StorageError::Io { .. } | StorageError::Database { .. } | StorageError::Stopped { .. } => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}
