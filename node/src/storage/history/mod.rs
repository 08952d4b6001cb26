//! The history: every record, in pages with fixed boundaries, and the log position that it reflects.
//!
//! New records are pushed to a tail in memory. A checkpoint writes them as pages and then, in one tiny batch, says how
//! far the history goes; pages beyond that do not count, so a crash in between changes nothing. What is durable is never
//! rewritten with other bytes: the last, partial page only grows. With the pages come the lists that records are found by.
//!
//! Unit: record numbers from 1; page `p` holds `p * 64 + 1 ..= (p + 1) * 64`, on every replica.

mod backup;
mod checkpoint;
mod image;
pub(crate) mod index;
mod known_peers;
mod pages;
mod time_mark;
mod transfer;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ledger::{PageMark, Record, RecordNumber, page_of};
use serde::{Deserialize, Serialize};

pub use self::backup::{BackupOrigin, HistoryBackupError};
pub use self::checkpoint::{Checkpoint, PlainCheckpoint};
pub use self::image::{Image, WrittenImage};
use self::index::{IndexWriter, Overlay};
use self::pages::cache::{PageBytes, PageCache};
use self::pages::page;
pub use self::pages::scan::Scanned;
use self::pages::tail::Tail;
pub use self::time_mark::TimeMark;
use self::transfer::staged::Staged;
use super::disk::watch::{StallWatch, Watched};
use super::disk::{Batch, Disk};
use super::error::StorageError;
use super::format::keys;
use super::format::{Kind, codec};
use super::types::LogId;
use super::types::plain::PlainLogId;
pub use ::pages::page::Page;

/// Where the checkpoint lies, for messages.
const CHECKPOINT_PLACE: &str = "the checkpoint of the history";

/// See the head of this file. Shared by reference; every method may be called from any thread.
#[derive(Debug)]
pub struct History {
    disk: Arc<dyn Disk>,
    /// The calls of `disk` under way.
    watch: Arc<StallWatch>,
    tail: Mutex<Tail>,
    /// What the lists have of records that are not durable yet.
    overlay: Mutex<Overlay>,
    cache: Mutex<PageCache<PageBytes>>,
    marks: Mutex<PageCache<PageMark>>,
    checkpoint: Mutex<Checkpoint>,
    /// Changes only while `writing` is held.
    staged: parking_lot::Mutex<Staged>,
    /// Held while pages, lists or the checkpoint are written.
    writing: tokio::sync::Mutex<IndexWriter>,
}

/// Where a reader of many records is: the page that it read last, so that the next record of it costs no read. It leaves the
/// shared pages alone, which a scan would fill with what nobody asks for again.
#[derive(Debug, Default)]
pub struct RecordCursor(Option<(u64, Arc<[u8]>)>);

impl History {
    /// Makes an empty history that survives a power cut. Only `init` does this.
    ///
    /// # Errors
    /// Where there is one already, or the disk fails.
    pub async fn create(disk: &dyn Disk) -> Result<(), StorageError> {
        if disk.get(&keys::checkpoint())?.is_some() {
            return Err(StorageError::Present { what: "history", place: CHECKPOINT_PLACE.to_owned() });
        }
        write_checkpoint(disk, &Checkpoint::default(), Batch::default()).await
    }

    /// Opens the history. Only the last page is read; [`History::replay`] reads and checks them all.
    ///
    /// # Errors
    /// Where there is none, or what is read is damaged.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, StorageError> {
        let checkpoint = Self::checkpoint_on(&*disk)?;
        check_reached(&*disk, &checkpoint)?;
        let tail = Tail::after(&*disk, checkpoint.records)?;
        let staged = Staged::on(&*disk, checkpoint.records)?;
        let watch = Arc::new(StallWatch::default());
        Ok(Self {
            disk: Arc::new(Watched::new(disk, Arc::clone(&watch))),
            watch,
            tail: Mutex::new(tail),
            overlay: Mutex::new(Overlay::after(checkpoint.records)),
            cache: Mutex::new(PageCache::of_bytes()),
            marks: Mutex::new(PageCache::of_marks()),
            staged: parking_lot::Mutex::new(staged),
            writing: tokio::sync::Mutex::new(IndexWriter::after(checkpoint.records)),
            checkpoint: Mutex::new(checkpoint),
        })
    }

    /// The checkpoint on a disk: readable whatever rules its records follow, and so before [`Self::open`], which reads some.
    ///
    /// # Errors
    /// Where there is none, or it is damaged.
    pub fn checkpoint_on(disk: &dyn Disk) -> Result<Checkpoint, StorageError> {
        let key = keys::checkpoint();
        let sealed = disk.get(&key)?;
        let sealed =
            sealed.ok_or_else(|| StorageError::Absent { what: "checkpoint", place: "the history".to_owned() })?;
        let plain: PlainCheckpoint = codec::unseal_value(Kind::Checkpoint, &key, &sealed, CHECKPOINT_PLACE)?;
        plain.try_into().map_err(|error| StorageError::damaged(CHECKPOINT_PLACE, error))
    }

    /// The last durable checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint_lock().clone()
    }

    /// How many records are durable. Cheaper than [`Self::checkpoint`].
    pub fn durable_records(&self) -> u64 {
        self.checkpoint_lock().records
    }

    /// Bytes that the records that are not durable yet will take on the disk, about.
    pub fn unwritten_bytes(&self) -> u64 {
        Self::bytes_of(self.records().saturating_sub(self.durable_records()))
    }

    /// Bytes that so many records take on the disk, about: as many as charges do.
    pub fn bytes_of(records: u64) -> u64 {
        records.saturating_mul(page::RECORD_BYTES)
    }

    /// The number of the last record pushed, durable or not; 0 before the first.
    pub fn records(&self) -> u64 {
        self.tail_lock().last()
    }

    /// Adds the next record; readers see it at once. `mark` gives what stands before its page, and is asked where the record
    /// begins one.
    ///
    /// # Panics
    /// Where its number does not follow the last one, the mark is another page's, or it concludes what another one concluded.
    pub fn push(&self, record: Record, mark: impl FnOnce() -> PageMark) -> Arc<Record> {
        let record = Arc::new(record);
        self.tail_lock().push(Arc::clone(&record), mark);
        self.overlay_lock().push(&record);
        record
    }

    /// A record by its number: from memory, or else from its page on the disk, which blocks.
    ///
    /// # Errors
    /// Where there is none of that number, or its page is damaged.
    pub fn record(&self, number: RecordNumber) -> Result<Arc<Record>, StorageError> {
        if let Some(record) = self.recent(number)? {
            return Ok(record);
        }
        let page = page_of(number);
        let held = self.cache_lock().get(page);
        let bytes = if let Some(bytes) = held {
            bytes
        } else {
            let bytes: Arc<[u8]> = page::read_bytes(&*self.disk, page)?.into();
            self.cache_lock().put(page, Arc::clone(&bytes));
            bytes
        };
        Ok(page::record(page, &bytes, number).map(Arc::new)?)
    }

    /// The same, for a reader of many records.
    ///
    /// # Errors
    /// Where there is none of that number, or its page is damaged.
    pub fn record_by(&self, number: RecordNumber, cursor: &mut RecordCursor) -> Result<Arc<Record>, StorageError> {
        if let Some(record) = self.recent(number)? {
            return Ok(record);
        }
        let page = page_of(number);
        let bytes = match &cursor.0 {
            Some((at, bytes)) if *at == page => bytes,
            Some(_) | None => {
                let held = self.cache_lock().get(page);
                let bytes = held.map_or_else(|| page::read_bytes(&*self.disk, page).map(Arc::from), Ok)?;
                &cursor.0.insert((page, bytes)).1
            }
        };
        Ok(page::record(page, bytes, number).map(Arc::new)?)
    }

    /// The record, where memory holds it. A page that memory does not hold is full.
    fn recent(&self, number: RecordNumber) -> Result<Option<Arc<Record>>, StorageError> {
        let tail = self.tail_lock();
        let found = tail.get(number);
        if found.is_none() && (number == 0 || number > tail.last()) {
            return Err(StorageError::NoRecord { number, last: tail.last() });
        }
        Ok(found)
    }

    /// Reads the records of `numbers` from the disk in order, page by page, checking that none is damaged or missing. Blocks.
    ///
    /// # Errors
    /// At the first page that is damaged or does not hold them, and where `with` fails.
    pub fn replay(
        &self,
        numbers: RangeInclusive<RecordNumber>,
        mut with: impl FnMut(&Page) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let (first, last) = (*numbers.start().max(&1), *numbers.end());
        if first > last {
            return Ok(());
        }
        for page in page_of(first)..=page_of(last) {
            let mut page = page::read(&*self.disk, page, last)?;
            page.records.retain(|record| record.number >= first);
            with(&page)?;
        }
        Ok(())
    }

    /// Makes the history durable up to `to`, whose records must have been pushed. Blocks; pushing and reading continue.
    ///
    /// # Errors
    /// Where `to` goes back or beyond what was pushed, or the disk fails, which is final.
    pub async fn write(&self, to: Checkpoint) -> Result<(), StorageError> {
        let mut index = self.writing.lock().await;
        self.write_pages(&to, &mut index).await?;
        write_checkpoint(&*self.disk, &to, Batch::default()).await?;
        self.tail_lock().trim(to.records);
        self.overlay_lock().trim(to.records);
        *self.checkpoint_lock() = to;
        Ok(())
    }

    /// Makes the pages and the lists up to `to` durable, from what was pushed.
    async fn write_pages(&self, to: &Checkpoint, index: &mut IndexWriter) -> Result<(), StorageError> {
        let before = self.checkpoint_lock().records;
        let pushed = self.records();
        if to.records < before || to.records > pushed {
            let reason = format!("{} records, but {before} are durable and {pushed} known", to.records);
            return Err(StorageError::OutOfOrder { doing: "write a checkpoint", reason });
        }
        if to.records > before {
            // What a transfer left that was not installed is written again.
            *index = IndexWriter::after(before);
            for page in page_of(before + 1)..=page_of(to.records) {
                let (mark, records) = self.tail_lock().page(page, to.records);
                let bytes = page::encode(&mark, &records)?;
                // What was received of it goes further, and is not to be sent again.
                if !self.is_staged(page) || !self.staged_begins_with(page, &bytes).await? {
                    page::write(&*self.disk, page, &bytes)?;
                }
                records.iter().try_for_each(|record| index.take(&*self.disk, record))?;
            }
            index.write(&*self.disk)?;
            // Pages first: of what was not synced a power cut may leave any part, and the checkpoint answers for them.
            self.disk.sync().await?;
        }
        Ok(())
    }

    /// How long the disk has been at one call; zero where there is none. Long means that it stalls.
    pub fn at_work_for(&self) -> Duration {
        self.watch.at_work_for()
    }

    /// Bytes that the history takes on the file system.
    pub fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        self.disk.bytes_on_disk()
    }

    fn tail_lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().expect("nothing panics while it holds the history's tail but for a record out of order")
    }

    fn cache_lock(&self) -> MutexGuard<'_, PageCache<PageBytes>> {
        self.cache.lock().expect("nothing panics while it holds the page cache")
    }

    fn marks_lock(&self) -> MutexGuard<'_, PageCache<PageMark>> {
        self.marks.lock().expect("nothing panics while it holds the marks of pages")
    }

    fn checkpoint_lock(&self) -> MutexGuard<'_, Checkpoint> {
        self.checkpoint.lock().expect("nothing panics while it holds the checkpoint")
    }
}

/// Writes the checkpoint, and what is in `batch` in the same instant.
async fn write_checkpoint(disk: &dyn Disk, checkpoint: &Checkpoint, mut batch: Batch) -> Result<(), StorageError> {
    let key = keys::checkpoint();
    let sealed = codec::seal_value(Kind::Checkpoint, &key, &PlainCheckpoint::from(checkpoint))?;
    batch.insert(key, sealed);
    disk.apply(batch)?;
    disk.sync().await?;
    disk.write_high_water(&codec::encode(Kind::HistoryHighWater, &HistoryHighWater::of(checkpoint))?)
}

/// How far the history got: the high-water mark of its disk. What is found at a start may be more, never less.
#[derive(Debug, Serialize, Deserialize)]
struct HistoryHighWater {
    applied: Option<PlainLogId>,
    records: u64,
}

impl HistoryHighWater {
    fn of(checkpoint: &Checkpoint) -> Self {
        Self { applied: checkpoint.applied.map(PlainLogId::from), records: checkpoint.records }
    }
}

/// A database that takes damage for a torn end comes back with an older checkpoint.
fn check_reached(disk: &dyn Disk, checkpoint: &Checkpoint) -> Result<(), StorageError> {
    let Some(high_water) = disk.high_water()? else { return Ok(()) };
    let reached: HistoryHighWater = codec::decode(Kind::HistoryHighWater, &high_water)
        .map_err(|error| StorageError::damaged(CHECKPOINT_PLACE, error))?;
    if checkpoint.records >= reached.records && checkpoint.applied >= reached.applied.map(LogId::from) {
        return Ok(());
    }
    let reason = format!("it holds {} records, but {} were durable", checkpoint.records, reached.records);
    Err(StorageError::damaged(CHECKPOINT_PLACE, reason))
}
