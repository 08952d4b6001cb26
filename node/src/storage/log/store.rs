//! The log as openraft writes to it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::alias::LogIdOf;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use tokio::sync::{mpsc, oneshot};

use super::recovery;
use super::view::LogReader;
use super::view::{SharedLog, View};
use super::work::Work;
use super::writer::LogWriter;
use super::{LogSettings, next_index};
use crate::metrics::instruments::LogInstruments;
use crate::storage::disk::Disks;
use crate::storage::error::StorageError;
use crate::storage::history::History;
use crate::storage::types::{LogEntry, LogId, TypeConfig, Vote};

/// The log. Cheap to clone; all clones feed one writer.
#[derive(Debug, Clone)]
pub struct LogStore {
    shared: Arc<SharedLog>,
    queue: mpsc::Sender<Work>,
}

impl LogStore {
    /// Makes an empty log that survives a power cut. Only `init` does this: a lost log must be a refusal, not an empty log.
    ///
    /// # Errors
    /// Where there is a log already, or the disk fails.
    pub async fn create(disks: &dyn Disks) -> Result<(), StorageError> {
        recovery::create(disks).await
    }

    /// Opens the log and checks all of it. Nothing is written until the writer runs.
    ///
    /// # Errors
    /// Where there is no log, or what is there is damaged or has holes; the message names the place.
    pub fn open(disks: Arc<dyn Disks>, settings: LogSettings) -> Result<(Self, LogWriter), StorageError> {
        let recovered = recovery::open(&*disks, settings)?;
        let bounds = recovered.bounds;
        let shared = Arc::new(SharedLog::new(recovered.view, recovered.generations, settings));
        let (queue, work) = mpsc::channel(settings.queue);
        let writer = LogWriter::new(Arc::clone(&shared), disks, work, bounds)?;
        Ok((Self { shared, queue }, writer))
    }

    /// What times its syncs.
    pub fn instruments(&self) -> LogInstruments {
        self.shared.instruments.clone()
    }

    /// Bytes that the log takes on the file system.
    pub fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        self.shared.bytes_on_disk()
    }

    /// Bytes on the file system that a purge up to `index` would leave.
    pub fn bytes_since(&self, index: u64) -> Result<u64, StorageError> {
        self.shared.bytes_since(index)
    }

    /// The index after the last entry that is durable here: nothing durable may name a position from there on.
    pub fn durable_end(&self) -> u64 {
        self.shared.view().durable
    }

    /// How long the writer has been at what it does now; zero while it waits for work. Long means that the disk stalls.
    pub fn at_work_for(&self) -> Duration {
        self.shared.watch.at_work_for()
    }

    /// Whether half as much work waits for the writer as may.
    pub fn is_behind(&self) -> bool {
        self.queue.capacity() <= self.queue.max_capacity() / 2
    }

    /// The last entry, durable or not.
    pub fn last(&self) -> Option<LogId> {
        self.shared.view().last
    }

    /// The vote that was answered for, and the last entry, durable or not.
    #[cfg(feature = "simulation")]
    pub fn held(&self) -> (Option<Vote>, Option<LogId>) {
        let view = self.shared.view();
        (view.vote, view.last)
    }

    /// Refuses a history that ends before what this log still has: the two could not be joined. And one that ends beyond
    /// this log, which then lost entries, unless a snapshot was installed there and the purge after it was cut short.
    ///
    /// # Errors
    /// Where entries after `history` are purged, or some before its end are missing.
    pub fn check_joins(&self, history: &History) -> Result<(), StorageError> {
        let (purged, last) = {
            let view = self.shared.view();
            (view.purged, view.last)
        };
        let applied = history.checkpoint().applied;
        if applied < purged {
            let reason = format!("it ends at {applied:?}, but the log is purged up to {purged:?}");
            return Err(StorageError::damaged("the history", reason));
        }
        let end = next_index(applied);
        if next_index(last) >= end || history.installed()? == applied {
            return Ok(());
        }
        let reason = format!(
            "it ends before entry {}, but the history holds all before entry {end}: entries that this node acknowledged \
             are lost; keep the data directory and do not run `init` again; this node does not start",
            next_index(last)
        );
        Err(StorageError::damaged("the log", reason))
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Ends the writer after what is queued, writes the committed position, and closes the databases.
    ///
    /// # Errors
    /// Where the writer has stopped before, or the last writes fail.
    pub async fn close(&self) -> Result<(), StorageError> {
        let (done, closed) = oneshot::channel();
        self.send(Work::Close { done }).await?;
        self.finished(closed).await
    }

    /// What the tests look into.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &SharedLog {
        &self.shared
    }

    async fn send(&self, work: Work) -> Result<(), StorageError> {
        self.queue.send(work).await.map_err(|_refused| self.stopped())
    }

    async fn finished(&self, done: oneshot::Receiver<Result<(), StorageError>>) -> Result<(), StorageError> {
        done.await.unwrap_or_else(|_gone| Err(self.stopped()))
    }

    fn stopped(&self) -> StorageError {
        let reason = self.shared.view().stopped.clone();
        StorageError::Stopped { reason: reason.unwrap_or_else(|| "its writer does not run".to_owned()) }
    }
}

impl View {
    /// Takes in `entries` so that readers see them at once; they must follow the last one.
    fn append(&mut self, entries: &[LogEntry]) -> Result<(), StorageError> {
        if let Some(reason) = &self.stopped {
            return Err(StorageError::Stopped { reason: reason.clone() });
        }
        for entry in entries {
            let follows = next_index(self.last);
            if self.last.is_none() {
                // A new log may begin anywhere: openraft's own suite begins at 1. A start finds the hole all the same.
                self.first = entry.log_id.index;
            } else if entry.log_id.index != follows {
                let reason = format!("{} does not follow entry {follows}", entry.log_id);
                return Err(StorageError::OutOfOrder { doing: "append", reason });
            }
            self.recent.push(entry.clone());
            self.last = Some(entry.log_id);
        }
        Ok(())
    }

    fn truncate(&mut self, last: Option<LogId>) {
        if last < self.last {
            self.recent.truncate(next_index(last));
            self.last = last.max(self.purged);
        }
    }

    fn purge(&mut self, upto: LogId) {
        self.recent.purge(upto.index + 1);
        self.first = self.first.max(upto.index + 1);
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let view = self.shared.view();
        Ok(LogState { last_purged_log_id: view.purged, last_log_id: view.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, durable) = oneshot::channel();
        self.send(Work::Vote { vote: *vote, done }).await?;
        Ok(self.finished(durable).await?)
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<TypeConfig>>) -> Result<(), io::Error> {
        // Not worth a sync of its own: the next write takes it along, and a start applies from what it finds.
        self.shared.view().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<TypeConfig>>, io::Error> {
        let view = self.shared.view();
        Ok(view.committed.min(view.last))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        self.shared.view().append(&entries)?;
        Ok(self.send(Work::Append { entries, callback }).await?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogIdOf<TypeConfig>>) -> Result<(), io::Error> {
        self.shared.view().truncate(last_log_id);
        let (done, durable) = oneshot::channel();
        self.send(Work::Truncate { last: last_log_id, done }).await?;
        Ok(self.finished(durable).await?)
    }

    async fn purge(&mut self, log_id: LogIdOf<TypeConfig>) -> Result<(), io::Error> {
        self.shared.view().purge(log_id);
        // Not waited for: a purge that a crash cuts short is done at the next start, and Raft would stand still, heartbeats
        // and all, for as long as the disk does.
        Ok(self.send(Work::Purge).await?)
    }
}
