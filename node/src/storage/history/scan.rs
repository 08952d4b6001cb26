//! Reading the history in order, as far as it was pushed, a page at a time.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger::{Record, RecordNumber, page_of};

use super::{History, page};
use crate::storage::error::StorageError;

impl History {
    /// The records of `numbers` in order, from memory or else from their pages. What is read from the disk does not displace
    /// what single reads keep in memory. The tail is locked for a page at a time. Blocks.
    ///
    /// # Errors
    /// Where one of them was not pushed yet, or a page is damaged.
    pub fn scan(&self, numbers: RangeInclusive<RecordNumber>) -> Result<Vec<Arc<Record>>, StorageError> {
        let (first, last) = (*numbers.start().max(&1), *numbers.end());
        let mut found = Vec::new();
        if first > last {
            return Ok(found);
        }
        let pushed = self.records();
        if last > pushed {
            return Err(StorageError::NoRecord { number: last, last: pushed });
        }
        for page in page_of(first)..=page_of(last) {
            let upto = last.min(page::last_of(page));
            let mut records = self.tail_lock().page(page, upto);
            if records.is_empty() {
                records = page::read(&*self.disk, page, upto)?.into_iter().map(Arc::new).collect();
            }
            found.extend(records.into_iter().filter(|record| record.number >= first));
        }
        Ok(found)
    }
}
