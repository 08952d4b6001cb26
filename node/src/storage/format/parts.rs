//! Large values in parts that a disk takes: numbered from 0, each sealed, all but the last one full.
//!
//! A value that only grows at its end keeps its full parts byte for byte, so that writing it again changes the last
//! part and adds others.

use super::codec::{self, SEAL_BYTES};
use super::{Kind, keys};
use crate::storage::disk::{Pair, VALUE_BYTES_MAX};
use crate::storage::error::StorageError;

/// Bytes of a value in one part.
pub(crate) const PART_BYTES: usize = VALUE_BYTES_MAX - SEAL_BYTES;

/// More parts than any value has; a bound for reading.
pub(crate) const PARTS_MAX: usize = codec::VALUE_LIMIT / PART_BYTES + 2;

/// The sealed parts of the bytes of a thing of this kind, under the keys that `key` gives for their numbers.
pub(crate) fn split(kind: Kind, bytes: &[u8], key: impl Fn(u16) -> Vec<u8>) -> Result<Vec<Pair>, StorageError> {
    if bytes.len() > codec::VALUE_LIMIT {
        let reason = format!("{} bytes, more than {}", bytes.len(), codec::VALUE_LIMIT);
        return Err(StorageError::Form { what: kind.name().to_owned(), reason });
    }
    let parts = bytes.chunks(PART_BYTES).zip(0_u16..);
    Ok(parts
        .map(|(chunk, part)| {
            let key = key(part);
            let sealed = codec::seal(kind, &key, chunk);
            (key, sealed)
        })
        .collect())
}

/// The bytes that were split; `place` names them where a part is damaged or missing in between.
pub(crate) fn join(kind: Kind, pairs: &[Pair], place: impl Fn() -> String) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::with_capacity(pairs.len() * PART_BYTES);
    for ((key, sealed), wanted) in pairs.iter().zip(0_u16..) {
        let found = keys::read_numbered(key).map(|(_, part)| part);
        if found != Some(wanted) {
            return Err(StorageError::damaged(place(), format!("part {wanted} is missing")));
        }
        let chunk = codec::unseal(kind, key, sealed, || format!("{}, part {wanted},", place()))?;
        bytes.extend_from_slice(chunk);
    }
    Ok(bytes)
}
