//! The recent entries in memory: all that are not durable yet, and before them as many as a bound in bytes allows.
//!
//! Invariant: indexes follow each other without a gap.

use std::collections::VecDeque;

use crate::storage::types::LogEntry;

/// What an entry costs in memory beside its payload, about.
const ENTRY_OVERHEAD: u64 = 160;

/// A run of entries that ends with the last one of the log.
#[derive(Debug, Default)]
pub struct Recent {
    entries: VecDeque<LogEntry>,
    bytes: u64,
}

impl Recent {
    /// The index of the first entry held here.
    pub fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Adds the entry after the last one.
    pub fn push(&mut self, entry: LogEntry) {
        if let Some(last) = self.entries.back() {
            assert_eq!(entry.log_id.index, last.log_id.index + 1, "entries in memory follow each other");
        }
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
    }

    /// The entries from `start` to `end` (exclusive) that are held here.
    pub fn between(&self, start: u64, end: u64) -> impl Iterator<Item = &LogEntry> {
        let first = self.first().unwrap_or(end);
        let skip = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take_while(move |entry| entry.log_id.index < end)
    }

    /// Drops the entries from `index` on.
    pub fn truncate(&mut self, index: u64) {
        while self.entries.back().is_some_and(|last| last.log_id.index >= index) {
            let dropped = self.entries.pop_back();
            self.bytes -= dropped.as_ref().map_or(0, cost);
        }
    }

    /// Drops the entries before `index`.
    pub fn purge(&mut self, index: u64) {
        while self.first().is_some_and(|first| first < index) {
            self.drop_first();
        }
    }

    /// Drops the oldest of those before `durable` until no more than `bytes_max` are held.
    pub fn trim(&mut self, durable: u64, bytes_max: u64) {
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
pub fn cost(entry: &LogEntry) -> u64 {
    let payload = match &entry.payload {
        openraft::EntryPayload::Normal(payload) => payload.0.len() as u64,
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 0,
    };
    payload + ENTRY_OVERHEAD
}
