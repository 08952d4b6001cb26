//! `etebar backup verify`: every promise that records can break, recomputed from a file alone, a line each.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ledger::{Broken, Promise};
use pages::backup::{Head, Position};
use serde::Serialize;
use uuid::Uuid;

use super::audit::{Audited, audit};
use super::work::{Running, blocking};
use crate::books::promise::Verdict;
use crate::books::verify::word;
use crate::output::error::CliError;
use crate::output::paint::{Cell, Tone};
use crate::output::{Output, count, table};

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(5);

/// All promises, in the order in which they are shown.
const PROMISES: [Promise; 12] = [
    Promise::Numbered,
    Promise::RecordChain,
    Promise::DigestChain,
    Promise::RunningBalances,
    Promise::NeverNegative,
    Promise::RequestsOnce,
    Promise::ReversalsOnce,
    Promise::KeysOnce,
    Promise::Authorised,
    Promise::SellerBalances,
    Promise::PhoneBalances,
    Promise::SumsEqual,
];

/// What was verified, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    verdict: Verdict,
    #[serde(flatten)]
    contents: Contents,
    seconds: f64,
    promises: Vec<Line>,
}

/// What a backup holds.
#[derive(Debug, Serialize)]
pub(super) struct Contents {
    ledger_id: Uuid,
    cluster_id: Uuid,
    epoch: u32,
    /// The index in the Raft log; `null` where the records end before the newest one.
    applied: Option<u64>,
    records: u64,
    entries: u64,
    digest: String,
    entry_digest: String,
    /// Bytes of all pages.
    bytes: u64,
}

impl Contents {
    pub(super) fn of(head: &Head, bytes: u64) -> Contents {
        Contents {
            ledger_id: head.ledger,
            cluster_id: head.cluster,
            epoch: head.epoch,
            applied: head.position.map(|Position { index, .. }| index),
            records: head.records,
            entries: head.entries,
            digest: head.record_digest.to_string(),
            entry_digest: head.entry_digest.to_string(),
            bytes,
        }
    }

    /// Bytes of all pages.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// For people, on two lines.
    pub(super) fn shown(&self) -> String {
        let applied = self.applied.map_or_else(String::new, |applied| format!(" at position {}", count(applied)));
        format!(
            "{} records, {} entries of ledger {} (epoch {}){applied}\ndigest of entries: {}",
            count(self.records),
            count(self.entries),
            self.ledger_id,
            self.epoch,
            self.entry_digest
        )
    }
}

#[derive(Debug, Serialize)]
struct Line {
    promise: &'static str,
    verdict: Verdict,
    faults: u64,
    detail: Option<String>,
    sentence: &'static str,
}

pub(super) fn run(output: Output, files: &[PathBuf], running: &Running) -> Result<(), CliError> {
    let report = verified(output, files, running)?;
    let printed = output.either(&report, || shown(&report));
    conclude(&report)?;
    printed
}

/// Verifies a backup and its increments beside the program's signals.
pub(super) async fn with_progress(output: Output, files: Vec<PathBuf>) -> Result<Report, CliError> {
    blocking(move |running| verified(output, &files, running)).await
}

/// Verifies a backup and its increments; the report says what is broken.
fn verified(output: Output, files: &[PathBuf], running: &Running) -> Result<Report, CliError> {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let Audited { head, report, bytes } = audit(files, |records, of| {
        if last.elapsed() >= EVERY {
            last = Instant::now();
            output.progress(&format!("record {} of {} verified", count(records), count(of)));
        }
        running.check()
    })?;
    let lines = PROMISES.map(|promise| line(promise, report.broken.iter().find(|broken| broken.promise == promise)));
    Ok(Report {
        verdict: if report.is_consistent() { Verdict::Kept } else { Verdict::Broken },
        contents: Contents::of(&head, bytes),
        seconds: begun.elapsed().as_secs_f64(),
        promises: lines.into(),
    })
}

/// Fails with the first promise that is broken.
pub(super) fn conclude(report: &Report) -> Result<(), CliError> {
    match report.promises.iter().find(|line| line.verdict == Verdict::Broken) {
        Some(line) => Err(CliError::Broken(format!(
            "broken: {}: {}",
            line.sentence,
            line.detail.as_deref().unwrap_or("no detail")
        ))),
        None => Ok(()),
    }
}

fn line(promise: Promise, broken: Option<&Broken>) -> Line {
    Line {
        promise: promise.name(),
        verdict: if broken.is_some() { Verdict::Broken } else { Verdict::Kept },
        faults: broken.map_or(0, |broken| broken.faults),
        detail: broken.map(|broken| broken.detail.clone()),
        sentence: sentence(promise),
    }
}

pub(super) fn shown(report: &Report) -> String {
    let row = |line: &Line| -> Vec<Cell> {
        let tone = if line.verdict == Verdict::Broken { Tone::Bad } else { Tone::Good };
        vec![
            line.sentence.into(),
            Cell::new(word(line.verdict), tone),
            count(line.faults).into(),
            line.detail.clone().unwrap_or_default().into(),
        ]
    };
    let rows: Vec<_> = report.promises.iter().map(row).collect();
    format!(
        "{}\n{}\nverified in {:.1} s",
        table(&["promise", "verdict", ">faults", "detail"], &rows),
        report.contents.shown(),
        report.seconds
    )
}

fn sentence(promise: Promise) -> &'static str {
    match promise {
        Promise::Numbered => "records and entries are numbered without gaps, in order of time",
        Promise::RecordChain => "the digests chain all records",
        Promise::DigestChain => "the published digests chain all entries",
        Promise::RunningBalances => "each entry's balance is the one before plus its amount",
        Promise::NeverNegative => "no seller is below zero at any entry",
        Promise::RequestsOnce => "a credit request is decided once, as it was asked",
        Promise::ReversalsOnce => "a charge is reversed at most once, and whole",
        Promise::KeysOnce => "an idempotency key stands for one decision within its window",
        Promise::Authorised => "each record was decided for a key that may have it decided",
        Promise::SellerBalances => "each seller's balance is the sum of its entries",
        Promise::PhoneBalances => "each phone's balance is the sum of its entries, never below zero",
        Promise::SumsEqual => "the sums over all accounts are those of the entries, and add up to zero",
    }
}
