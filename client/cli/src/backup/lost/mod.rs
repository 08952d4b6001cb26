//! `etebar backup lost`: which entries a file knows that are after the one up to which a ledger was restored: what was
//! acknowledged and is in no backup.
//!
//! Memory: a number for each of them, by which an entry that the file has twice counts once, and a sum a seller.

mod entries;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;

use etebar::api::{AmountOut, MAX_DECIMALS, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use self::entries::KnownEntry;
use super::files::{BUFFER_BYTES, failed};
use super::work::Running;
use crate::arguments::BackupLost;
use crate::output::error::CliError;
use crate::output::paint::{self, Cell};
use crate::output::words::entry_kind;
use crate::output::{Columns, Output, count, json_text, money, or_dash, table, write};

/// Most entries that are listed. Source: their numbers take 64 MB or so.
const LOST_MAX: usize = 2_000_000;
/// Lines of the table that are measured together.
const LINES: usize = 500;

/// An entry, as `--json` prints it, a line each.
#[derive(Serialize)]
struct Line<'a> {
    entry: u64,
    created_at: Timestamp,
    kind: etebar::api::EntryKind,
    seller_id: Uuid,
    amount: AmountOut,
    phone: Option<&'a str>,
    reference: Uuid,
    caller_reference: Option<&'a str>,
}

/// The last line of `--json`.
#[derive(Serialize)]
struct Sums {
    since: u64,
    lost: u64,
    sellers: Vec<SellerSum>,
}

#[derive(Serialize)]
struct SellerSum {
    seller_id: Uuid,
    entries: u64,
    amount: AmountOut,
}

pub(super) fn run(output: Output, lost: &BackupLost, running: &Running) -> Result<(), CliError> {
    let file = File::open(&lost.file).map_err(|error| failed(&lost.file, &error))?;
    let mut listing = Listing::new(output, lost.since);
    let read = entries::read(BufReader::with_capacity(BUFFER_BYTES, file), |entry| {
        running.check()?;
        listing.take(&entry)
    });
    read.map_err(|error| match error {
        CliError::Local(text) => CliError::Advised {
            text: format!("{}: {text}", lost.file.display()),
            hint: "give a journal or a statement: JSON lines, a JSON list, pages of the API, or CSV".to_owned(),
            code: 1,
        },
        other => other,
    })?;
    listing.finish()
}

/// What was found so far.
struct Listing {
    output: Output,
    since: u64,
    seen: HashSet<u64>,
    /// Sums in minor units, and how many entries.
    sellers: BTreeMap<Uuid, (i128, u64)>,
    decimals: Option<u32>,
    columns: Columns,
    waiting: Vec<Vec<Cell>>,
    is_headed: bool,
}

impl Listing {
    fn new(output: Output, since: u64) -> Listing {
        let columns =
            Columns::new(&[">entry", "created at", "kind", "seller", ">amount", "phone", "reference", "caller's"]);
        Listing {
            output,
            since,
            seen: HashSet::new(),
            sellers: BTreeMap::new(),
            decimals: None,
            columns,
            waiting: Vec::new(),
            is_headed: false,
        }
    }

    fn take(&mut self, entry: &KnownEntry) -> Result<(), CliError> {
        if entry.entry <= self.since || !self.seen.insert(entry.entry) {
            return Ok(());
        }
        if self.seen.len() > LOST_MAX {
            return Err(CliError::usage(format!(
                "more than {LOST_MAX} entries are after entry {}: give a later one",
                self.since
            )));
        }
        let decimals = entry.amount.decimals();
        if decimals > MAX_DECIMALS || *self.decimals.get_or_insert(decimals) != decimals {
            return Err(CliError::local(format!("entry {} has an amount with other decimal places", entry.entry)));
        }
        let sum = self.sellers.entry(entry.seller_id).or_default();
        let added = sum.0.checked_add(entry.amount.minor());
        sum.0 = added.ok_or_else(|| CliError::local("the amounts are too large to be added up"))?;
        sum.1 += 1;
        self.print(entry)
    }

    fn print(&mut self, entry: &KnownEntry) -> Result<(), CliError> {
        if self.output.is_json() {
            let line = Line {
                entry: entry.entry,
                created_at: entry.created_at,
                kind: entry.kind,
                seller_id: entry.seller_id,
                amount: entry.amount,
                phone: entry.phone.as_deref(),
                reference: entry.reference,
                caller_reference: entry.caller_reference.as_deref(),
            };
            return write(&(json_text(&line)? + "\n")).map(drop);
        }
        self.waiting.push(vec![
            entry.entry.to_string().into(),
            entry.created_at.to_string().into(),
            entry_kind(entry.kind).into(),
            entry.seller_id.to_string().into(),
            money(entry.amount),
            or_dash(entry.phone.as_deref()).into(),
            entry.reference.to_string().into(),
            or_dash(entry.caller_reference.as_deref()).into(),
        ]);
        if self.waiting.len() < LINES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let rows = std::mem::take(&mut self.waiting);
        self.columns.widen(&rows);
        let head = (!rows.is_empty() && !std::mem::replace(&mut self.is_headed, true)).then(|| self.columns.head());
        for line in head.into_iter().chain(rows.iter().map(|row| self.columns.row(row))) {
            write(&(paint::shown(&line, self.output.is_painted()) + "\n"))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), CliError> {
        self.flush()?;
        let decimals = self.decimals.unwrap_or(0);
        let sum = |(seller_id, (amount, entries)): (&Uuid, &(i128, u64))| SellerSum {
            seller_id: *seller_id,
            entries: *entries,
            amount: AmountOut::new(*amount, decimals),
        };
        let sellers: Vec<_> = self.sellers.iter().map(sum).collect();
        let sums = Sums { since: self.since, lost: self.seen.len() as u64, sellers };
        self.output.either(&sums, || shown(&sums))
    }
}

fn shown(sums: &Sums) -> String {
    if sums.lost == 0 {
        return format!("the file knows no entry after entry {}", sums.since);
    }
    let row = |sum: &SellerSum| vec![sum.seller_id.to_string().into(), count(sum.entries).into(), money(sum.amount)];
    let rows: Vec<_> = sums.sellers.iter().map(row).collect();
    format!(
        "\n{}\n{} entries after entry {} are known to the file",
        table(&["seller", ">entries", ">amount"], &rows),
        count(sums.lost),
        sums.since
    )
}
