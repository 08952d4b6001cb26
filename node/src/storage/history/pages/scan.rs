//! Reading the history in order, as far as it was pushed, a page at a time.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger::{PageMark, Record, RecordNumber, page_of};

use super::page;
use crate::storage::error::StorageError;
use crate::storage::history::History;

/// Records that follow each other, and what stands before each page that begins among them.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The records.
    pub records: Vec<Arc<Record>>,
    /// One for each page whose first record is among them.
    pub marks: Vec<PageMark>,
}

impl History {
    /// The records of `numbers` in order, from memory or else from their pages. What is read from the disk does not displace
    /// what single reads keep in memory. The tail is locked for a page at a time. Blocks.
    ///
    /// # Errors
    /// Where one of them was not pushed yet, or a page is damaged.
    pub fn scan(&self, numbers: RangeInclusive<RecordNumber>) -> Result<Scanned, StorageError> {
        let (first, last) = (*numbers.start().max(&1), *numbers.end());
        let mut found = Scanned::default();
        if first > last {
            return Ok(found);
        }
        let pushed = self.records();
        if last > pushed {
            return Err(StorageError::NoRecord { number: last, last: pushed });
        }
        for page in page_of(first)..=page_of(last) {
            let upto = last.min(page::last_of(page));
            let recent = self.recent_page(page, upto);
            let (mark, records) = if let Some(recent) = recent {
                recent
            } else {
                let held = page::read(&*self.disk, page, upto)?;
                (held.mark, held.records.into_iter().map(Arc::new).collect())
            };
            found.marks.extend((mark.first >= first).then_some(mark));
            found.records.extend(records.into_iter().filter(|record| record.number >= first));
        }
        Ok(found)
    }

    /// The records of `page` up to number `last`, and what stands before it, where memory holds them.
    fn recent_page(&self, page: u64, last: RecordNumber) -> Option<(PageMark, Vec<Arc<Record>>)> {
        let tail = self.tail_lock();
        tail.mark(page).is_some().then(|| tail.page(page, last))
    }
}
