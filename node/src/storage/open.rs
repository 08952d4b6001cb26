//! The databases of a data directory: which folders they have, how they are made, opened, and how much they cache.

use std::path::Path;
use std::sync::Arc;

use super::disk::open_sled;
use super::{Disk, Disks, History, LogStore, SledDisks, StorageError};

/// sled's page cache, in bytes: of one generation of the log, and of the history.
const LOG_CACHE: u64 = 2 * 1024 * 1024;
const HISTORY_CACHE: u64 = 16 * 1024 * 1024;

/// The disks of a node.
#[derive(Debug, Clone)]
pub struct NodeDisks {
    /// The generations of the log.
    pub log: Arc<dyn Disks>,
    /// The history.
    pub history: Arc<dyn Disk>,
}

impl NodeDisks {
    /// The folders of a data directory that this keeps; `init` makes them, [`Self::create`] fills them.
    pub const FOLDERS: [&'static str; 2] = ["log", "history"];

    /// Opens the disks in a data directory.
    ///
    /// # Errors
    /// Where the disk fails or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, StorageError> {
        let [log, history] = Self::FOLDERS.map(|folder| data_dir.join(folder));
        Ok(Self { log: Arc::new(SledDisks::new(log, LOG_CACHE)), history: open_sled(&history, HISTORY_CACHE)? })
    }

    /// Makes an empty log and an empty history that survive a power cut.
    ///
    /// # Errors
    /// Where there is one already, or the disk fails.
    pub async fn create(&self) -> Result<(), StorageError> {
        History::create(&*self.history).await?;
        LogStore::create(&*self.log).await
    }
}
