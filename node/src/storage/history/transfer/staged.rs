//! How far pages of a transfer go that are not installed yet, in memory and on the disk.
//!
//! Invariant: all pages from that of the checkpoint's last record to [`Staged::upto`] are on the disk, full, as a leader gave
//! them. They count for nothing until a checkpoint covers them. The mark on the disk never names a page that a power cut may
//! take: the pages are synced first.

use ledger::{PAGE_RECORDS, RecordNumber};

use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::{Kind, codec};

/// Where the mark lies, for messages.
const PLACE: &str = "the mark of pages that were received";

/// See the head of this file.
#[derive(Debug, Default)]
pub(in crate::storage::history) struct Staged {
    /// The last record of these pages, which ends a page; 0 for none.
    pub(in crate::storage::history) upto: RecordNumber,
    /// What the mark on the disk says.
    pub(in crate::storage::history) marked: RecordNumber,
    /// What it says after a power cut, at least.
    pub(in crate::storage::history) kept: RecordNumber,
}

impl Staged {
    /// What is beyond the `durable` records of a disk.
    pub(in crate::storage::history) fn on(disk: &dyn Disk, durable: u64) -> Result<Self, StorageError> {
        let key = keys::staged();
        let Some(sealed) = disk.get(&key)? else { return Ok(Self::default()) };
        let upto: RecordNumber = codec::unseal_value(Kind::Staged, &key, &sealed, PLACE)?;
        if !upto.is_multiple_of(PAGE_RECORDS) {
            return Err(StorageError::damaged(PLACE, format!("record {upto} ends no page")));
        }
        if upto <= durable {
            return Ok(Self::default());
        }
        Ok(Self { upto, marked: upto, kept: upto })
    }
}

/// Writes the mark; it survives a power cut from the next sync on.
pub(in crate::storage::history) fn write_mark(disk: &dyn Disk, upto: RecordNumber) -> Result<(), StorageError> {
    let key = keys::staged();
    let sealed = codec::seal_value(Kind::Staged, &key, &upto)?;
    disk.insert(&key, sealed)
}
