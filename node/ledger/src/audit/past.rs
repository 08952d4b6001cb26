//! The records before the one that is audited, read again where a check needs one: the charge that a reversal undoes, and
//! those that may have been decided under the same idempotency key. So an audit keeps nothing for a record.

use alloc::sync::Arc;

use crate::record::Record;
use crate::values::ids::RecordNumber;

/// Where old records are read again.
pub trait Past {
    /// Why a record could not be read.
    type Error;

    /// The record of this number, which was fed before; `None` where there is none, which is a fault of the history.
    ///
    /// # Errors
    /// Where reading fails. Whether there is such a record is then not known.
    fn record(&self, number: RecordNumber) -> Result<Option<Arc<Record>>, Self::Error>;
}

/// A history in memory. Records are found by the number that they say they have, which in a broken history need not be their
/// place.
impl Past for [Record] {
    type Error = core::convert::Infallible;

    fn record(&self, number: RecordNumber) -> Result<Option<Arc<Record>>, Self::Error> {
        let at = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let is_it = |record: &&Record| record.number == number;
        let found = self.get(at).filter(is_it).or_else(|| self.iter().find(is_it));
        Ok(found.cloned().map(Arc::new))
    }
}
