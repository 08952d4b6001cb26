//! What is read as a backup: a file from anywhere, before its ledger is verified or restored.

use pages::backup::{Chain, MAGIC, Reader, VERSION};

use crate::storage::format::{Kind, codec};

/// A file as it comes, or frames that are sealed rightly, whatever is in them. Reading says what is wrong and ends; nothing
/// panics, and what ends without an error has the records that its head names.
pub(crate) fn backup_file(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let file = if form % 2 == 0 { rest.to_vec() } else { sealed(rest) };
    let Ok((head, mut reader)) = Reader::open(file.as_slice()) else { return };
    let mut last = None;
    for page in reader.by_ref() {
        let Ok(decoded) = page.and_then(|page| head.decode(&page)) else { return };
        last = decoded.records.last().map(|record| record.number);
    }
    assert_eq!(reader.offset(), file.len() as u64, "a backup that ends well was read to its end");
    assert!(last.is_none_or(|last| last == head.records), "it is whole");
    let inputs = || [("one".to_owned(), file.as_slice()), ("other".to_owned(), file.as_slice())];
    if let Ok(chain) = Chain::open(inputs()) {
        let pages = chain.decoded().take_while(Result::is_ok).count() as u64;
        assert!(pages <= head.records, "no page comes twice");
    }
}

/// A file of the frames whose bodies these are, each behind its length in two bytes.
fn sealed(mut bodies: &[u8]) -> Vec<u8> {
    let mut file = [MAGIC.as_slice(), &VERSION.to_be_bytes()].concat();
    while let Some((length, rest)) = bodies.split_first_chunk::<2>() {
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bodies = rest;
        let key = match body {
            [0, ..] => b"head".to_vec(),
            [1, number @ ..] => number.iter().copied().take(8).collect(),
            _ => b"end".to_vec(),
        };
        let sealed = codec::seal(Kind::Backup, &key, body);
        file.extend_from_slice(&u32::try_from(sealed.len()).expect("it is short").to_be_bytes());
        file.extend_from_slice(&sealed);
    }
    file
}
