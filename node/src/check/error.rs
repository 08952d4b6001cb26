//! Why `etebar-node check` found nothing out.

use std::path::PathBuf;

/// Why nothing was found out about a data directory.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The copy does not fit.
    #[error(
        "the copy that is opened for the check takes {needed} bytes, and {place} has {free} free: name another place with \
         --scratch"
    )]
    NoRoom {
        /// Bytes of the databases.
        needed: u64,
        /// Where the copy was to be made.
        place: PathBuf,
        /// Bytes that are free there.
        free: u64,
    },
    /// The copy could not be made, read or removed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}
