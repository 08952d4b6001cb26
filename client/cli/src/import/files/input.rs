//! The input: a CSV file with the columns `phone`, `amount`, perhaps `idempotency_key`, and any others.
//!
//! It is read and checked whole before anything is sent. A line is named by its number in the file, as editors count it.

use std::collections::HashMap;

use ledger::Phone;
use memchr::memchr_iter;

use etebar::IdempotencyKey;
use etebar::api::{self, AmountError, AmountIn, MAX_DECIMALS, read_phone};

use super::paths::{Paths, failed};
use crate::output::count;
use crate::output::error::{CliError, WRONG_USAGE};

/// Most charges in one file. Source: a tenth of the keys that a cluster remembers, unless set otherwise.
const LINES_MAX: usize = 1_000_000;
/// Largest file. Source: a million lines of a thousand bytes, held in memory.
const BYTES_MAX: u64 = 1 << 30;
/// Most faults that are listed.
const FAULTS_SHOWN: usize = 20;
/// Most characters of a cell that a fault repeats. Source: the longest key, and some escapes.
const CELL_CHARS: usize = 80;
/// Most columns that a fault names, where two are missing.
const COLUMNS_SHOWN: usize = 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The columns that the result adds. Those of them that an input may not have are all but the key's.
pub(crate) const RESULT_COLUMNS: [&str; 7] =
    ["line", "idempotency_key", "status", "charge_id", "entry", "balance", "problem"];

/// A checked input.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// BLAKE3 of the file, 64 hex digits.
    pub(crate) digest: String,
    pub(crate) columns: Columns,
    /// In the file's order, so sorted by number.
    pub(crate) lines: Vec<Line>,
}

/// One charge.
#[derive(Debug)]
pub(crate) struct Line {
    /// In the file; the first is 1, so the first charge is 2 at least.
    pub(crate) number: u64,
    pub(crate) phone: Phone,
    pub(crate) amount: AmountIn,
    /// The key that the file gives; otherwise the import draws one.
    pub(crate) own_key: Option<IdempotencyKey>,
}

/// Where each column is.
#[derive(Debug)]
pub(crate) struct Columns {
    count: usize,
    phone: usize,
    amount: usize,
    pub(crate) key: Option<usize>,
}

impl Input {
    /// Reads and checks the file, but for what only the cluster knows: how many decimals an amount has.
    pub(crate) fn read(paths: &Paths) -> Result<Input, CliError> {
        let path = &paths.input;
        let length = std::fs::metadata(path).map_err(failed(path))?.len();
        if length > BYTES_MAX {
            return Err(wrong(paths, "is over 1 GiB: split it"));
        }
        let bytes = std::fs::read(path).map_err(failed(path))?;
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(wrong(paths, "is UTF-16: save it as CSV UTF-8"));
        }
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let mut records = Records::new(&bytes);
        let head = match records.next() {
            Some(head) => head.map_err(|fault| faulty(paths, &[fault]))?,
            None => return Err(wrong(paths, "is empty: its first line names the columns, phone and amount at least")),
        };
        let columns = Columns::of(&head.cells).map_err(|fault| faulty(paths, &[(head.number, fault)]))?;
        let lines = lines(paths, &columns, records)?;
        Ok(Input { bytes, digest, columns, lines })
    }

    /// Every record, the head first, as the file has it.
    pub(crate) fn records(&self) -> impl Iterator<Item = csv::ByteRecord> {
        Records::new(&self.bytes).filter_map(Result::ok).map(|record| record.cells)
    }

    /// Checks the amounts in a currency of so many decimals.
    pub(crate) fn check_amounts(&self, paths: &Paths, decimals: u32) -> Result<(), CliError> {
        let wrong = |line: &Line| {
            let error = line.amount.positive(decimals).err()?;
            Some((line.number, format!("amount {}: {error}", line.amount)))
        };
        let faults: Vec<_> = self.lines.iter().filter_map(wrong).collect();
        if faults.is_empty() { Ok(()) } else { Err(faulty(paths, &faults)) }
    }

    /// What all lines add up to, in minor units.
    pub(crate) fn sum(&self, decimals: u32) -> i128 {
        self.lines.iter().map(|line| i128::from(line.minor(decimals))).sum()
    }
}

impl Line {
    /// Minor units; an amount that was not checked for these decimals counts as nothing.
    pub(crate) fn minor(&self, decimals: u32) -> i64 {
        self.amount.positive(decimals).unwrap_or(0)
    }
}

/// A line number and what is wrong there.
type Fault = (u64, String);

fn wrong(paths: &Paths, what: &str) -> CliError {
    unusable(format!("{} {what}; nothing was sent", paths.shown_input()))
}

fn faulty(paths: &Paths, faults: &[Fault]) -> CliError {
    let shown = faults.iter().take(FAULTS_SHOWN).map(|(line, what)| format!("\n  line {line}: {what}"));
    let more = match faults.len().saturating_sub(FAULTS_SHOWN) {
        0 => String::new(),
        more => format!("\n  and {} more", count(more as u64)),
    };
    unusable(format!("{}: nothing was sent{}{more}", paths.shown_input(), shown.collect::<String>()))
}

fn unusable(text: String) -> CliError {
    let hint = "correct the file and run the same command again; `etebar charges import --help` says what it holds";
    CliError::Advised { text, hint: hint.to_owned(), code: WRONG_USAGE }
}

fn lines(paths: &Paths, columns: &Columns, records: Records<'_>) -> Result<Vec<Line>, CliError> {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for record in records {
        let line = record.and_then(|record| columns.line(&record).map_err(|fault| (record.number, fault)));
        match line {
            Ok(line) => lines.push(line),
            Err(fault) => faults.push(fault),
        }
        if lines.len() > LINES_MAX {
            return Err(wrong(paths, "has over 1,000,000 charges: split it"));
        }
    }
    faults.extend(doubled_keys(&lines));
    faults.sort();
    if !faults.is_empty() {
        return Err(faulty(paths, &faults));
    }
    if lines.is_empty() {
        return Err(wrong(paths, "has no charge: only its head is there"));
    }
    Ok(lines)
}

fn doubled_keys(lines: &[Line]) -> Vec<Fault> {
    let mut first: HashMap<&IdempotencyKey, u64> = HashMap::new();
    let mut faults = Vec::new();
    for line in lines {
        let Some(key) = &line.own_key else { continue };
        if let Some(before) = first.insert(key, line.number) {
            faults.push((line.number, format!("idempotency_key {key} stands in line {before} too")));
        }
    }
    faults
}

impl Columns {
    fn of(head: &csv::ByteRecord) -> Result<Columns, String> {
        let names: Vec<String> =
            head.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_ascii_lowercase()).collect();
        let at = |wanted: &str| {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (at, None) => Ok(at),
                (_, Some(_)) => Err(format!("there are two columns {wanted}")),
            }
        };
        let (phone, amount, key) = (at("phone")?, at("amount")?, at("idempotency_key")?);
        let (Some(phone), Some(amount)) = (phone, amount) else {
            let mut here: Vec<_> = names.iter().take(COLUMNS_SHOWN).map(|name| cell_shown(name)).collect();
            if names.len() > COLUMNS_SHOWN {
                here.push("…".into());
            }
            let here = here.join(", ");
            let separator =
                if names.len() == 1 && names[0].contains([';', '\t']) { "; a comma sets columns off" } else { "" };
            return Err(format!("the columns phone and amount are needed; there are: {here}{separator}"));
        };
        let ours = |name: &&String| RESULT_COLUMNS.contains(&name.as_str()) && *name != "idempotency_key";
        if let Some(name) = names.iter().find(ours) {
            return Err(format!("the result has a column {name} of its own: rename this one, or leave it out"));
        }
        Ok(Columns { count: names.len(), phone, amount, key })
    }

    fn line(&self, record: &Record) -> Result<Line, String> {
        let cells = &record.cells;
        if cells.len() != self.count {
            return Err(format!("{} cells, and {} columns", cells.len(), self.count));
        }
        let cell = |at: usize, name: &str| match std::str::from_utf8(&cells[at]) {
            Ok(text) => Ok(text.trim()),
            Err(_) => Err(format!("{name} is not UTF-8")),
        };
        let phone = cell(self.phone, "phone")?;
        let phone = read_phone(phone).map_err(|error| format!("phone \"{}\": {error}", cell_shown(phone)))?;
        let amount = cell(self.amount, "amount")?;
        let amount = positive(amount).map_err(|error| format!("amount \"{}\": {error}", cell_shown(amount)))?;
        let own_key = match self.key.map(|at| cell(at, "idempotency_key")).transpose()? {
            Some("") | None => None,
            Some(key) => {
                let wrong = |error| format!("idempotency_key \"{}\": {error}", cell_shown(key));
                Some(IdempotencyKey::parse(key).map_err(wrong)?)
            }
        };
        Ok(Line { number: record.number, phone, amount, own_key })
    }
}

/// A cell as a fault repeats it.
fn cell_shown(cell: &str) -> std::borrow::Cow<'_, str> {
    api::shown(cell, CELL_CHARS)
}

/// An amount over zero; whether it fits the currency is seen when the currency is known.
fn positive(text: &str) -> Result<AmountIn, AmountError> {
    let amount = AmountIn::parse(text)?;
    match amount.positive(MAX_DECIMALS) {
        Err(AmountError::NotPositive) => Err(AmountError::NotPositive),
        Ok(_) | Err(_) => Ok(amount),
    }
}

/// The records of a file with the numbers of their lines.
struct Records<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    /// Where the count of lines has got to, and the line there.
    counted: (usize, u64),
}

struct Record {
    number: u64,
    cells: csv::ByteRecord,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Records<'a> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        Records { bytes, reader, counted: (0, 1) }
    }

    /// Where the reader is in the file. In memory, so that it fits.
    fn byte(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX)
    }

    /// The line of the first byte from `at` on that is no line's end. The reader's own count is one behind after `\r\n`.
    fn line_at(&mut self, at: usize) -> (usize, u64) {
        let skipped = self.bytes[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (from, line) = self.counted;
        let start = at + skipped;
        let ends = (from..start).filter(|&at| match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        self.counted = (start, line + ends.count() as u64);
        self.counted
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Result<Record, Fault>> {
        let begin = self.byte();
        let mut cells = csv::ByteRecord::new();
        let read = self.reader.read_byte_record(&mut cells);
        let end = self.byte();
        let (start, number) = self.line_at(begin.min(self.bytes.len()));
        match read {
            Ok(false) => None,
            // An open quote makes one cell of all that follows: lines would be lost in it unseen.
            Ok(true) if memchr_iter(b'"', &self.bytes[start.min(end)..end]).count() % 2 == 1 => {
                Some(Err((number, "a quote is opened and not closed".to_owned())))
            }
            Ok(true) => Some(Ok(Record { number, cells })),
            Err(error) => Some(Err((number, error.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u64> {
        Records::new(text.as_bytes()).map(|record| record.map(|record| record.number).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_number_that_an_editor_shows_whatever_ends_it() {
        assert_eq!(numbers("a,b\n1,2\n3,4"), [1, 2, 3]);
        assert_eq!(numbers("a,b\r\n1,2\r\n3,4\r\n"), [1, 2, 3]);
        assert_eq!(numbers("a,b\r1,2\r3,4\r"), [1, 2, 3]);
        assert_eq!(numbers("\u{feff}a,b\r\n\r\n1,2\r\n\n\n3,4\r\n\r\n"), [1, 3, 6]);
        assert_eq!(numbers("a,b\n1,\"x\ny\"\n3,4\n"), [1, 2, 4]);
    }

    #[test]
    fn an_open_quote_is_found() {
        let mut records = Records::new(b"a,b\n1,\"x\n3,4\n");
        records.next();
        assert!(matches!(records.next(), Some(Err((2, _)))));
    }
}
