//! Blocks: up to 256 record numbers of one list under one key, which names the first; each is the difference to the one before.
//!
//! Invariant: all blocks of a list but the last are full, so their bytes follow from the records alone, whenever they were
//! written. A block that grows keeps its key and the bytes that it had.

use ledger::RecordNumber;

use super::list::List;
use crate::storage::disk::{Disk, Pair};
use crate::storage::error::StorageError;
use crate::storage::format::{Kind, codec};

/// Numbers in a full block. Source: 256 differences of three bytes are a tenth of what a value may have.
pub(crate) const NUMBERS: usize = 256;

/// The body of a block: the differences from the second number on, seven bits a byte, the lowest first.
fn encode(numbers: &[RecordNumber]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(3 * numbers.len());
    for (before, number) in numbers.iter().zip(numbers.iter().skip(1)) {
        let mut rest = number - before;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
    }
    bytes
}

/// The numbers of a block that begins with `first`; `None` where the body is none.
fn decode(first: RecordNumber, body: &[u8]) -> Option<Vec<RecordNumber>> {
    let mut numbers = Vec::with_capacity(NUMBERS);
    numbers.push(first);
    let (mut number, mut difference, mut shift) = (first, 0_u64, 0);
    for byte in body {
        difference |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            number = number.checked_add(difference).filter(|next| *next > number)?;
            numbers.push(number);
            (difference, shift) = (0, 0);
        }
    }
    Some(numbers).filter(|numbers| shift == 0 && numbers.len() <= NUMBERS)
}

/// Writes a block, over the one with the same first number.
pub(crate) fn write(disk: &dyn Disk, list: List, numbers: &[RecordNumber]) -> Result<(), StorageError> {
    let Some(first) = numbers.first() else { return Ok(()) };
    let key = list.key(*first);
    let sealed = codec::seal(Kind::List, &key, &encode(numbers));
    disk.insert(&key, sealed)
}

fn read(list: List, (key, sealed): &Pair) -> Result<Vec<RecordNumber>, StorageError> {
    let body = codec::unseal(Kind::List, key, sealed, || list.place())?;
    let first = key.last_chunk::<8>().map(|first| RecordNumber::from_be_bytes(*first));
    let numbers = first.and_then(|first| decode(first, body));
    numbers.ok_or_else(|| StorageError::damaged(list.place(), "a block does not hold what its key says"))
}

/// The block that begins last of those that begin up to the record `until`; empty where there is none.
fn last(disk: &dyn Disk, list: List, until: RecordNumber) -> Result<Vec<RecordNumber>, StorageError> {
    let found = disk.last(&list.key(0), &list.key(until.saturating_add(1)))?;
    found.map_or_else(|| Ok(Vec::new()), |pair| read(list, &pair))
}

/// The last block where records up to `known` count, without what lies beyond.
pub(crate) fn open(disk: &dyn Disk, list: List, known: RecordNumber) -> Result<Vec<RecordNumber>, StorageError> {
    let mut numbers = last(disk, list, known)?;
    numbers.retain(|number| *number <= known);
    Ok(numbers)
}

/// The numbers of a list from `from` to `known`, in order, at most `most` of them.
pub(crate) fn numbers(
    disk: &dyn Disk,
    list: List,
    from: RecordNumber,
    known: RecordNumber,
    most: usize,
) -> Result<Vec<RecordNumber>, StorageError> {
    // Where `from` lies within a block, that one begins before it.
    let mut found = last(disk, list, from)?;
    found.retain(|number| *number >= from);
    if found.len() < most {
        let blocks = (most - found.len()).div_ceil(NUMBERS);
        for pair in disk.range(&list.key(from.saturating_add(1)), &list.key(known.saturating_add(1)), blocks)? {
            found.extend(read(list, &pair)?);
        }
    }
    found.retain(|number| *number <= known);
    found.truncate(most);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_these_bytes_and_comes_back() {
        let numbers = vec![100, 101, 228, 228 + 16_384, u64::MAX];
        let bytes = encode(&numbers);
        assert_eq!(bytes[..5], [1, 127, 128, 128, 1]);
        assert_eq!(decode(100, &bytes), Some(numbers));
        assert_eq!(decode(7, &[]), Some(vec![7]));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let whole: Vec<RecordNumber> = (0..256).map(|number| 7 + 1_000 * number).collect();
        let bytes = encode(&whole);
        assert_eq!(decode(7, &bytes), Some(whole));
        assert_eq!(decode(7, &bytes[..bytes.len() - 1]), None, "cut within a number");
        assert_eq!(decode(7, &[bytes.as_slice(), &[1]].concat()), None, "one too many");
        for wrong in [&[0][..], &[0x80], &[0x80; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(decode(7, wrong), None, "{wrong:?}");
        }
    }
}
