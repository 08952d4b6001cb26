//! The indexes of the history: which records are in a list, and what concluded a charge or a credit request.
//!
//! On the disk up to the last checkpoint, and in an overlay since. Invariant: a reader sees what the records up to one
//! instant make, whatever a checkpoint writes meanwhile: it takes the overlay's part and the record up to which the disk
//! counts at once, and what the disk has beyond that is passed over.

mod block;
mod list;
mod overlay;
mod writer;

use std::sync::MutexGuard;

use ledger::{Conclusion, Phone, Record, RecordNumber};

pub(crate) use self::list::{ANCHOR_EVERY, List};
pub(crate) use self::overlay::Overlay;
pub(crate) use self::writer::IndexWriter;
use super::{History, RecordCursor, page};
use crate::storage::error::StorageError;

impl History {
    /// The entries of a seller from the record `from` on, oldest first, at most `most` of them. Blocks.
    ///
    /// # Errors
    /// Where the index is damaged.
    pub fn entries_of(
        &self,
        seller: RecordNumber,
        from: RecordNumber,
        most: usize,
    ) -> Result<Vec<RecordNumber>, StorageError> {
        self.numbers(List::entries_of(seller), from, most)
    }

    /// The credit requests of a seller, or of all, from the record `from` on, oldest first, at most `most` of them. Blocks.
    ///
    /// # Errors
    /// Where the index is damaged.
    pub fn requests_of(
        &self,
        seller: Option<RecordNumber>,
        from: RecordNumber,
        most: usize,
    ) -> Result<Vec<RecordNumber>, StorageError> {
        self.numbers(seller.map_or_else(List::all_requests, List::requests_of), from, most)
    }

    /// The administrative acts from the record `from` on, oldest first, at most `most` of them. Blocks.
    ///
    /// # Errors
    /// Where the index is damaged.
    pub fn acts(&self, from: RecordNumber, most: usize) -> Result<Vec<RecordNumber>, StorageError> {
        self.numbers(List::acts(), from, most)
    }

    /// The charges of a phone whose last one is `last`, from the record `from` on, oldest first: `most` or a few more, where
    /// there are so many. Blocks.
    ///
    /// # Errors
    /// Where the index or a record is damaged.
    pub fn charges_of(
        &self,
        phone: Phone,
        last: RecordNumber,
        from: RecordNumber,
        most: usize,
        cursor: &mut RecordCursor,
    ) -> Result<Vec<std::sync::Arc<Record>>, StorageError> {
        // The first of these anchors is at least one charge from `from`, and each other one 64 more.
        let wanted = 1 + most.div_ceil(ANCHOR_EVERY);
        let mut anchors = self.numbers(List::anchors_of(phone), from, wanted)?;
        anchors.retain(|anchor| *anchor <= last);
        let end = anchors.last().filter(|_| anchors.len() == wanted).map_or(last, |anchor| *anchor);
        let mut charges = Vec::new();
        let mut number = end;
        while number >= from && number > 0 {
            let record = self.record_by(number, cursor)?;
            let ledger::Event::Charged(charged) = &record.event else {
                return Err(StorageError::damaged(
                    page::place(ledger::page_of(number)),
                    "no charge is where a phone's was",
                ));
            };
            if charged.phone != phone || charged.previous >= number {
                return Err(StorageError::damaged(
                    page::place(ledger::page_of(number)),
                    "another phone's charge is there",
                ));
            }
            number = charged.previous;
            charges.push(record);
        }
        charges.reverse();
        Ok(charges)
    }

    /// What concluded a charge or a credit request; `None` where it is open, or is neither. Blocks.
    ///
    /// # Errors
    /// Where the index is damaged.
    pub fn conclusion(&self, subject: RecordNumber) -> Result<Option<Conclusion>, StorageError> {
        let (found, written) = self.overlay_lock().conclusion(subject);
        match found {
            Some(_) => Ok(found),
            None => writer::read_conclusion(&*self.disk, subject, written),
        }
    }

    fn numbers(&self, list: List, from: RecordNumber, most: usize) -> Result<Vec<RecordNumber>, StorageError> {
        let view = self.overlay_lock().view(list, from, most);
        let mut found = if from <= view.written {
            block::numbers(&*self.disk, list, from, view.written, most)?
        } else {
            Vec::new()
        };
        if found.len() < most {
            view.add_to(&mut found, most);
        }
        Ok(found)
    }

    pub(super) fn overlay_lock(&self) -> MutexGuard<'_, Overlay> {
        self.overlay.lock().expect("nothing panics while it holds the overlay but for a second conclusion")
    }
}
