//! The bytes of frames. A frame's body begins with a byte for its kind: 0 the head, then its value; 1 a page, then its number
//! (8) and its bytes; 2 the end, then how many pages (8) and bytes of pages (8) there were, and the chain over all records
//! (32). Numbers are big-endian.

use ledger::Digest;

use super::error::BackupError;
use super::head::{HEAD_PLACE, Head};
use crate::codec::{self, SEAL_BYTES, VALUE_LIMIT};
use crate::error::PageError;
use crate::kind::Kind;

/// What a backup begins with.
pub const MAGIC: [u8; 8] = *b"etbbckup";
/// The version of the file that this build writes, and the one that it reads.
pub const VERSION: u32 = 1;
/// Most bytes of a frame behind its length. Source: a page is below [`VALUE_LIMIT`] on every disk.
pub const FRAME_BYTES_MAX: usize = SEAL_BYTES + 1 + 8 + VALUE_LIMIT;

/// How the end is called in messages.
pub(super) const END_PLACE: &str = "the end";

const HEAD_KEY: &[u8] = b"head";
const END_KEY: &[u8] = b"end";

const HEAD: u8 = 0;
const PAGE: u8 = 1;
const END: u8 = 2;

/// How much there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Pages in the file.
    pub(super) pages: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// The chain over all records.
    pub(super) digest: Digest,
}

pub(super) fn seal_head(head: &Head) -> Result<Vec<u8>, PageError> {
    let mut body = vec![HEAD];
    codec::append(Kind::Backup, head, &mut body)?;
    Ok(codec::seal(Kind::Backup, HEAD_KEY, &body))
}

pub(super) fn seal_page(number: u64, bytes: &[u8]) -> Vec<u8> {
    let number = number.to_be_bytes();
    let body = [[PAGE].as_slice(), &number, bytes].concat();
    codec::seal(Kind::Backup, &number, &body)
}

pub(super) fn seal_end(end: &End) -> Vec<u8> {
    let (pages, bytes) = (end.pages.to_be_bytes(), end.bytes.to_be_bytes());
    codec::seal(Kind::Backup, END_KEY, &[[END].as_slice(), &pages, &bytes, &end.digest.0].concat())
}

pub(super) fn unseal_head(sealed: &[u8]) -> Result<Head, BackupError> {
    let value = unseal(HEAD, HEAD_KEY, sealed, || HEAD_PLACE.to_owned())?;
    codec::decode_bare(Kind::Backup, value).map_err(|error| BackupError::altered(HEAD_PLACE, error))
}

/// The bytes of page `number`.
pub(super) fn unseal_page(number: u64, sealed: &[u8]) -> Result<&[u8], BackupError> {
    let key = number.to_be_bytes();
    let place = || page_place(number);
    let body = unseal(PAGE, &key, sealed, place)?;
    match body.split_first_chunk::<8>() {
        Some((found, bytes)) if *found == key => Ok(bytes),
        Some(_) | None => Err(BackupError::altered(place(), "it has another number")),
    }
}

pub(super) fn unseal_end(sealed: &[u8]) -> Result<End, BackupError> {
    let body = unseal(END, END_KEY, sealed, || END_PLACE.to_owned())?;
    let parts = body.split_first_chunk::<8>().and_then(|(pages, rest)| {
        let (bytes, digest) = rest.split_first_chunk::<8>()?;
        Some((*pages, *bytes, <[u8; 32]>::try_from(digest).ok()?))
    });
    let (pages, bytes, digest) = parts.ok_or_else(|| BackupError::altered(END_PLACE, "it has another length"))?;
    Ok(End { pages: u64::from_be_bytes(pages), bytes: u64::from_be_bytes(bytes), digest: Digest(digest) })
}

/// How the frame of a page is called in messages.
pub(super) fn page_place(number: u64) -> String {
    format!("the frame of page {number}")
}

fn unseal<'a>(kind: u8, key: &[u8], sealed: &'a [u8], place: impl Fn() -> String) -> Result<&'a [u8], BackupError> {
    match codec::unseal(Kind::Backup, key, sealed, &place)?.split_first() {
        Some((found, value)) if *found == kind => Ok(value),
        Some((found, _)) => Err(BackupError::altered(place(), format!("a frame of kind {found} is there"))),
        None => Err(BackupError::altered(place(), "it is empty")),
    }
}
