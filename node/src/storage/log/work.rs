//! What is asked of the log's writer, how it is put together into rounds, and who is answered when it is done.

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::generation;
use super::next_index;
use super::view::SharedLog;
use crate::storage::disk::Batch;
use crate::storage::error::StorageError;
use crate::storage::types::{LogEntry, LogId, TypeConfig, Vote};

/// Who waits for a piece of work.
pub(crate) type Done = oneshot::Sender<Result<(), StorageError>>;

/// A piece of work for the writer.
pub(crate) enum Work {
    /// Add entries that follow the last one.
    Append { entries: Vec<LogEntry>, callback: IOFlushed<TypeConfig> },
    /// Keep a vote.
    Vote { vote: Vote, done: Done },
    /// Remove the entries after the last one to keep.
    Truncate { last: Option<LogId>, done: Done },
    /// Keep what the view says was purged, and give its space back.
    Purge,
    /// Write what is left and close the databases.
    Close { done: Done },
}

/// Who waits for a round, in order.
pub(crate) enum Waiting {
    Append { callback: IOFlushed<TypeConfig>, last: Option<LogId> },
    Vote { vote: Vote, done: Done },
}

/// What is written and synced in one piece.
#[derive(Default)]
pub(crate) struct Round {
    /// All of it.
    pub batch: Batch,
    /// Bytes of its entries.
    pub bytes: u64,
    /// The index of its first entry.
    pub first: Option<u64>,
    /// The log id of its last entry.
    pub last: Option<LogId>,
    /// Its last vote.
    pub vote: Option<Vote>,
    /// Who waits for it, in order.
    pub waiting: Vec<Waiting>,
}

impl Round {
    /// Takes entries in.
    pub(crate) fn append(&mut self, entries: &[LogEntry], callback: IOFlushed<TypeConfig>) -> Result<(), StorageError> {
        let last = entries.last().map(|entry| entry.log_id);
        self.last = last.or(self.last);
        self.waiting.push(Waiting::Append { callback, last });
        for entry in entries {
            self.bytes += generation::put_entry(&mut self.batch, entry)?;
            self.first = self.first.or(Some(entry.log_id.index));
        }
        Ok(())
    }
}

impl Waiting {
    /// Reports that it is durable, and shows it to readers.
    pub(crate) fn complete(self, shared: &SharedLog) {
        match self {
            Self::Append { callback, last } => {
                if last.is_some() {
                    shared.view().durable = next_index(last);
                }
                callback.io_completed(Ok(()));
            }
            Self::Vote { vote, done } => {
                shared.view().vote = Some(vote);
                answer(done, Ok(()));
            }
        }
    }

    /// Reports that it failed.
    pub(crate) fn fail(self, error: &StorageError) {
        match self {
            Self::Append { callback, last: _ } => callback.io_completed(Err(error.clone().into())),
            Self::Vote { vote: _, done } => answer(done, Err(error.clone())),
        }
    }
}

impl Work {
    /// Reports that it was never begun.
    pub(crate) fn refuse(self, error: &StorageError) {
        match self {
            Self::Append { entries: _, callback } => callback.io_completed(Err(error.clone().into())),
            Self::Purge => {}
            Self::Vote { vote: _, done } | Self::Truncate { last: _, done } | Self::Close { done } => {
                answer(done, Err(error.clone()));
            }
        }
    }
}

/// Answers whoever waits.
pub(crate) fn answer(done: Done, result: Result<(), StorageError>) {
    // A caller that stopped waiting needs no answer.
    drop(done.send(result));
}
