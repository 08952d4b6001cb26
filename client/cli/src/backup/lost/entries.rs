//! Entries out of a file that somebody kept: a JSON array, JSON lines, pages as the API gives them, or CSV with a head as
//! `etebar journal` writes it. One entry at a time; no entry takes more memory than [`ENTRY_BYTES`].

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use etebar::api::{AmountOut, EntryKind, Timestamp};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::output::error::CliError;

/// Most bytes between the end of one entry and the end of the next. Source: a hundred times the largest.
const ENTRY_BYTES: usize = 1024 * 1024;

/// What a file knows of an entry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct KnownEntry {
    /// Its number.
    pub(super) entry: u64,
    pub(super) created_at: Timestamp,
    pub(super) kind: EntryKind,
    pub(super) seller_id: Uuid,
    /// Signed, from the seller's side.
    pub(super) amount: AmountOut,
    /// Id of the charge, the credit request or the adjustment.
    pub(super) reference: Uuid,
    #[serde(default)]
    pub(super) phone: Option<String>,
    /// The seller's own text.
    #[serde(default)]
    pub(super) caller_reference: Option<String>,
}

/// Gives each entry of a file to `each`, in the file's order. The error is `each`'s, or says where the file is wrong.
pub(super) fn read(
    from: impl BufRead,
    mut each: impl FnMut(KnownEntry) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let left = Rc::new(Cell::new(ENTRY_BYTES));
    let mut from = Bounded { inner: from, left: left.clone() };
    let first = from.next_visible().map_err(|error| CliError::local(error.to_string()))?;
    match first {
        None => Ok(()),
        Some(b'{' | b'[') => json(from, &left, &mut each),
        Some(_) => csv(from, &left, &mut each),
    }
}

fn json<F: FnMut(KnownEntry) -> Result<(), CliError>>(
    mut from: Bounded<impl BufRead>,
    left: &Cell<usize>,
    each: &mut F,
) -> Result<(), CliError> {
    let (mut failed, mut entries) = (None, 0_u64);
    while from.next_visible().map_err(|error| CliError::local(error.to_string()))?.is_some() {
        let values = Values { each, failed: &mut failed, left, entries: &mut entries };
        let read = values.deserialize(&mut serde_json::Deserializer::from_reader(&mut from));
        if let Some(error) = failed {
            return Err(error);
        }
        read.map_err(|error| CliError::local(format!("after {entries} entries: {error}")))?;
    }
    Ok(())
}

fn csv(
    from: Bounded<impl BufRead>,
    left: &Cell<usize>,
    each: &mut impl FnMut(KnownEntry) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for entry in csv::Reader::from_reader(from).into_deserialize::<KnownEntry>() {
        left.set(ENTRY_BYTES);
        each(entry.map_err(|error| CliError::local(error.to_string()))?)?;
    }
    Ok(())
}

/// A reader that fails where too much comes without an entry.
struct Bounded<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: BufRead> Bounded<R> {
    /// Drops white space; the byte that comes next stays.
    fn next_visible(&mut self) -> io::Result<Option<u8>> {
        loop {
            let there = self.inner.fill_buf()?;
            let Some(first) = there.first() else { return Ok(None) };
            if !first.is_ascii_whitespace() {
                return Ok(Some(*first));
            }
            self.inner.consume(1);
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let Some(left) = self.left.get().checked_sub(read) else {
            return Err(io::Error::other(format!("an entry of more than {ENTRY_BYTES} bytes")));
        };
        self.left.set(left);
        Ok(read)
    }
}

/// A value of JSON: an entry, a list of values, or a page with a list of values in it.
struct Values<'a, F> {
    each: &'a mut F,
    failed: &'a mut Option<CliError>,
    left: &'a Cell<usize>,
    entries: &'a mut u64,
}

impl<F> Values<'_, F> {
    fn again(&mut self) -> Values<'_, F> {
        Values { each: self.each, failed: self.failed, left: self.left, entries: self.entries }
    }
}

impl<'de, F: FnMut(KnownEntry) -> Result<(), CliError>> DeserializeSeed<'de> for Values<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(KnownEntry) -> Result<(), CliError>> Visitor<'de> for Values<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry, a list of entries, or a page of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let (mut fields, mut is_page) = (Map::new(), false);
        while let Some(name) = map.next_key::<String>()? {
            if name == "items" {
                is_page = true;
                map.next_value_seed(self.again())?;
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        if is_page {
            return Ok(());
        }
        let entry = KnownEntry::deserialize(Value::Object(fields)).map_err(A::Error::custom)?;
        self.left.set(ENTRY_BYTES);
        *self.entries += 1;
        (self.each)(entry).map_err(|error| {
            *self.failed = Some(error);
            A::Error::custom("stopped")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELLER: &str = "00000000-0000-0000-0000-000000000001";

    fn entry(number: u64) -> String {
        format!(
            r#"{{"entry":{number},"record":9,"created_at":"2026-11-01T00:00:00.000Z","kind":"charge","seller_id":"{SELLER}","amount":"-5000","balance":"0","debit":"a","credit":"b","reference":"{SELLER}","phone":"+989123456789","actor":"x","digest":"d"}}"#
        )
    }

    fn numbers(text: &str) -> Result<Vec<u64>, CliError> {
        let mut found = Vec::new();
        read(text.as_bytes(), |entry| {
            found.push(entry.entry);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn every_form_of_an_export_is_read() {
        let (one, two) = (entry(1), entry(2));
        let csv = format!(
            "entry,created_at,kind,seller_id,amount,balance,debit,credit,reference,phone,actor,caller_reference,digest\n\
             1,2026-11-01T00:00:00.000Z,charge,{SELLER},-5000,0,a,b,{SELLER},+989123456789,x,,d\n\
             2,2026-11-01T00:00:00.000Z,credit,{SELLER},7,0,a,b,{SELLER},,x,INV-7,d\n"
        );
        for text in [
            format!("{one}\n{two}\n"),
            format!("[{one},\n{two}]"),
            format!(r#"{{"items":[{one}],"next":"x"}}{{"next":null,"items":[{two}]}}"#),
            csv,
        ] {
            assert_eq!(numbers(&text).unwrap(), [1, 2], "{text}");
        }
        assert!(numbers(" \n").unwrap().is_empty());
        assert!(numbers(r#"{"items":[],"next":null}"#).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_no_export_is_refused_with_its_place() {
        for (text, said) in [
            (format!("{}\n{{\"entry\":2}}", entry(1)), "after 1 entries"),
            (format!("{}\n{{\"entry\":", entry(1)), "after 1 entries"),
            ("{\"a\":[[[[1]]]]}".to_owned(), "missing field"),
            ("name,amount\nx,1\n".to_owned(), "missing field"),
            (format!("[\"{}\"]", "x".repeat(2 * ENTRY_BYTES)), "bytes"),
        ] {
            let error = numbers(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
