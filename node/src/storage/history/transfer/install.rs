//! Pages sent from one node to another: read on one, installed on the other.
//!
//! Taking in never changes what is durable: a page that differs from what this node has is refused, and pages count
//! only once [`History::install`] names a checkpoint that covers them. That one may be beyond the end of the log, until the
//! log is purged up to it, so the position is kept beside it: any other log that ends before the history lost entries.

use ledger::{RecordNumber, page_of};

use crate::storage::disk::Batch;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::{Kind, codec};
use crate::storage::history::index::IndexWriter;
use crate::storage::history::pages::page::{self, Page};
use crate::storage::history::pages::tail::Tail;
use crate::storage::history::{Checkpoint, History, write_checkpoint};
use crate::storage::types::LogId;
use crate::storage::types::plain::PlainLogId;

impl History {
    /// The bytes of `page` up to record `last`, for another node, which decodes them. Their seal is checked here. Blocks.
    ///
    /// # Errors
    /// Where the page is damaged, or ends before that record, if it is not to be full.
    pub fn page(&self, page: u64, last: RecordNumber) -> Result<Vec<u8>, StorageError> {
        let mut bytes = page::read_bytes(&*self.disk, page)?;
        // A full page is sent whole: its seal was checked, and whoever receives it decodes it.
        if last < page::last_of(page) {
            let length = page::decode(page, &bytes, last)?.length;
            bytes.truncate(length);
        }
        Ok(bytes)
    }

    /// Writes the bytes of `page`, up to record `last`, that another node gave. They count once a checkpoint covers
    /// them. What is durable here already, or was received before, is compared and not written again. Returns the page, decoded.
    /// Blocks.
    ///
    /// # Errors
    /// Where the bytes are not those records, or differ from what is durable here. Where they differ from what was received
    /// before, nothing of that counts any more.
    pub async fn install_page(&self, page: u64, bytes: &[u8], last: RecordNumber) -> Result<Page, StorageError> {
        let mut index = self.writing.lock().await;
        let decoded = page::decode(page, bytes, last)?;
        if decoded.length != bytes.len() {
            let reason = format!("{} bytes are left over after record {last}", bytes.len() - decoded.length);
            return Err(StorageError::Form { what: page::place(page), reason });
        }
        let durable = self.checkpoint_lock().records.min(page::last_of(page));
        if durable >= page::first_of(page) {
            let own = self.page(page, durable.min(last))?;
            if !bytes.starts_with(&own) {
                let reason = format!("{} differs from the one received", page::place(page));
                return Err(StorageError::OutOfOrder { doing: "overwrite durable history", reason });
            }
        }
        if last.min(page::last_of(page)) <= durable {
            return Ok(decoded);
        }
        if self.is_staged(page) {
            if self.staged_begins_with(page, bytes).await? {
                return Ok(decoded);
            }
            *index = IndexWriter::after(self.durable_records());
            let reason = format!("{} differs from the one received before: all are received again", page::place(page));
            return Err(StorageError::OutOfOrder { doing: "continue a transfer", reason });
        }
        page::write(&*self.disk, page, bytes)?;
        // Where pages before this one are there from another transfer, the lists are made at the end, from all of them.
        let records = &decoded.records;
        if records.first().is_some_and(|record| record.number <= index.taken() + 1) {
            records.iter().try_for_each(|record| index.take(&*self.disk, record))?;
        }
        self.stage(page, last).await?;
        Ok(decoded)
    }

    /// Makes pages that were taken in durable and the history end at `to`, and marks `to` as installed. The caller has
    /// applied them and compared the digest, and pushes nothing meanwhile. Blocks.
    ///
    /// # Errors
    /// Where `to` is behind what this node knows, its last page is not there, or the disk fails.
    pub async fn install(&self, to: Checkpoint) -> Result<(), StorageError> {
        let mut index = self.writing.lock().await;
        let pushed = self.records();
        if to.records < pushed {
            let reason = format!("{} records, but {pushed} are known", to.records);
            return Err(StorageError::OutOfOrder { doing: "install a checkpoint", reason });
        }
        let mut mark = Batch::default();
        let key = keys::installed();
        let sealed = codec::seal_value(Kind::LogPosition, &key, &to.applied.map(PlainLogId::from))?;
        mark.insert(key, sealed);
        if to.records > pushed {
            self.finish_index(&mut index, to.records)?;
            self.disk.sync().await?;
            let tail = Tail::after(&*self.disk, to.records)?;
            write_checkpoint(&*self.disk, &to, mark).await?;
            *self.tail_lock() = tail;
        } else {
            self.write_pages(&to, &mut index).await?;
            write_checkpoint(&*self.disk, &to, mark).await?;
        }
        self.overlay_lock().trim(to.records);
        *self.checkpoint_lock() = to;
        Ok(())
    }

    /// Writes what the pages that were taken in add to the lists, and was not taken with them.
    fn finish_index(&self, index: &mut IndexWriter, last: RecordNumber) -> Result<(), StorageError> {
        for page in page_of(index.taken() + 1)..=page_of(last) {
            let records = page::read(&*self.disk, page, last)?.records;
            records.iter().try_for_each(|record| index.take(&*self.disk, record))?;
        }
        index.write(&*self.disk)
    }

    /// The position that was installed last, if one was.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn installed(&self) -> Result<Option<LogId>, StorageError> {
        let key = keys::installed();
        let Some(sealed) = self.disk.get(&key)? else { return Ok(None) };
        let plain: Option<PlainLogId> =
            codec::unseal_value(Kind::LogPosition, &key, &sealed, "the mark of an installed snapshot")?;
        Ok(plain.map(LogId::from))
    }
}
