//! The newest records, in memory: all that are not durable yet, and some before them.
//!
//! Invariant: numbers follow each other, the first one begins a page, and there is a mark for each page begun.

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::{PageMark, Record, RecordNumber, page_of};

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
    /// What stands before each page of them.
    marks: VecDeque<PageMark>,
}

impl Tail {
    /// The tail of a history of which `records` are durable: its last page, if that is partial.
    pub(crate) fn after(disk: &dyn Disk, records: u64) -> Result<Self, StorageError> {
        let page = page_of(records + 1);
        let first = page::first_of(page);
        if records < first {
            return Ok(Self { first, records: VecDeque::new(), marks: VecDeque::new() });
        }
        let held = page::read(disk, page, records)?;
        Ok(Self { first, records: held.records.into_iter().map(Arc::new).collect(), marks: [held.mark].into() })
    }

    /// The number of the last record.
    pub(crate) fn last(&self) -> RecordNumber {
        self.first - 1 + self.records.len() as u64
    }

    /// Adds the next record; `mark` is what stands before its page, asked for where it begins one.
    pub(crate) fn push(&mut self, record: Arc<Record>, mark: impl FnOnce() -> PageMark) {
        assert_eq!(record.number, self.last() + 1, "records are pushed in order, without gaps");
        if self.records.len().is_multiple_of(PAGE_LEN) {
            let mark = mark();
            assert_eq!((mark.first, mark.time), (record.number, record.time), "a mark is that of the record's page");
            self.marks.push_back(mark);
        }
        self.records.push_back(record);
    }

    /// The record `number`, if it is held here.
    pub(crate) fn get(&self, number: RecordNumber) -> Option<Arc<Record>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.records.get(place).cloned()
    }

    /// What stands before `page`, if it is held here.
    pub(crate) fn mark(&self, page: u64) -> Option<PageMark> {
        let place = usize::try_from(page.checked_sub(page_of(self.first))?).ok()?;
        self.marks.get(place).copied()
    }

    /// The records of `page` up to number `last`, and what stands before it.
    ///
    /// # Panics
    /// Where the page is not held here.
    pub(crate) fn page(&self, page: u64, last: RecordNumber) -> (PageMark, Vec<Arc<Record>>) {
        let mark = self.mark(page).expect("a page with a record that is not durable is in the tail");
        let numbers = page::first_of(page)..=last.min(page::last_of(page));
        (mark, numbers.filter_map(|number| self.get(number)).collect())
    }

    /// Drops the oldest full durable pages, but for some.
    pub(crate) fn trim(&mut self, durable: RecordNumber) {
        let pages = |records: usize| records / PAGE_LEN;
        let surplus = pages(self.records.len().saturating_sub(KEPT));
        let full = pages(usize::try_from((durable + 1).saturating_sub(self.first)).unwrap_or(usize::MAX));
        let dropped = surplus.min(full) * PAGE_LEN;
        self.records.drain(..dropped);
        self.marks.drain(..dropped / PAGE_LEN);
        self.first += dropped as u64;
    }
}
