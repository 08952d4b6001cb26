//! Pages: the bytes of up to 64 records, each behind its length, in parts on the disk.
//!
//! Invariant: the bytes of a page with more records begin with the bytes of the same page with fewer.

use ledger::{PAGE_RECORDS, Record, RecordNumber};

use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::parts::{self, PARTS_MAX};
use crate::storage::format::{Kind, codec};

/// How many records a full page has, as a length.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
pub(crate) const PAGE_LEN: usize = PAGE_RECORDS as usize;

/// The number of the first record of `page`.
pub(crate) fn first_of(page: u64) -> RecordNumber {
    page * PAGE_RECORDS + 1
}

/// The number of the last record of `page`, once it is full.
pub(crate) fn last_of(page: u64) -> RecordNumber {
    (page + 1) * PAGE_RECORDS
}

/// How `page` is called in messages.
pub(crate) fn place(page: u64) -> String {
    format!("page {page} of the history (records {} to {})", first_of(page), last_of(page))
}

/// The bytes of a page that holds `records`.
pub(crate) fn encode(records: &[impl AsRef<Record>]) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    for record in records {
        let encoded = codec::encode(Kind::Record, record.as_ref())?;
        let length = u32::try_from(encoded.len()).expect("the codec refuses more than 16 MiB");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    Ok(bytes)
}

/// The records of `page` up to number `last`, and the bytes that they take of `bytes`. What comes after is not looked at.
pub(crate) fn decode(page: u64, bytes: &[u8], last: RecordNumber) -> Result<(Vec<Record>, usize), StorageError> {
    let mut records = Vec::with_capacity(PAGE_LEN);
    let mut rest = bytes;
    for number in first_of(page)..=last.min(last_of(page)) {
        let missing = || StorageError::damaged(place(page), format!("record {number} is missing"));
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(missing)?;
        let (encoded, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(missing)?;
        let record: Record = codec::decode(Kind::Record, encoded)
            .map_err(|error| StorageError::damaged(place(page), format!("record {number}: {error}")))?;
        if record.number != number {
            let reason = format!("record {} lies where record {number} belongs", record.number);
            return Err(StorageError::damaged(place(page), reason));
        }
        records.push(record);
        rest = after;
    }
    Ok((records, bytes.len() - rest.len()))
}

/// Bytes that the record of a charge takes on the disk, about. Source: 12.4 million charges, all of the database counted.
pub(crate) const RECORD_BYTES: u64 = 141;

/// Writes the bytes of `page`, part by part. Nothing counts until a checkpoint covers it.
pub(crate) fn write(disk: &dyn Disk, page: u64, bytes: &[u8]) -> Result<(), StorageError> {
    for (key, sealed) in parts::split(Kind::Page, bytes, |part| keys::page(page, part))? {
        disk.insert(&key, sealed)?;
    }
    Ok(())
}

/// The records of `page` up to number `last`.
pub(crate) fn read(disk: &dyn Disk, page: u64, last: RecordNumber) -> Result<Vec<Record>, StorageError> {
    decode(page, &read_bytes(disk, page)?, last).map(|(records, _)| records)
}

/// All bytes there are of `page`; more than a checkpoint covers, perhaps.
pub(crate) fn read_bytes(disk: &dyn Disk, page: u64) -> Result<Vec<u8>, StorageError> {
    let pairs = disk.range(&keys::page(page, 0), &keys::page(page, u16::MAX), PARTS_MAX)?;
    parts::join(Kind::Page, &pairs, || place(page))
}
