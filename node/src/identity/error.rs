//! Why a data directory is not made or not served.

use std::io;
use std::path::PathBuf;

use super::types::FORMAT;

/// Why a data directory is not made or not served. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// `init`, `join` or `restore` where something is already.
    #[error(
        "{0} is not empty: `init`, `join` and `restore` make a new data directory and never change one; give an empty or absent \
         path"
    )]
    NotEmpty(PathBuf),
    /// `run` where nothing is.
    #[error(
        "{0} is no data directory of a node (no identity.json): make one with `etebar-node init`, or with `join` for a node \
         that was added; if its disk was lost, do not: the others refuse an empty node under its old id, and continue without \
         it while they are a majority"
    )]
    Absent(PathBuf),
    /// A part is gone.
    #[error(
        "{0} is missing: this data directory is damaged; keep it, do not run `init` again: until what is missing is put \
         back, this node does not start, and the others continue while they are a majority"
    )]
    PartMissing(PathBuf),
    /// The identity file cannot be trusted.
    #[error(
        "{path} is damaged ({what}): keep the directory, do not run `init` again: until it is repaired, this node \
         does not start, and the others continue while they are a majority"
    )]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Made by another version.
    #[error("{path} has format {found}, this build reads format {FORMAT}: run the version that made it")]
    OtherFormat {
        /// The file or folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another node's directory.
    #[error("{path} belongs to {found}, not to {expected}: check --data-dir, --id and --cluster-id")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Another process serves it, or makes it.
    #[error("{0} is served by another process (its lock is held): stop that one first")]
    Locked(PathBuf),
    /// The file system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl DataDirError {
    /// Whether the operator named a wrong place, and nothing is wrong with what is there.
    pub fn is_wrong_setting(&self) -> bool {
        match self {
            Self::NotEmpty(_) | Self::Absent(_) | Self::Foreign { .. } => true,
            Self::PartMissing(_)
            | Self::Damaged { .. }
            | Self::OtherFormat { .. }
            | Self::Locked(_)
            | Self::Io { .. } => false,
        }
    }
}
