//! The input: a CSV file with the columns `phone`, `amount`, perhaps `idempotency_key` and `reference`, and any
//! others.
//!
//! It is read and checked whole before anything is sent. A line is named by its number in the file, as editors count it.

use std::collections::HashMap;

use ledger::{Phone, Reference};

use etebar::IdempotencyKey;
use etebar::api::{self, AmountError, AmountIn, MAX_DECIMALS, check_reference, read_phone};

use super::csv_records::{Fault, Record, Records};
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
    pub(crate) lines: Vec<InputLine>,
}

/// One charge.
#[derive(Debug)]
pub(crate) struct InputLine {
    /// In the file; the first is 1, so the first charge is 2 at least.
    pub(crate) number: u64,
    pub(crate) phone: Phone,
    pub(crate) amount: AmountIn,
    /// The key that the file gives; otherwise the import draws one.
    pub(crate) own_key: Option<IdempotencyKey>,
    /// The text that the charge keeps.
    pub(crate) reference: Option<String>,
}

/// Where each column is.
#[derive(Debug)]
pub(crate) struct Columns {
    count: usize,
    phone: usize,
    amount: usize,
    pub(crate) key: Option<usize>,
    reference: Option<usize>,
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
        let wrong = |line: &InputLine| {
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

impl InputLine {
    /// Minor units; an amount that was not checked for these decimals counts as nothing.
    pub(crate) fn minor(&self, decimals: u32) -> i64 {
        self.amount.positive(decimals).unwrap_or(0)
    }
}

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

fn lines(paths: &Paths, columns: &Columns, records: Records<'_>) -> Result<Vec<InputLine>, CliError> {
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

fn doubled_keys(lines: &[InputLine]) -> Vec<Fault> {
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
        let at = |expected: &str| {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == expected).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (at, None) => Ok(at),
                (_, Some(_)) => Err(format!("there are two columns {expected}")),
            }
        };
        let (phone, amount, key) = (at("phone")?, at("amount")?, at("idempotency_key")?);
        let reference = at("reference")?;
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
        Ok(Columns { count: names.len(), phone, amount, key, reference })
    }

    fn line(&self, record: &Record) -> Result<InputLine, String> {
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
        let reference = match self.reference.map(|at| cell(at, "reference")).transpose()? {
            Some("") | None => None,
            Some(text) => {
                Some(reference(text).map_err(|error| format!("reference \"{}\": {error}", cell_shown(text)))?)
            }
        };
        Ok(InputLine { number: record.number, phone, amount, own_key, reference })
    }
}

/// A reference as the nodes take it.
fn reference(text: &str) -> Result<String, String> {
    check_reference(text).map_err(|error| error.to_string())?;
    Reference::new(text).map(String::from).map_err(|error| error.to_string())
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
