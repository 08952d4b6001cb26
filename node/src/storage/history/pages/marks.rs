//! What stands before each page: found by page, by entry or by time, without reading the pages' records.

use ledger::{Digest, PageMark, RecordChain, RecordNumber, Time, page_of};

use super::page;
use crate::storage::error::StorageError;
use crate::storage::history::History;

impl History {
    /// What stands before `page`: from memory, or else from the page's header on the disk, which blocks.
    ///
    /// # Errors
    /// Where there is no such page, or it is damaged.
    pub fn mark(&self, page: u64) -> Result<PageMark, StorageError> {
        {
            let tail = self.tail_lock();
            if let Some(mark) = tail.mark(page) {
                return Ok(mark);
            }
            if page::first_of(page) > tail.last() {
                return Err(StorageError::NoRecord { number: page::first_of(page), last: tail.last() });
            }
        }
        if let Some(mark) = self.marks_lock().get(page) {
            return Ok(mark);
        }
        let mark = page::read_mark(&*self.disk, page)?;
        self.marks_lock().put(page, mark);
        Ok(mark)
    }

    /// The chain over the first `records` records. Blocks.
    ///
    /// # Errors
    /// Where there are fewer, or what is read is damaged.
    pub fn digest_at(&self, records: u64) -> Result<Digest, StorageError> {
        if records == 0 {
            return Ok(Digest::ZERO);
        }
        let page = page_of(records);
        let mark = self.mark(page)?;
        let mut chain = RecordChain::before_page(page, mark.record_digest);
        for number in mark.first..=records {
            chain.push(mark.ledger, &*self.record(number)?);
        }
        Ok(chain.digest())
    }

    /// The page that holds the record of an entry; the last page for one that is yet to come. Blocks.
    ///
    /// # Errors
    /// Where a page is damaged.
    pub fn page_of_entry(&self, entry: u64) -> Result<u64, StorageError> {
        Ok(self.pages_while(|mark| mark.entries < entry)?.saturating_sub(1))
    }

    /// The first record that may be at or after `time`: all before it are earlier. Blocks.
    ///
    /// # Errors
    /// Where a page is damaged.
    pub fn record_from(&self, time: Time) -> Result<RecordNumber, StorageError> {
        Ok(page::first_of(self.pages_while(|mark| mark.time < time)?.saturating_sub(1)))
    }

    /// How many pages there are, from the first on, whose marks fulfil what holds for no page after one for which it does
    /// not hold.
    fn pages_while(&self, holds: impl Fn(&PageMark) -> bool) -> Result<u64, StorageError> {
        let records = self.records();
        let (mut low, mut high) = (0, if records == 0 { 0 } else { page_of(records) + 1 });
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(&self.mark(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
