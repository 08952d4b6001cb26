//! What the log promises, on disks in memory that lose what they may, and on sled.

mod cuts;
mod on_disk;
mod openraft_suite;

use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;

use super::{LogSettings, LogStore};
use crate::storage::disk::Disks;
use crate::storage::error::StorageError;
use crate::storage::model::entry;
use crate::storage::types::{LogEntry, TypeConfig};

/// Settings under which generations and memory are small.
fn small(generation_bytes: u64) -> LogSettings {
    LogSettings { generation_bytes, memory_bytes: 2_000, queue: 16, round_bytes: 64 * 1024 }
}

/// A log and the thread of its writer.
struct Running {
    log: LogStore,
    writer: std::thread::JoinHandle<Result<(), StorageError>>,
}

impl Running {
    fn open(disks: &Arc<dyn Disks>, settings: LogSettings) -> Self {
        let (log, writer) = LogStore::open(Arc::clone(disks), settings).unwrap();
        Self { log, writer: writer.spawn_thread().unwrap() }
    }

    async fn create(disks: &Arc<dyn Disks>, settings: LogSettings) -> Self {
        LogStore::create(&**disks).await.unwrap();
        Self::open(disks, settings)
    }

    async fn append(&mut self, entries: Vec<LogEntry>) -> Result<(), std::io::Error> {
        let (tx, synced) = TypeConfig::oneshot();
        self.log.append(entries, IOFlushed::signal(tx)).await?;
        synced.await.unwrap()
    }

    /// Appends entries of `bytes` bytes for the indexes of `range`, one at a time.
    async fn fill(&mut self, term: u64, range: std::ops::Range<u64>, bytes: usize) {
        for index in range {
            self.append(vec![entry(term, index, bytes)]).await.unwrap();
        }
    }

    fn entries(&self) -> Vec<LogEntry> {
        self.log.shared().read(0, u64::MAX, u64::MAX).unwrap()
    }

    async fn close(self) {
        self.log.close().await.unwrap();
        self.writer.join().unwrap().unwrap();
    }
}

/// The message with which a log is refused.
fn refusal(disks: &Arc<dyn Disks>) -> String {
    LogStore::open(Arc::clone(disks), small(u64::MAX)).unwrap_err().to_string()
}
