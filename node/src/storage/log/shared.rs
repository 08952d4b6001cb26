//! What the log's callers, its readers and its writer share: the log as it is meant to be, and the generations it lies in.
//!
//! Locks are taken in one order: generations, then the view. A generation goes and entries are removed only under the
//! write lock of the generations, so whoever reads under the read lock finds what the view promised.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::time::Instant;

use super::generation::Generation;
use super::recent::{Recent, cost};
use super::{LogSettings, next_index};
use crate::storage::error::StorageError;
use crate::storage::types::{LogEntry, LogId, Vote};

/// The log as its caller left it; the disk follows.
#[derive(Debug, Default)]
pub struct View {
    /// The last vote that is durable.
    pub vote: Option<Vote>,
    /// The last committed position; written along with the next entries.
    pub committed: Option<LogId>,
    /// The last log id that is gone.
    pub purged: Option<LogId>,
    /// The index of the first entry there is or will be.
    pub first: u64,
    /// The last log id there is, or was.
    pub last: Option<LogId>,
    /// Entries before this index are durable.
    pub durable: u64,
    /// Entries that readers need not fetch from the disk.
    pub recent: Recent,
    /// Since when the writer has been at one piece of work; none while it waits for the next.
    pub at_work_since: Option<Instant>,
    /// Why nothing more is written.
    pub stopped: Option<String>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct SharedLog {
    view: Mutex<View>,
    generations: RwLock<Vec<Generation>>,
    /// Bounds of the log.
    pub settings: LogSettings,
}

impl SharedLog {
    /// A log that was read from the disk.
    pub fn new(view: View, generations: Vec<Generation>, settings: LogSettings) -> Self {
        Self { view: Mutex::new(view), generations: RwLock::new(generations), settings }
    }

    /// The view; held only for moments.
    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("nothing panics while it holds the log's view")
    }

    /// The generations, oldest first, for reading.
    pub fn generations(&self) -> RwLockReadGuard<'_, Vec<Generation>> {
        self.generations.read().expect("nothing panics while it changes the log's generations")
    }

    /// The generations, for adding, dropping, and removing entries.
    pub fn generations_mut(&self) -> RwLockWriteGuard<'_, Vec<Generation>> {
        self.generations.write().expect("nothing panics while it changes the log's generations")
    }

    /// The entries from `start` to `end` (exclusive) that the log has, at least one, then as many as fit in `bytes_max`.
    pub fn read(&self, start: u64, end: u64, bytes_max: u64) -> Result<Vec<LogEntry>, StorageError> {
        let generations = self.generations();
        let (wanted, from_memory) = {
            let view = self.view();
            let start = start.max(view.first);
            let end = end.min(next_index(view.last));
            let memory_from = view.recent.first().unwrap_or(end);
            let held: Vec<LogEntry> = view.recent.between(start.max(memory_from), end).cloned().collect();
            (start..end.min(memory_from).max(start), held)
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        for index in wanted {
            let (entry, size) = read_one(&generations, index)?;
            if !fits(&mut bytes, size, bytes_max) {
                return Ok(entries);
            }
            entries.push(entry);
        }
        for entry in from_memory {
            if !fits(&mut bytes, cost(&entry), bytes_max) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Bytes that all generations take on the file system.
    pub fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        self.generations().iter().map(|generation| generation.disk.bytes_on_disk()).sum()
    }

    /// Bytes on the file system of the generations that hold entries after `index`.
    pub fn bytes_since(&self, index: u64) -> Result<u64, StorageError> {
        let generations = self.generations();
        let ends = generations.iter().skip(1).map(|next| next.first).chain([u64::MAX]);
        let kept = generations.iter().zip(ends).filter(|(_, end)| *end > index.saturating_add(1));
        kept.map(|(generation, _)| generation.disk.bytes_on_disk()).sum()
    }
}

/// Counts `size` in; false where it does not fit and something was counted before.
fn fits(bytes: &mut u64, size: u64, bytes_max: u64) -> bool {
    let before = *bytes;
    *bytes = before.saturating_add(size);
    before == 0 || *bytes <= bytes_max
}

fn read_one(generations: &[Generation], index: u64) -> Result<(LogEntry, u64), StorageError> {
    let holder = generations.iter().rev().find(|generation| generation.first <= index);
    let found = match holder {
        Some(generation) => generation.entry(index)?,
        None => None,
    };
    found.ok_or_else(|| StorageError::damaged(format!("log entry {index}"), "it is missing"))
}
