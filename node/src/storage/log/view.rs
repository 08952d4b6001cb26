//! What the log's callers, its readers and its writer share: the log as its callers left it, its recent entries in memory, and
//! the generations on the disk. Replication and apply read it through a [`LogReader`].
//!
//! Locks are taken in one order: generations, then the view. A generation goes and entries are removed only under the
//! write lock of the generations, so whoever reads under the read lock finds what the view promised.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::Stream;
use futures::stream;
use openraft::{OptionalSend, RaftLogReader};

use super::attendant::AsideBytes;
use super::generation::Generation;
use super::{LogSettings, next_index};
use crate::metrics::instruments::LogInstruments;
use crate::storage::disk::watch::StallWatch;
use crate::storage::error::StorageError;
use crate::storage::types::{LogEntry, LogId, TypeConfig, Vote};

/// What an entry costs in memory beside its payload, about.
const ENTRY_OVERHEAD: u64 = 160;

/// The log as its caller left it; the disk follows.
#[derive(Debug, Default)]
pub(crate) struct View {
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
    /// Why nothing more is written.
    pub stopped: Option<String>,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct SharedLog {
    view: Mutex<View>,
    generations: RwLock<Vec<Generation>>,
    /// Bounds of the log.
    pub settings: LogSettings,
    /// What the writer is at.
    pub watch: StallWatch,
    /// What lies beside the generations.
    pub aside: Arc<AsideBytes>,
    /// Times its syncs.
    pub instruments: LogInstruments,
}

impl SharedLog {
    /// A log that was read from the disk.
    pub(crate) fn new(view: View, generations: Vec<Generation>, settings: LogSettings) -> Self {
        Self {
            view: Mutex::new(view),
            generations: RwLock::new(generations),
            settings,
            watch: StallWatch::default(),
            aside: Arc::default(),
            instruments: LogInstruments::default(),
        }
    }

    /// The view; held briefly.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("nothing panics while it holds the log's view")
    }

    /// The generations, oldest first, for reading.
    pub(crate) fn generations(&self) -> RwLockReadGuard<'_, Vec<Generation>> {
        self.generations.read().expect("nothing panics while it changes the log's generations")
    }

    /// The generations, for adding, dropping, and removing entries.
    pub(crate) fn generations_mut(&self) -> RwLockWriteGuard<'_, Vec<Generation>> {
        self.generations.write().expect("nothing panics while it changes the log's generations")
    }

    /// The entries from `start` to `end` (exclusive) that the log has, at least one, then as many as fit in `bytes_max`.
    pub(crate) fn read(&self, start: u64, end: u64, bytes_max: u64) -> Result<Vec<LogEntry>, StorageError> {
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

    /// Bytes that all generations take on the file system, with what is made ahead or not yet dropped.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        let held: Result<u64, StorageError> =
            self.generations().iter().map(|generation| generation.disk.bytes_on_disk()).sum();
        Ok(held? + self.aside.get())
    }

    /// Bytes on the file system of the generations that hold entries after `index`.
    pub(crate) fn bytes_since(&self, index: u64) -> Result<u64, StorageError> {
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

/// Reads the log while it is written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<SharedLog>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<SharedLog>) -> Self {
        Self { shared }
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = Result<LogEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // A bounded piece at a time: what is to be applied after a restart may be the whole log.
        let (start, end) = bounds_of(&range);
        let shared = Arc::clone(&self.shared);
        let pieces = stream::try_unfold(start, move |start| {
            let piece = shared.read(start, end, shared.settings.round_bytes);
            async move {
                let piece = piece.map_err(io::Error::from)?;
                let next = piece.last().map(|last| last.log_id.index + 1);
                Ok::<_, io::Error>(next.map(|next| (stream::iter(piece.into_iter().map(Ok)), next)))
            }
        });
        Box::pin(futures::TryStreamExt::try_flatten(pieces))
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let (start, end) = bounds_of(&range);
        Ok(self.shared.read(start, end, u64::MAX)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.view().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, io::Error> {
        Ok(self.shared.read(start, end, self.shared.settings.round_bytes)?)
    }
}

/// First and end (exclusive) of a range.
fn bounds_of(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

/// The recent entries: all that are not durable yet, and before them as many as a bound in bytes allows. They end with the
/// last one of the log. Invariant: indexes follow each other without a gap.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    entries: VecDeque<LogEntry>,
    bytes: u64,
}

impl Recent {
    /// The index of the first entry held here.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Adds the entry after the last one.
    pub(crate) fn push(&mut self, entry: LogEntry) {
        if let Some(last) = self.entries.back() {
            assert_eq!(entry.log_id.index, last.log_id.index + 1, "entries in memory follow each other");
        }
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
    }

    /// The entries from `start` to `end` (exclusive) that are held here.
    pub(crate) fn between(&self, start: u64, end: u64) -> impl Iterator<Item = &LogEntry> {
        let first = self.first().unwrap_or(end);
        let skip = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take_while(move |entry| entry.log_id.index < end)
    }

    /// Drops the entries from `index` on.
    pub(crate) fn truncate(&mut self, index: u64) {
        while self.entries.back().is_some_and(|last| last.log_id.index >= index) {
            let dropped = self.entries.pop_back();
            self.bytes -= dropped.as_ref().map_or(0, cost);
        }
    }

    /// Drops the entries before `index`.
    pub(crate) fn purge(&mut self, index: u64) {
        while self.first().is_some_and(|first| first < index) {
            self.drop_first();
        }
    }

    /// Drops the oldest of those before `durable` until no more than `bytes_max` are held.
    pub(crate) fn trim(&mut self, durable: u64, bytes_max: u64) {
        while self.bytes > bytes_max && self.first().is_some_and(|first| first < durable) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let dropped = self.entries.pop_front();
        self.bytes -= dropped.as_ref().map_or(0, cost);
    }
}

/// Bytes that an entry takes in memory, about.
fn cost(entry: &LogEntry) -> u64 {
    let payload = match &entry.payload {
        openraft::EntryPayload::Normal(payload) => payload.0.len() as u64,
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 0,
    };
    payload + ENTRY_OVERHEAD
}
