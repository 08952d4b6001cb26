//! Pages: a header, then the bytes of up to 64 records, each behind its length.
//!
//! The header, integers big-endian: version of a page (1), ledger id (16), number of the first record (8), its time in ms
//! (8), entries before it (8), records with an idempotency key before it (8), the chain over records before it (32), the
//! published chain before it (32).
//!
//! Invariant: the bytes of a page with more records begin with the bytes of the same page with fewer.

use ledger::{Digest, PAGE_RECORDS, PageMark, Record, RecordNumber, Time};
use uuid::Uuid;

use crate::codec;
use crate::error::PageError;
use crate::kind::Kind;

/// How many records a full page has, as a length.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
pub const PAGE_LEN: usize = PAGE_RECORDS as usize;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 1 + 16 + 4 * 8 + 2 * 32;

/// Bytes that a page of charges takes, about: what a buffer for one begins with.
const USUAL_BYTES: usize = 8 * 1024;

/// The number of the first record of `page`.
pub fn first_of(page: u64) -> RecordNumber {
    page * PAGE_RECORDS + 1
}

/// The number of the last record of `page`, once it is full.
pub fn last_of(page: u64) -> RecordNumber {
    (page + 1) * PAGE_RECORDS
}

/// How `page` is called in messages.
pub fn place(page: u64) -> String {
    format!("page {page} of the history (records {} to {})", first_of(page), last_of(page))
}

/// The bytes of a page that holds `records`, before which `mark` stands.
///
/// # Errors
/// Where a record is larger than [`codec::VALUE_LIMIT`].
pub fn encode(mark: &PageMark, records: &[impl AsRef<Record>]) -> Result<Vec<u8>, PageError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
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
///
/// # Errors
/// Where it is cut short, of another version or of another page.
pub fn decode_header(page: u64, bytes: &[u8]) -> Result<(PageMark, &[u8]), PageError> {
    let damaged = |reason: String| PageError::damaged(place(page), reason);
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
///
/// # Errors
/// Where one of them is missing or is not what was written.
pub fn decode(page: u64, bytes: &[u8], last: RecordNumber) -> Result<Page, PageError> {
    let (mark, mut rest) = decode_header(page, bytes)?;
    let mut records = Vec::with_capacity(PAGE_LEN);
    for number in first_of(page)..=last.min(last_of(page)) {
        let missing = || PageError::damaged(place(page), format!("record {number} is missing"));
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(missing)?;
        let (encoded, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(missing)?;
        let record: Record = codec::decode(Kind::Record, encoded)
            .map_err(|error| PageError::damaged(place(page), format!("record {number}: {error}")))?;
        if record.number != number {
            let reason = format!("record {} lies where record {number} belongs", record.number);
            return Err(PageError::damaged(place(page), reason));
        }
        records.push(record);
        rest = after;
    }
    if records.first().is_some_and(|first| first.time != mark.time) {
        return Err(PageError::damaged(place(page), "its header has another time than its first record"));
    }
    Ok(Page { mark, records, length: bytes.len() - rest.len() })
}

/// The record `number` of `page`, without those beside it.
///
/// # Errors
/// Where it is missing or is not what was written.
pub fn record(page: u64, bytes: &[u8], number: RecordNumber) -> Result<Record, PageError> {
    let missing = || PageError::damaged(place(page), format!("record {number} is missing"));
    let (_, mut rest) = decode_header(page, bytes)?;
    let mut encoded: &[u8] = &[];
    for _ in first_of(page)..=number {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(missing)?;
        (encoded, rest) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(missing)?;
    }
    let record: Record = codec::decode(Kind::Record, encoded)
        .map_err(|error| PageError::damaged(place(page), format!("record {number}: {error}")))?;
    if record.number == number {
        return Ok(record);
    }
    let reason = format!("record {} lies where record {number} belongs", record.number);
    Err(PageError::damaged(place(page), reason))
}
