//! Bytes of values: the version of their kind, then bincode; and a seal around what lies on the disk. The one file that
//! names bincode.
//!
//! Encoding is deterministic, so equal values have equal bytes on every node. Decoding is bounded and takes nothing that
//! is left over. Every version that was released stays readable; golden bytes in the tests hold them in place.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::SizeWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::PageError;
use crate::kind::Kind;

/// Most bytes that one value may decode from: a group of 8,192 commands takes less than 2 MiB.
pub const VALUE_LIMIT: usize = 16 * 1024 * 1024;

/// The seal's checksum, in bytes. BLAKE3 cut to 64 bits rather than a CRC: it is at hand, misses one damage in 2^64
/// whatever its shape, and hashes more than a gigabyte a second.
const CHECKSUM_BYTES: usize = 8;

/// What a seal adds to a value, in bytes.
pub const SEAL_BYTES: usize = 1 + CHECKSUM_BYTES;

type Form = Configuration<LittleEndian, Varint, Limit<VALUE_LIMIT>>;

const fn form() -> Form {
    config::standard().with_limit::<VALUE_LIMIT>()
}

/// The bytes of `value`, behind the version of its kind.
///
/// # Errors
/// Where it is larger than [`VALUE_LIMIT`].
pub fn encode<T: Serialize>(kind: Kind, value: &T) -> Result<Vec<u8>, PageError> {
    encode_in(kind, kind.version(), value)
}

/// What [`encode`] gives, in another version of the kind: a caller that still writes an older one has a type for it.
///
/// # Errors
/// Where it is larger than [`VALUE_LIMIT`].
pub fn encode_in<T: Serialize>(kind: Kind, version: u8, value: &T) -> Result<Vec<u8>, PageError> {
    let mut bytes = Vec::with_capacity(1 + length(kind, value)?);
    bytes.push(version);
    append(kind, value, &mut bytes)?;
    Ok(bytes)
}

/// How many bytes `value` takes. Counting them first is cheaper than a buffer that grows: that copies what it holds, and takes
/// fresh memory each time.
fn length<T: Serialize>(kind: Kind, value: &T) -> Result<usize, PageError> {
    let mut counted = SizeWriter::default();
    bincode::serde::encode_into_writer(value, &mut counted, form()).map_err(|error| misformed(kind, error))?;
    Ok(counted.bytes_written)
}

/// Appends what [`encode`] gives to `bytes`, so that one buffer serves for many values.
///
/// # Errors
/// Where it is larger than [`VALUE_LIMIT`].
pub fn encode_into<T: Serialize>(kind: Kind, value: &T, bytes: &mut Vec<u8>) -> Result<(), PageError> {
    bytes.push(kind.version());
    append(kind, value, bytes)
}

/// Appends the bytes of `value` without a version.
pub(crate) fn append<T: Serialize>(kind: Kind, value: &T, bytes: &mut Vec<u8>) -> Result<(), PageError> {
    let written =
        bincode::serde::encode_into_std_write(value, bytes, form()).map_err(|error| misformed(kind, error))?;
    if written > VALUE_LIMIT {
        return Err(misformed(kind, format!("{written} bytes, more than {VALUE_LIMIT}")));
    }
    Ok(())
}

/// The value that [`encode`] gave these bytes for.
///
/// # Errors
/// Where the version is unknown, the bytes are not such a value, or some are left over.
pub fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, PageError> {
    let Some((version, rest)) = bytes.split_first() else {
        return Err(misformed(kind, "it is empty"));
    };
    check_version(kind, *version).map_err(|reason| misformed(kind, reason))?;
    decode_bare(kind, rest)
}

/// The value that [`encode_in`] gave these bytes for, in that version.
///
/// # Errors
/// See [`decode`].
pub fn decode_in<T: DeserializeOwned>(kind: Kind, version: u8, bytes: &[u8]) -> Result<T, PageError> {
    match bytes.split_first() {
        Some((found, rest)) if *found == version => decode_bare(kind, rest),
        Some((found, _)) => Err(misformed(kind, format!("version {found} is not {version}"))),
        None => Err(misformed(kind, "it is empty")),
    }
}

/// The value in bytes without a version.
pub(crate) fn decode_bare<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, PageError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, form()).map_err(|error| misformed(kind, error))?;
    if used != bytes.len() {
        return Err(misformed(kind, format!("{} bytes are left over", bytes.len() - used)));
    }
    Ok(value)
}

fn check_version(kind: Kind, version: u8) -> Result<(), String> {
    if version == kind.version() { Ok(()) } else { Err(format!("version {version} is not known to this build")) }
}

/// `body` behind the version of its kind and a checksum over that, `key` and itself, so that a value is also refused in
/// another one's place.
pub fn seal(kind: Kind, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_BYTES + body.len());
    sealed.push(kind.version());
    sealed.extend_from_slice(&checksum(kind.version(), key, body));
    sealed.extend_from_slice(body);
    sealed
}

/// The body that was sealed under `key`; `place` names it where it is damaged.
///
/// # Errors
/// Where the version is unknown, or a byte differs from what was sealed.
pub fn unseal<'a>(kind: Kind, key: &[u8], sealed: &'a [u8], place: impl Fn() -> String) -> Result<&'a [u8], PageError> {
    let Some((version, rest)) = sealed.split_first() else {
        return Err(PageError::damaged(place(), "its value is empty"));
    };
    check_version(kind, *version).map_err(|reason| PageError::damaged(place(), reason))?;
    let Some((written, body)) = rest.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err(PageError::damaged(place(), "its value is cut short"));
    };
    if *written != checksum(*version, key, body) {
        return Err(PageError::damaged(place(), "its checksum does not match"));
    }
    Ok(body)
}

/// The sealed bytes of `value`: one version, which is also that of the value.
///
/// # Errors
/// Where it is larger than [`VALUE_LIMIT`].
pub fn seal_value<T: Serialize>(kind: Kind, key: &[u8], value: &T) -> Result<Vec<u8>, PageError> {
    let mut body = Vec::new();
    append(kind, value, &mut body)?;
    Ok(seal(kind, key, &body))
}

/// The value that was sealed under `key`.
///
/// # Errors
/// See [`unseal`] and [`decode`].
pub fn unseal_value<T: DeserializeOwned>(kind: Kind, key: &[u8], sealed: &[u8], place: &str) -> Result<T, PageError> {
    let body = unseal(kind, key, sealed, || place.to_owned())?;
    decode_bare(kind, body).map_err(|error| PageError::damaged(place, error))
}

#[expect(clippy::cast_possible_truncation, reason = "the layout has one byte for the length of a key; none is longer")]
fn checksum(version: u8, key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[version, key.len() as u8]);
    hasher.update(key);
    hasher.update(body);
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    short
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
fn misformed(kind: Kind, reason: impl ToString) -> PageError {
    PageError::Form { what: kind.name().to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_come_back() {
        let bytes = encode(Kind::Page, &(7_u64, "credit")).unwrap();
        assert_eq!(bytes, [2, 7, 6, b'c', b'r', b'e', b'd', b'i', b't']);
        assert_eq!(decode::<(u64, String)>(Kind::Page, &bytes).unwrap(), (7, "credit".to_owned()));
    }

    #[test]
    fn left_over_bytes_are_refused() {
        let mut bytes = encode(Kind::Page, &7_u64).unwrap();
        bytes.push(0);
        assert!(decode::<u64>(Kind::Page, &bytes).unwrap_err().to_string().contains("left over"));
    }

    #[test]
    fn an_unknown_version_is_refused() {
        assert!(decode::<u64>(Kind::Page, &[9, 7]).unwrap_err().to_string().contains("version 9"));
    }

    #[test]
    fn a_length_that_lies_is_refused_before_memory_is_taken() {
        let mut lie = vec![Kind::Page.version(), 253];
        lie.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<Vec<u8>>(Kind::Page, &lie).is_err());
    }

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let sealed = seal(Kind::Page, b"key", b"the body of a value");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = unseal(Kind::Page, b"key", &flipped, || "entry 3".to_owned()).unwrap_err();
            assert!(error.to_string().starts_with("entry 3 is damaged"), "{error}");
        }
        assert_eq!(unseal(Kind::Page, b"key", &sealed, String::new).unwrap(), b"the body of a value");
        assert!(unseal(Kind::Page, b"kez", &sealed, String::new).is_err(), "a value in another one's place");
    }
}
