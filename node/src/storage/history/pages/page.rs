//! Pages on the disk, in parts. A page's header lies in its first part whole, so that it is read without the rest.

#[cfg(test)]
pub(crate) use ::pages::page::HEADER_BYTES;
use ::pages::page::decode_header;
pub(crate) use ::pages::page::{PAGE_LEN, Page, decode, encode, first_of, last_of, place, record};
use ledger::{PageMark, RecordNumber};

use crate::storage::disk::Disk;
use crate::storage::error::StorageError;
use crate::storage::format::keys;
use crate::storage::format::parts::{self, PARTS_MAX};
use crate::storage::format::{Kind, codec};

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
    Ok(decode(page, &read_bytes(disk, page)?, last)?)
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
    Ok(decode_header(page, part).map(|(mark, _)| mark)?)
}
