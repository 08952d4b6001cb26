//! `etebar load`: charges over all servers, each repeated under its key until it is answered, each answer recorded.
//!
//! One in 16 acknowledged charges is sent again through another server, to see it replayed.

pub(crate) mod bench;
pub(crate) mod latencies;
mod panels;
pub(crate) mod plot;
pub(crate) mod provision;
pub(crate) mod record;
mod worker;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use etebar::IdempotencyKey;

use self::provision::{Credit, Provisioned};
use self::record::RecordLine;
use self::worker::{CALL_TIMEOUT, RecordingWorker};
use crate::arguments::Load;
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::{count, sheet};
use crate::session::Session;

/// Lines that wait to be written.
const LINES_WAITING: usize = 4_096;

/// What `load --json` prints.
#[derive(Debug, Default, Serialize)]
struct LoadReport {
    acknowledged: u64,
    replayed: u64,
    refused: u64,
    unanswered: u64,
    attempts: u64,
    /// Longest time between two answers that decided something, whichever way.
    #[serde(rename = "longest_silence_ms")]
    longest_gap_ms: u64,
    charges_per_second: f64,
}

pub(crate) async fn run(session: &Session, load: Load) -> Result<(), CliError> {
    if let Some(sellers) = load.prepare {
        return prepare(session, sellers, &load).await;
    }
    let Some(record) = &load.record else { return Err(CliError::usage("--record is missing")) };
    let sellers = Arc::new(read_sellers(&load.sellers_file)?);
    let options = OpenOptions::new().create(true).append(true).open(record);
    let file = options.map_err(|error| CliError::local(format!("{}: {error}", record.display())))?;
    let report = drive(session, &load, &sellers, file).await?;
    let printed = session.output.answer(&report, || report.shown());
    let done = || {
        let what = format!("{} charges are done and recorded in {}", report.acknowledged, record.display());
        Done::new(what).hint("the record has each key and answer: `etebar prove --record FILE` proves them")
    };
    session.reported(printed, done)?;
    match report.unanswered {
        0 => Ok(()),
        some => Err(CliError::Unproven(format!("{some} charges got no answer"))),
    }
}

/// Makes sellers and writes them to the file, for its owner's eyes alone.
async fn prepare(session: &Session, sellers: u32, load: &Load) -> Result<(), CliError> {
    let made = provision::sellers(&session.client, sellers, Credit::Amount(load.credit), "load").await?;
    let path = Cell::from(load.sellers_file.display().to_string());
    let write = || -> std::io::Result<()> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&load.sellers_file)?;
        let mut file = BufWriter::new(file);
        for seller in &made.sellers {
            writeln!(file, "{}", serde_json::to_string(seller)?)?;
        }
        file.flush()
    };
    write().map_err(|error| {
        let hint = "their keys' secrets are lost: `etebar keys list` shows them as load-…, `etebar keys revoke ID` revokes one";
        Done::new(format!("{sellers} sellers and their API keys exist")).hint(hint).unreported(&format!("{path}: {error}"))
    })?;
    let done = || Done::new(format!("{sellers} sellers exist")).hint(format!("their keys are in {path}"));
    session.reported(session.output.end(&format!("{sellers} sellers are in {path}")), done)
}

fn read_sellers(path: &Path) -> Result<Vec<Provisioned>, CliError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| CliError::local(format!("{}: {error}", path.display())))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let sellers: Result<Vec<Provisioned>, _> = lines.map(serde_json::from_str).collect();
    match sellers {
        Ok(sellers) if !sellers.is_empty() => Ok(sellers),
        Ok(_) => Err(CliError::usage(format!("{} has no seller", path.display()))),
        Err(error) => Err(CliError::usage(format!("{}: {error}", path.display()))),
    }
}

async fn drive(
    session: &Session,
    load: &Load,
    sellers: &Arc<Vec<Provisioned>>,
    file: File,
) -> Result<LoadReport, CliError> {
    let (lines, written) = mpsc::channel(LINES_WAITING);
    let writer = tokio::spawn(write(file, written));
    let run = IdempotencyKey::random()?.as_str()[..8].to_owned();
    let started = Instant::now();
    let over = Arc::new(OnceLock::new());
    let mut tasks = JoinSet::new();
    for number in 0..load.connections as usize {
        let seller = sellers[number % sellers.len()].clone();
        let client = session.client.with_key(&seller.key)?.with_timeout(CALL_TIMEOUT).starting_at(number);
        let worker = RecordingWorker {
            client,
            seller,
            prefix: format!("{}-{run}-{number}", load.processes_tag),
            random: Rng::new(),
            lines: lines.clone(),
            over: over.clone(),
        };
        tasks.spawn(worker.run());
    }
    drop(lines);
    let mut end = pin!(tokio::time::timeout(Duration::from_secs(u64::from(load.seconds)), tokio::signal::ctrl_c()));
    loop {
        tokio::select! {
            joined = tasks.join_next() => match joined {
                Some(joined) => joined.map_err(|error| CliError::local(error.to_string()))??,
                None => break,
            },
            ended = &mut end, if over.get().is_none() => {
                if let Ok(Err(error)) = ended {
                    return Err(CliError::local(format!("signals cannot be awaited: {error}")));
                }
                over.get_or_init(Instant::now);
            }
        }
    }
    let mut report = writer.await.map_err(|error| CliError::local(error.to_string()))??;
    let per_second = (report.acknowledged - report.replayed) as f64 / started.elapsed().as_secs_f64();
    report.charges_per_second = (per_second * 10.0).round() / 10.0;
    Ok(report)
}

/// Writes lines as they come, and counts them.
async fn write(file: File, mut lines: mpsc::Receiver<RecordLine>) -> Result<LoadReport, CliError> {
    let failed = |error: std::io::Error| {
        let hint = "what the record lacks is in the journal: `etebar journal --all`, `etebar verify`";
        Done::new("charges are done").hint(hint).unreported(&format!("the record: {error}"))
    };
    let mut file = BufWriter::with_capacity(64 * 1024, file);
    let mut report = LoadReport::default();
    let mut last_ms = None;
    while let Some(line) = lines.recv().await {
        report.count(&line, &mut last_ms);
        let text = serde_json::to_string(&line).map_err(|error| CliError::local(error.to_string()))?;
        writeln!(file, "{text}").map_err(failed)?;
        if lines.is_empty() {
            file.flush().map_err(failed)?;
        }
    }
    file.flush().map_err(failed)?;
    Ok(report)
}

impl LoadReport {
    fn count(&mut self, line: &RecordLine, last_ms: &mut Option<u64>) {
        self.attempts += u64::from(line.attempts);
        match line.status {
            201 => {
                self.acknowledged += 1;
                self.replayed += u64::from(line.replayed);
            }
            0 => self.unanswered += 1,
            _ => self.refused += 1,
        }
        if line.status != 0 {
            let last = last_ms.unwrap_or(line.ended_ms);
            self.longest_gap_ms = self.longest_gap_ms.max(line.ended_ms.saturating_sub(last));
            *last_ms = Some(last.max(line.ended_ms));
        }
    }

    fn shown(&self) -> String {
        sheet(&[
            ("acknowledged", count(self.acknowledged)),
            ("replayed", count(self.replayed)),
            ("refused", count(self.refused)),
            ("unanswered", count(self.unanswered)),
            ("attempts", count(self.attempts)),
            ("longest gap", format!("{} ms", self.longest_gap_ms)),
        ])
    }
}
