//! The history: every record, in pages with fixed boundaries, and the log position that it reflects.
//!
//! New records are pushed to a tail in memory. A checkpoint writes them as pages and then, in one tiny batch, says how
//! far the history goes; pages beyond that do not count, so a crash in between changes nothing. What is durable is never
//! rewritten with other bytes: the last, partial page only grows.
//!
//! Unit: record numbers from 1; page `p` holds `p * 64 + 1 ..= (p + 1) * 64`, on every replica.

mod cache;
mod install;
mod known_peers;
mod page;
mod scan;
mod tail;
mod time_mark;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ledger::{Digest, PAGE_RECORDS, Record, RecordNumber, page_of};
use serde::{Deserialize, Serialize};

use self::cache::PageCache;
use self::tail::Tail;
pub use self::time_mark::TimeMark;
use super::disk::watch::{StallWatch, Watched};
use super::disk::{Batch, Disk};
use super::error::StorageError;
use super::format::codec;
use super::format::keys;
use super::types::{LogId, StoredMembership};

/// Where the checkpoint lies, for messages.
const CHECKPOINT_PLACE: &str = "the checkpoint of the history";

/// How far the history goes, and which log position that is. Written whole, atomically, and durable before it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last log entry whose records are in.
    pub applied: Option<LogId>,
    /// The members of the cluster there.
    pub membership: StoredMembership,
    /// How many records there are: the number of the last one.
    pub records: u64,
    /// The chain over all of them; [`Digest::ZERO`] before the first.
    pub digest: Digest,
}

/// See the head of this file. Shared by reference; every method may be called from any thread.
#[derive(Debug)]
pub struct History {
    disk: Arc<dyn Disk>,
    /// The calls of `disk` under way.
    watch: Arc<StallWatch>,
    tail: Mutex<Tail>,
    cache: Mutex<PageCache>,
    checkpoint: Mutex<Checkpoint>,
    /// Held while pages or the checkpoint are written.
    writing: tokio::sync::Mutex<()>,
}

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
        let key = keys::checkpoint();
        let sealed = disk.get(&key)?;
        let sealed =
            sealed.ok_or_else(|| StorageError::Absent { what: "checkpoint", place: "the history".to_owned() })?;
        let checkpoint: Checkpoint = codec::unseal_value(&key, &sealed, CHECKPOINT_PLACE)?;
        check_reached(&*disk, &checkpoint)?;
        let tail = Tail::after(&*disk, checkpoint.records)?;
        let watch = Arc::new(StallWatch::default());
        Ok(Self {
            disk: Arc::new(Watched::new(disk, Arc::clone(&watch))),
            watch,
            tail: Mutex::new(tail),
            cache: Mutex::new(PageCache::default()),
            checkpoint: Mutex::new(checkpoint),
            writing: tokio::sync::Mutex::new(()),
        })
    }

    /// The last durable checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint_lock().clone()
    }

    /// How many records are durable. Cheaper than [`Self::checkpoint`].
    pub fn durable_records(&self) -> u64 {
        self.checkpoint_lock().records
    }

    /// Bytes that the records that are not durable yet will take on the disk, about: as many as charges do.
    pub fn unwritten_bytes(&self) -> u64 {
        self.records().saturating_sub(self.durable_records()) * page::RECORD_BYTES
    }

    /// The number of the last record pushed, durable or not; 0 before the first.
    pub fn records(&self) -> u64 {
        self.tail_lock().last()
    }

    /// Adds the next record; readers see it at once.
    ///
    /// # Panics
    /// Where its number does not follow the last one.
    pub fn push(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.tail_lock().push(Arc::clone(&record));
        record
    }

    /// A record by its number: from memory, or else from its page on the disk, which blocks.
    ///
    /// # Errors
    /// Where there is none of that number, or its page is damaged.
    pub fn record(&self, number: RecordNumber) -> Result<Arc<Record>, StorageError> {
        {
            let tail = self.tail_lock();
            if let Some(record) = tail.get(number) {
                return Ok(record);
            }
            if number == 0 || number > tail.last() {
                return Err(StorageError::NoRecord { number, last: tail.last() });
            }
        }
        let page = page_of(number);
        // A page that the tail does not hold is full.
        let place_in_page = ((number - 1) % PAGE_RECORDS) as usize;
        if let Some(records) = self.cache_lock().get(page) {
            return Ok(Arc::clone(&records[place_in_page]));
        }
        let records: Vec<Arc<Record>> =
            page::read(&*self.disk, page, page::last_of(page))?.into_iter().map(Arc::new).collect();
        let records: Arc<[Arc<Record>]> = records.into();
        let found = Arc::clone(&records[place_in_page]);
        self.cache_lock().put(page, records);
        Ok(found)
    }

    /// Reads the records of `numbers` from the disk in order, checking that none is damaged or missing. Blocks.
    ///
    /// # Errors
    /// At the first page that is damaged or does not hold them.
    pub fn replay(
        &self,
        numbers: RangeInclusive<RecordNumber>,
        mut with: impl FnMut(&Record),
    ) -> Result<(), StorageError> {
        let (first, last) = (*numbers.start().max(&1), *numbers.end());
        if first > last {
            return Ok(());
        }
        for page in page_of(first)..=page_of(last) {
            let records = page::read(&*self.disk, page, last.min(page::last_of(page)))?;
            records.iter().filter(|record| record.number >= first).for_each(&mut with);
        }
        Ok(())
    }

    /// Makes the history durable up to `to`, whose records must have been pushed. Blocks; pushing and reading continue.
    ///
    /// # Errors
    /// Where `to` goes back or beyond what was pushed, or the disk fails, which is final.
    pub async fn write(&self, to: Checkpoint) -> Result<(), StorageError> {
        let _writing = self.writing.lock().await;
        self.write_pages(&to).await?;
        write_checkpoint(&*self.disk, &to, Batch::default()).await?;
        self.tail_lock().trim(to.records);
        *self.checkpoint_lock() = to;
        Ok(())
    }

    /// Makes the pages up to `to` durable, from what was pushed.
    async fn write_pages(&self, to: &Checkpoint) -> Result<(), StorageError> {
        let before = self.checkpoint_lock().records;
        let pushed = self.records();
        if to.records < before || to.records > pushed {
            let reason = format!("{} records, but {before} are durable and {pushed} known", to.records);
            return Err(StorageError::OutOfOrder { doing: "write a checkpoint", reason });
        }
        if to.records > before {
            for page in page_of(before + 1)..=page_of(to.records) {
                let records = self.tail_lock().page(page, to.records);
                page::write(&*self.disk, page, &page::encode(&records)?)?;
            }
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

    fn cache_lock(&self) -> MutexGuard<'_, PageCache> {
        self.cache.lock().expect("nothing panics while it holds the page cache")
    }

    fn checkpoint_lock(&self) -> MutexGuard<'_, Checkpoint> {
        self.checkpoint.lock().expect("nothing panics while it holds the checkpoint")
    }
}

/// Writes the checkpoint, and what is in `batch` in the same instant.
async fn write_checkpoint(disk: &dyn Disk, checkpoint: &Checkpoint, mut batch: Batch) -> Result<(), StorageError> {
    let key = keys::checkpoint();
    let sealed = codec::seal_value(&key, checkpoint)?;
    batch.insert(key, sealed);
    disk.apply(batch)?;
    disk.sync().await?;
    disk.write_high_water(&codec::encode(&HistoryHighWater::of(checkpoint))?)
}

/// How far the history got: the high-water mark of its disk. What is found at a start may be more, never less.
#[derive(Debug, Serialize, Deserialize)]
struct HistoryHighWater {
    applied: Option<LogId>,
    records: u64,
}

impl HistoryHighWater {
    fn of(checkpoint: &Checkpoint) -> Self {
        Self { applied: checkpoint.applied, records: checkpoint.records }
    }
}

/// A database that takes damage for a torn end comes back with an older checkpoint.
fn check_reached(disk: &dyn Disk, checkpoint: &Checkpoint) -> Result<(), StorageError> {
    let Some(high_water) = disk.high_water()? else { return Ok(()) };
    let reached: HistoryHighWater =
        codec::decode(&high_water).map_err(|error| StorageError::damaged(CHECKPOINT_PLACE, error))?;
    if checkpoint.records >= reached.records && checkpoint.applied >= reached.applied {
        return Ok(());
    }
    let reason = format!("it holds {} records, but {} were durable", checkpoint.records, reached.records);
    Err(StorageError::damaged(CHECKPOINT_PLACE, reason))
}
