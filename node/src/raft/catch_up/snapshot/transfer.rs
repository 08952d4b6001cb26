//! What the two sides of a snapshot transfer exchange, and why it ends early.

use std::time::Duration;

use bytes::Bytes;
use ledger::{Digest, RecordNumber};
use openraft::RaftTypeConfig;
use openraft::errors::{ErrorSource, NetworkError, StreamingError, Unreachable};
use serde::{Deserialize, Serialize};

use crate::raft::peers::link::error::LinkError;
use crate::storage::types::TypeConfig;
use crate::storage::types::plain::PlainVote;
use crate::storage::{PlainCheckpoint, StorageError};

/// Longest time without a message on a transfer while pages are sent.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages that are read at a time by the sender, and written at a time by the receiver, at most. Source: each time takes a hand-over
/// to another thread and back, which cost as much as a page; these are some 300 kB.
#[cfg(not(feature = "simulation"))]
pub(super) const PAGES_AT_ONCE: usize = 32;
/// Pages at a time; a simulated run has a dozen.
#[cfg(feature = "simulation")]
pub(super) const PAGES_AT_ONCE: usize = 2;

/// What the sender of a snapshot sends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSender {
    /// What is on offer.
    Offer { vote: PlainVote, to: PlainCheckpoint },
    /// A page, up to the last record on offer, with the BLAKE3 of its bytes.
    Page { page: u64, bytes: Bytes, checksum: [u8; 32] },
    /// That was all of them.
    End,
    /// The receiver's history is not the beginning of the sender's.
    Diverged { records: u64 },
}

/// What the receiver answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromReceiver {
    /// The receiver has so many durable records, with this chain over them; pages up to `staged` need not be sent again.
    Have { records: u64, digest: Digest, staged: RecordNumber },
    /// It is installed, or the receiver's vote is higher.
    Done { vote: PlainVote },
    /// The receiver cannot take it.
    Refused { reason: String },
    /// Keep-alive: an own checkpoint, the writing of a page or the installation is in progress.
    AtWork,
}

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Refused(String),
}

impl From<TransferError> for StreamingError<TypeConfig> {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Storage(error) => {
                let source = <TypeConfig as RaftTypeConfig>::ErrorSource::from_error(&error);
                openraft::StorageError::read_snapshot(None, source).into()
            }
            TransferError::Link(LinkError::Io(_) | LinkError::Refused(_)) | TransferError::Refused(_) => {
                Unreachable::from_string(&error).into()
            }
            TransferError::Link(LinkError::Closed | LinkError::TimedOut | LinkError::Malformed(_)) => {
                NetworkError::from_string(&error).into()
            }
        }
    }
}
