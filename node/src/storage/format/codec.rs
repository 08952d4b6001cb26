//! Bytes of values: a version byte, then bincode; and a seal around what lies on the disk. The one file that names bincode.
//!
//! Encoding is deterministic, so equal values have equal bytes on every node. Decoding is bounded and takes nothing that
//! is left over. Version 1 stays readable; golden bytes in the tests hold it in place.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::error::StorageError;

/// Most bytes that one value may decode from: a group of 8,192 commands takes less than 2 MiB.
pub const VALUE_LIMIT: usize = 16 * 1024 * 1024;

/// The form that this build writes.
const VERSION: u8 = 1;

/// The seal's checksum, in bytes. BLAKE3 cut to 64 bits rather than a CRC: it is at hand, misses one damage in 2^64
/// whatever its shape, and hashes more than a gigabyte a second.
const CHECKSUM_BYTES: usize = 8;

/// What a seal adds to a value, in bytes.
pub const SEAL_BYTES: usize = 1 + CHECKSUM_BYTES;

type Form = Configuration<LittleEndian, Varint, Limit<VALUE_LIMIT>>;

const fn form() -> Form {
    config::standard().with_limit::<VALUE_LIMIT>()
}

/// The bytes of `value`.
///
/// # Errors
/// Where it is larger than [`VALUE_LIMIT`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StorageError> {
    let mut bytes = vec![VERSION];
    encode_after_version(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends the bytes of `value` to `bytes`, without a version: for values inside one that has it.
fn encode_after_version<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), StorageError> {
    let written = bincode::serde::encode_into_std_write(value, bytes, form())
        .map_err(|error| misformed(std::any::type_name::<T>(), error))?;
    if written > VALUE_LIMIT {
        return Err(misformed(std::any::type_name::<T>(), format!("{written} bytes, more than {VALUE_LIMIT}")));
    }
    Ok(())
}

/// The value that [`encode`] gave these bytes for.
///
/// # Errors
/// Where the version is unknown, the bytes are not such a value, or some are left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    let what = std::any::type_name::<T>();
    let Some((version, rest)) = bytes.split_first() else {
        return Err(misformed(what, "it is empty"));
    };
    if *version != VERSION {
        return Err(misformed(what, format!("version {version} is not known to this build")));
    }
    let (value, used) = bincode::serde::decode_from_slice(rest, form()).map_err(|error| misformed(what, error))?;
    if used != rest.len() {
        return Err(misformed(what, format!("{} bytes are left over", rest.len() - used)));
    }
    Ok(value)
}

/// `body` with a checksum over it and over `key`, so that a value is also refused in another one's place.
pub fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_BYTES + body.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&checksum(key, body));
    sealed.extend_from_slice(body);
    sealed
}

/// The body that was sealed under `key`; `place` names it where it is damaged.
pub fn unseal<'a>(key: &[u8], sealed: &'a [u8], place: impl FnOnce() -> String) -> Result<&'a [u8], StorageError> {
    let Some((version, rest)) = sealed.split_first() else {
        return Err(StorageError::damaged(place(), "its value is empty"));
    };
    if *version != VERSION {
        return Err(StorageError::damaged(place(), format!("version {version} is not known to this build")));
    }
    let Some((written, body)) = rest.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err(StorageError::damaged(place(), "its value is cut short"));
    };
    if *written != checksum(key, body) {
        return Err(StorageError::damaged(place(), "its checksum does not match"));
    }
    Ok(body)
}

/// The sealed bytes of `value`.
pub fn seal_value<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, StorageError> {
    Ok(seal(key, &encode(value)?))
}

/// The value that was sealed under `key`.
pub fn unseal_value<T: DeserializeOwned>(key: &[u8], sealed: &[u8], place: &str) -> Result<T, StorageError> {
    let body = unseal(key, sealed, || place.to_owned())?;
    decode(body).map_err(|error| StorageError::damaged(place, error))
}

#[expect(clippy::cast_possible_truncation, reason = "the layout has one byte for the length of a key; none is longer")]
fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[key.len() as u8]);
    hasher.update(key);
    hasher.update(body);
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    short
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
fn misformed(what: impl ToString, reason: impl ToString) -> StorageError {
    StorageError::Form { what: what.to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_come_back() {
        let bytes = encode(&(7_u64, "credit")).unwrap();
        assert_eq!(bytes, [1, 7, 6, b'c', b'r', b'e', b'd', b'i', b't']);
        assert_eq!(decode::<(u64, String)>(&bytes).unwrap(), (7, "credit".to_owned()));
    }

    #[test]
    fn left_over_bytes_are_refused() {
        let mut bytes = encode(&7_u64).unwrap();
        bytes.push(0);
        assert!(decode::<u64>(&bytes).unwrap_err().to_string().contains("left over"));
    }

    #[test]
    fn an_unknown_version_is_refused() {
        assert!(decode::<u64>(&[9, 7]).unwrap_err().to_string().contains("version 9"));
    }

    #[test]
    fn a_length_that_lies_is_refused_before_memory_is_taken() {
        let mut lie = vec![VERSION, 253];
        lie.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<Vec<u8>>(&lie).is_err());
    }

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let sealed = seal(b"key", b"the body of a value");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = unseal(b"key", &flipped, || "entry 3".to_owned()).unwrap_err();
            assert!(error.to_string().starts_with("entry 3 is damaged"), "{error}");
        }
        assert_eq!(unseal(b"key", &sealed, String::new).unwrap(), b"the body of a value");
        assert!(unseal(b"kez", &sealed, String::new).is_err(), "a value in another one's place");
    }
}
