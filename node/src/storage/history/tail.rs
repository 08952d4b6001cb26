//! The newest records, in memory: all that are not durable yet, and some before them.
//!
//! Invariant: numbers follow each other, and the first one begins a page.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::{Record, RecordNumber, page_of};

use super::page::{self, PAGE_LEN};
use crate::storage::disk::Disk;
use crate::storage::error::StorageError;

/// Durable records that stay in memory, since they are read most: about 10 MB.
const KEPT: usize = 256 * PAGE_LEN;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Tail {
    first: RecordNumber,
    records: VecDeque<Arc<Record>>,
}

impl Tail {
    /// The tail of a history of which `records` are durable: its last page, if that is partial.
    pub(crate) fn after(disk: &dyn Disk, records: u64) -> Result<Self, StorageError> {
        let page = page_of(records + 1);
        let first = page::first_of(page);
        let held = if records >= first { page::read(disk, page, records)? } else { Vec::new() };
        Ok(Self { first, records: held.into_iter().map(Arc::new).collect() })
    }

    /// The number of the last record.
    pub(crate) fn last(&self) -> RecordNumber {
        self.first - 1 + self.records.len() as u64
    }

    /// Adds the next record.
    pub(crate) fn push(&mut self, record: Arc<Record>) {
        assert_eq!(record.number, self.last() + 1, "records are pushed in order, without gaps");
        self.records.push_back(record);
    }

    /// The record `number`, if it is held here.
    pub(crate) fn get(&self, number: RecordNumber) -> Option<Arc<Record>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.records.get(place).cloned()
    }

    /// The records of `page` up to number `last`.
    pub(crate) fn page(&self, page: u64, last: RecordNumber) -> Vec<Arc<Record>> {
        let numbers = page::first_of(page)..=last.min(page::last_of(page));
        numbers.filter_map(|number| self.get(number)).collect()
    }

    /// Drops the oldest full durable pages, but for some.
    pub(crate) fn trim(&mut self, durable: RecordNumber) {
        let pages = |records: usize| records / PAGE_LEN;
        let surplus = pages(self.records.len().saturating_sub(KEPT));
        let full = pages(usize::try_from((durable + 1).saturating_sub(self.first)).unwrap_or(usize::MAX));
        let dropped = surplus.min(full) * PAGE_LEN;
        self.records.drain(..dropped);
        self.first += dropped as u64;
    }
}
