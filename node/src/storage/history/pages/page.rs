//! Pages: a header, then the bytes of up to 64 records, each behind its length; in parts on the disk.
//!
//! The header, integers big-endian: version of a page (1), ledger id (16), number of the first record (8), its time in ms
//! (8), entries before it (8), records with an idempotency key before it (8), the chain over records before it (32), the
//! published chain before it (32). It lies in the page's first part whole, so that it is read without the rest.
//!
//! Invariant: the bytes of a page with more records begin with the bytes of the same page with fewer.

use ledger::{Digest, PAGE_RECORDS, PageMark, Record, RecordNumber, Time};
use uuid::Uuid;

use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::parts::{self, PART_BYTES, PARTS_MAX};
use crate::storage::format::{Kind, codec};

/// How many records a full page has, as a length.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
pub(crate) const PAGE_LEN: usize = PAGE_RECORDS as usize;

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 1 + 16 + 4 * 8 + 2 * 32;

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
pub(crate) fn encode(mark: &PageMark, records: &[impl AsRef<Record>]) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::with_capacity(PART_BYTES);
    encode_header(mark, &mut bytes);
    for record in records {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        codec::encode_into(Kind::Record, record.as_ref(), &mut bytes)?;
        let length = u32::try_from(bytes.len() - start - 4).expect("the codec refuses more than 16 MiB");
        bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(bytes)
}

fn encode_header(mark: &PageMark, bytes: &mut Vec<u8>) {
    bytes.push(Kind::Page.version());
    bytes.extend_from_slice(mark.ledger.as_bytes());
    for number in [mark.first, mark.time.0, mark.entries, mark.keyed] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&mark.record_digest.0);
    bytes.extend_from_slice(&mark.entry_digest.0);
}

/// What the header of `page` says, and the bytes after it.
fn decode_header(page: u64, bytes: &[u8]) -> Result<(PageMark, &[u8]), StorageError> {
    let damaged = |reason: String| StorageError::damaged(place(page), reason);
    let cut = || damaged("its header is cut short".to_owned());
    let (mut rest, records) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
    let [version] = take(&mut rest).ok_or_else(cut)?;
    if version != Kind::Page.version() {
        return Err(damaged(format!("version {version} is not known to this build")));
    }
    let mark = PageMark {
        ledger: Uuid::from_bytes(take(&mut rest).ok_or_else(cut)?),
        first: take(&mut rest).map(u64::from_be_bytes).ok_or_else(cut)?,
        time: take(&mut rest).map(u64::from_be_bytes).map(Time).ok_or_else(cut)?,
        entries: take(&mut rest).map(u64::from_be_bytes).ok_or_else(cut)?,
        keyed: take(&mut rest).map(u64::from_be_bytes).ok_or_else(cut)?,
        record_digest: take(&mut rest).map(Digest).ok_or_else(cut)?,
        entry_digest: take(&mut rest).map(Digest).ok_or_else(cut)?,
    };
    if mark.first != first_of(page) {
        return Err(damaged(format!("its header is that of the page that begins with record {}", mark.first)));
    }
    Ok((mark, records))
}

/// The next bytes, as many as the array has.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// A page, decoded.
#[derive(Debug)]
pub struct Page {
    /// What its header says.
    pub mark: PageMark,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// Bytes that header and records take.
    pub length: usize,
}

/// The header and the records of `page` up to number `last`. What comes after is not looked at.
pub(crate) fn decode(page: u64, bytes: &[u8], last: RecordNumber) -> Result<Page, StorageError> {
    let (mark, mut rest) = decode_header(page, bytes)?;
    let mut records = Vec::with_capacity(PAGE_LEN);
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
    if records.first().is_some_and(|first| first.time != mark.time) {
        return Err(StorageError::damaged(place(page), "its header has another time than its first record"));
    }
    Ok(Page { mark, records, length: bytes.len() - rest.len() })
}

/// The record `number` of `page`, without those beside it.
pub(crate) fn record(page: u64, bytes: &[u8], number: RecordNumber) -> Result<Record, StorageError> {
    let missing = || StorageError::damaged(place(page), format!("record {number} is missing"));
    let (_, mut rest) = decode_header(page, bytes)?;
    let mut encoded: &[u8] = &[];
    for _ in first_of(page)..=number {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(missing)?;
        (encoded, rest) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(missing)?;
    }
    let record: Record = codec::decode(Kind::Record, encoded)
        .map_err(|error| StorageError::damaged(place(page), format!("record {number}: {error}")))?;
    if record.number == number {
        return Ok(record);
    }
    let reason = format!("record {} lies where record {number} belongs", record.number);
    Err(StorageError::damaged(place(page), reason))
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

/// `page`, with its records up to number `last`.
pub(crate) fn read(disk: &dyn Disk, page: u64, last: RecordNumber) -> Result<Page, StorageError> {
    decode(page, &read_bytes(disk, page)?, last)
}

/// All bytes there are of `page`; more than a checkpoint covers, perhaps.
pub(crate) fn read_bytes(disk: &dyn Disk, page: u64) -> Result<Vec<u8>, StorageError> {
    let pairs = disk.range(&keys::page(page, 0), &keys::page(page, u16::MAX), PARTS_MAX)?;
    parts::join(Kind::Page, &pairs, || place(page))
}

/// What the header of `page` says, from its first part alone.
pub(crate) fn read_mark(disk: &dyn Disk, page: u64) -> Result<PageMark, StorageError> {
    let key = keys::page(page, 0);
    let sealed = disk.get(&key)?.ok_or_else(|| StorageError::damaged(place(page), "part 0 is missing"))?;
    let part = codec::unseal(Kind::Page, &key, &sealed, || format!("{}, part 0,", place(page)))?;
    decode_header(page, part).map(|(mark, _)| mark)
}
