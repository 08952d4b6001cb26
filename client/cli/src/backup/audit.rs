//! A backup's records, added up by the ledger's own audit: one thread reads, checks and decodes pages, another audits them.
//!
//! Memory: a few dozen pages between the threads, what the audit keeps, and 16 bytes a page, by which old records are found
//! again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use ledger::{Audit, AuditReport, Claims, Past, Record, RecordNumber, SellerSpan, TableSeed, Totals, page_of};
use pages::backup::{BackupError, BackupPage, ChainError, Head, PagePlace, read_page};
use pages::page::{self, Page};

use super::files::{failed, open_chain, refused, refused_file};
use crate::output::error::CliError;

/// Pages that may wait between the two threads.
const WAITING: usize = 64;

/// What was found of a backup.
#[derive(Debug)]
pub(super) struct Audited {
    /// The head of the last file.
    pub(super) head: Head,
    /// What its records add up to, and which promises they break.
    pub(super) report: AuditReport,
    /// Bytes of the pages.
    pub(super) bytes: u64,
}

type Decoded = Result<(BackupPage, Page), ChainError>;

/// Reads a backup and its increments to the end, and audits all records; `progress` is given how many were, and how many there are; where
/// it fails, so does this.
pub(super) fn audit(
    files: &[PathBuf],
    mut progress: impl FnMut(u64, u64) -> Result<(), CliError>,
) -> Result<Audited, CliError> {
    let chain = open_chain(files)?;
    let head = chain.head().clone();
    let (sender, pages) = sync_channel(WAITING);
    let reading = std::thread::Builder::new().name("backup-pages".to_owned()).spawn(move || {
        for page in chain.decoded() {
            // Nobody takes it where the audit ended early.
            if sender.send(page).is_err() {
                return;
            }
        }
    });
    let reading = reading.map_err(|error| CliError::local(format!("no thread: {error}")))?;
    let seed = TableSeed::from_bytes(random()?);
    let mut fold = Fold { audit: Audit::new(seed), past: OldPages::of(files)?, keyed: 0, bytes: 0 };
    let audited = fold.all(&pages, head.records, &mut progress);
    drop(pages);
    if reading.join().is_err() {
        return Err(CliError::local("the pages could not be read: a defect"));
    }
    audited?;
    let report = fold.finish(&head);
    Ok(Audited { head, report, bytes: fold.bytes })
}

#[expect(clippy::disallowed_methods, reason = "what tables are hashed under is drawn anew in each run")]
fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The audit under way.
struct Fold {
    audit: Audit,
    past: OldPages,
    /// Records with an idempotency key so far.
    keyed: u64,
    bytes: u64,
}

impl Fold {
    fn all(
        &mut self,
        pages: &Receiver<Decoded>,
        records: u64,
        progress: &mut impl FnMut(u64, u64) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        for page in pages {
            let (raw, decoded) = page.map_err(refused)?;
            self.past.add(&raw)?;
            self.bytes += raw.bytes.len() as u64;
            if decoded.mark.keyed != self.keyed {
                let reason = format!(
                    "its header counts {} records with a key before it, not {}",
                    decoded.mark.keyed, self.keyed
                );
                return Err(CliError::Damaged(format!("{}: {reason}", page::place(raw.number))));
            }
            self.audit.compare_mark(&decoded.mark);
            for record in &decoded.records {
                self.keyed += u64::from(record.idempotency_key.is_some());
                self.audit.feed(record, &self.past)?;
            }
            progress(self.audit.records(), records)?;
        }
        Ok(())
    }

    /// Compares what was added up with what the head says.
    fn finish(&mut self, head: &Head) -> AuditReport {
        let own = self.audit.report();
        let totals = head.totals.unwrap_or(Totals {
            treasury: own.treasury,
            sellers: own.seller_balances,
            phones: own.phone_balances,
        });
        // The file claims sums and counts, and no single balance: that span has no seller.
        self.audit.compare(&Claims {
            records: head.records,
            entries: head.entries,
            digest: head.record_digest,
            entry_digest: head.entry_digest,
            totals,
            span: SellerSpan { after: RecordNumber::MAX, last: None },
            balances: std::collections::BTreeMap::new(),
            phones: std::collections::BTreeMap::new(),
        });
        self.audit.report()
    }
}

/// Old records, read again from the files.
struct OldPages {
    files: Vec<(String, File)>,
    places: Vec<PagePlace>,
}

impl OldPages {
    fn of(paths: &[PathBuf]) -> Result<Self, CliError> {
        let open = |path: &PathBuf| match File::open(path) {
            Ok(file) => Ok((path.display().to_string(), file)),
            Err(error) => Err(failed(path, &error)),
        };
        Ok(Self { files: paths.iter().map(open).collect::<Result<_, _>>()?, places: Vec::new() })
    }

    /// The next page was read.
    fn add(&mut self, page: &BackupPage) -> Result<(), CliError> {
        if page.number != self.places.len() as u64 {
            return Err(CliError::Damaged(format!(
                "page {} comes where page {} is due",
                page.number,
                self.places.len()
            )));
        }
        self.places.push(page.place);
        Ok(())
    }
}

impl Past for OldPages {
    type Error = CliError;

    fn record(&self, number: RecordNumber) -> Result<Option<Arc<Record>>, CliError> {
        let page = page_of(number);
        let Some(place) = usize::try_from(page).ok().and_then(|page| self.places.get(page)) else { return Ok(None) };
        let Some((name, file)) = self.files.get(place.file) else { return Ok(None) };
        let read = || -> Result<Record, BackupError> {
            let mut file: &File = file;
            file.seek(SeekFrom::Start(place.offset))?;
            let bytes = read_page(file.by_ref(), page)?;
            Ok(page::record(page, &bytes, number)?)
        };
        read().map(|record| Some(Arc::new(record))).map_err(|error| refused_file(name, &error))
    }
}
