//! Pages of a transfer that is not over, kept over restarts: what is there need not be sent again ([`super::staged`]).

use ledger::{PAGE_RECORDS, RecordNumber};
use parking_lot::MutexGuard;

use super::staged::{Staged, write_mark};
use crate::storage::disk::Batch;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::history::History;
use crate::storage::history::index::IndexWriter;
use crate::storage::history::pages::page;

/// Pages between two marks. Source: some 1.2 MB of them, of which a sync takes a few milliseconds; so much is sent again at most.
#[cfg(not(feature = "simulation"))]
const MARK_PAGES: u64 = 128;
/// Pages between two marks; a simulated run has a dozen.
#[cfg(feature = "simulation")]
const MARK_PAGES: u64 = 1;

impl History {
    /// The last record of the full pages beyond the checkpoint that another node gave and that are here; 0 for none.
    pub fn staged(&self) -> RecordNumber {
        let durable = self.durable_records();
        Some(self.staged_lock().upto).filter(|upto| *upto > durable).unwrap_or(0)
    }

    /// The same, but for what a power cut may cost.
    pub fn staged_durably(&self) -> RecordNumber {
        let durable = self.durable_records();
        Some(self.staged_lock().kept).filter(|kept| *kept > durable).unwrap_or(0)
    }

    /// Whether this page, full, is one of them.
    pub(in crate::storage::history) fn is_staged(&self, page: u64) -> bool {
        page::last_of(page) <= self.staged()
    }

    /// Whether what is here of a page that was received before begins with `bytes`. Where it does not, or cannot be read, none of
    /// these pages counts any more.
    pub(in crate::storage::history) async fn staged_begins_with(
        &self,
        page: u64,
        bytes: &[u8],
    ) -> Result<bool, StorageError> {
        let found = page::read_bytes(&*self.disk, page);
        let reason = match found {
            Ok(own) if own.starts_with(bytes) => return Ok(true),
            Ok(_) => "it differs".to_owned(),
            Err(StorageError::Damaged { reason, .. }) => reason,
            Err(error) => return Err(error),
        };
        tracing::error!(page = page::place(page), reason, "pages that were received before are not used");
        self.remove_mark().await?;
        Ok(false)
    }

    /// Makes nothing count of what was received before: all of it is to be sent again. Blocks.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn forget_staged(&self) -> Result<(), StorageError> {
        let mut index = self.writing.lock().await;
        *index = IndexWriter::after(self.durable_records());
        self.remove_mark().await
    }

    async fn remove_mark(&self) -> Result<(), StorageError> {
        *self.staged_lock() = Staged::default();
        let mut batch = Batch::default();
        batch.remove(keys::staged());
        self.disk.apply(batch)?;
        // Before one of these pages is written again: no mark may say that it is whole.
        self.disk.sync().await
    }

    /// Takes up that `page` was written, as far as record `last`, which is the last on offer.
    pub(in crate::storage::history) async fn stage(&self, page: u64, last: RecordNumber) -> Result<(), StorageError> {
        let durable = self.durable_records();
        let is_due = {
            let mut staged = self.staged_lock();
            let end = staged.upto.max(durable);
            if page::last_of(page) > last || page::first_of(page) > end + 1 {
                return Ok(());
            }
            staged.upto = end.max(page::last_of(page));
            staged.upto >= staged.marked.max(durable) + MARK_PAGES * PAGE_RECORDS
        };
        if is_due { self.mark_staged().await } else { Ok(()) }
    }

    async fn mark_staged(&self) -> Result<(), StorageError> {
        self.disk.sync().await?;
        let upto = {
            let mut staged = self.staged_lock();
            // That sync was one of the last mark too.
            staged.kept = staged.marked;
            staged.marked = staged.upto;
            staged.upto
        };
        write_mark(&*self.disk, upto)
    }

    fn staged_lock(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock()
    }
}
