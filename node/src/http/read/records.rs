//! Reads of records: for lists, single resources, and digests of entries. Never on the threads that serve requests.
//!
//! Records never change, so they are read without holding the state; a bound taken with the state makes a read
//! consistent: what was decided behind it does not exist for the reader.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger::{
    Conclusion, Digest, Entry, EntryChain, PAGE_RECORDS, PageMark, Phone, Record, RecordNumber, SYSTEM_ACTOR,
    SYSTEM_NAME, Time, page_of,
};

use crate::http::app::App;
use crate::http::quotas::Permit;
use crate::http::response::problem::Problem;
use crate::http::response::render::LedgerInfo;
use crate::raft::{ApiKeys, Cluster};
use crate::runtime;
use crate::storage::history::RecordCursor;

/// Most records that one request looks through for a page; a longer search continues with the page's cursor.
pub(crate) const SCAN_RECORDS: usize = 65_536;
/// Most items of the state that are read under one lock, since applying waits for it. Source: measured, 4,096 sellers take a
/// quarter of a millisecond.
pub(crate) const PIECE: usize = 4_096;

/// Runs `read` on a thread that may block on the disk.
pub(crate) async fn reading<T, F>(app: &App, read: F) -> Result<T, Problem>
where
    F: FnOnce(&RecordReader) -> Result<T, Problem> + Send + 'static,
    T: Send + 'static,
{
    let (cluster, ring, info) = (app.cluster.clone(), app.cluster.api_keys(), app.ledger_info()?);
    let reader = RecordReader { cluster, ring, info, cursor: RefCell::default() };
    runtime::blocking(move || read(&reader)).await.map_err(Problem::internal)?
}

/// Runs a search under the caller's permit, which is held as long as the search runs, whether the caller still waits or
/// not.
pub(crate) async fn searching<T, F>(app: &App, permit: Permit, search: F) -> Result<T, Problem>
where
    F: FnOnce(&RecordReader) -> Result<T, Problem> + Send + 'static,
    T: Send + 'static,
{
    reading(app, move |reader| {
        let _permit = permit;
        search(reader)
    })
    .await
}

/// The digest of the entry that a record made, which was applied here before.
pub(crate) async fn entry_digest(app: &App, number: RecordNumber) -> Result<Digest, Problem> {
    reading(app, move |reader| {
        let mut digest = Digest::ZERO;
        reader.for_each_entry(page_start(page_of(number))..=number, |record, _, chain| {
            if record.number == number {
                digest = chain.digest();
            }
            Ok(Flow::On)
        })?;
        Ok(digest)
    })
    .await
}

/// The first record that may be at or after `from`; the first of all where there is no such bound.
pub(crate) async fn first_record(app: &App, from: Option<Time>) -> Result<RecordNumber, Problem> {
    match from {
        None => Ok(1),
        Some(from) => reading(app, move |reader| reader.cluster.record_from(from).map_err(Problem::internal)).await,
    }
}

/// The first record that may make entry `entry`, at most a page before the one that does; the first of all where there is no such
/// bound.
pub(crate) async fn record_of_entry(app: &App, entry: Option<u64>) -> Result<RecordNumber, Problem> {
    let Some(entry) = entry else { return Ok(1) };
    let page = reading(app, move |reader| {
        reader.cluster.history(|history| history.page_of_entry(entry)).map_err(Problem::internal)
    });
    page.await.map(page_start)
}

/// The first record of a page.
pub(crate) fn page_start(page: u64) -> RecordNumber {
    page.saturating_mul(PAGE_RECORDS).saturating_add(1)
}

/// Whether a search continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    On,
    /// Enough was found.
    Enough,
}

/// Reads records; see [`reading`].
pub(crate) struct RecordReader {
    cluster: Cluster,
    ring: Arc<ApiKeys>,
    /// What the genesis fixed.
    pub info: LedgerInfo,
    cursor: RefCell<RecordCursor>,
}

impl RecordReader {
    /// One record, which was applied here before.
    pub(crate) fn record(&self, number: RecordNumber) -> Result<Arc<Record>, Problem> {
        let read = |cursor: &mut RecordCursor| self.cluster.history(|history| history.record_by(number, cursor));
        read(&mut self.cursor.borrow_mut()).map_err(Problem::internal)
    }

    /// What stands before a page, which was begun here before; it never changes.
    fn page_mark(&self, page: u64) -> Result<PageMark, Problem> {
        self.cluster.page_mark(page).map_err(Problem::internal)
    }

    /// A seller's entries from the record `from` on, oldest first, at most `most` of them.
    pub(crate) fn entries_of(
        &self,
        seller: RecordNumber,
        from: RecordNumber,
        most: usize,
    ) -> Result<Vec<RecordNumber>, Problem> {
        self.cluster.history(|history| history.entries_of(seller, from, most)).map_err(Problem::internal)
    }

    /// Credit requests, of one seller or of all, from the record `from` on, oldest first, at most `most` of them.
    pub(crate) fn requests_of(
        &self,
        seller: Option<RecordNumber>,
        from: RecordNumber,
        most: usize,
    ) -> Result<Vec<RecordNumber>, Problem> {
        self.cluster.history(|history| history.requests_of(seller, from, most)).map_err(Problem::internal)
    }

    /// Administrative acts, from the record `from` on, oldest first, at most `most` of them.
    pub(crate) fn acts(&self, from: RecordNumber, most: usize) -> Result<Vec<RecordNumber>, Problem> {
        self.cluster.history(|history| history.acts(from, most)).map_err(Problem::internal)
    }

    /// The charges of a phone up to `last`, which is one, from the record `from` on, oldest first: `most` or a few more.
    pub(crate) fn charges_of(
        &self,
        phone: Phone,
        last: RecordNumber,
        from: RecordNumber,
        most: usize,
    ) -> Result<Vec<Arc<Record>>, Problem> {
        let mut cursor = self.cursor.borrow_mut();
        let read = self.cluster.history(|history| history.charges_of(phone, last, from, most, &mut cursor));
        read.map_err(Problem::internal)
    }

    /// What concluded a charge or a credit request among the first `records` records.
    pub(crate) fn conclusion(
        &self,
        subject: RecordNumber,
        records: RecordNumber,
    ) -> Result<Option<Conclusion>, Problem> {
        let found = self.cluster.history(|history| history.conclusion(subject)).map_err(Problem::internal)?;
        Ok(found.filter(|conclusion| conclusion.record <= records))
    }

    /// The journal entry that reversed a charge among the first `records` records.
    pub(crate) fn reversed_by(&self, charge: RecordNumber, records: RecordNumber) -> Result<Option<u64>, Problem> {
        let Some(Conclusion { record, .. }) = self.conclusion(charge, records)? else { return Ok(None) };
        let reversal = self.record(record)?;
        let entry = reversal.movement().map(|movement| movement.entry_number);
        let missing = || Problem::internal(format_args!("record {record} reverses nothing"));
        entry.ok_or_else(missing).map(Some)
    }

    /// The name of the key that decided a record.
    pub(crate) fn actor<'a>(&'a self, record: &Record) -> Result<&'a str, Problem> {
        if record.actor == SYSTEM_ACTOR {
            return Ok(SYSTEM_NAME);
        }
        match self.ring.by_number(record.actor) {
            Some(key) => Ok(key.name.as_str()),
            None => Err(Problem::internal(format_args!("the actor of record {} has no key", record.number))),
        }
    }

    /// Gives each entry of these records to `take`, with its record and the chain up to and with it, whose digest is hashed
    /// where it is asked for. The range begins with a page.
    pub(crate) fn for_each_entry(
        &self,
        records: RangeInclusive<RecordNumber>,
        mut take: impl FnMut(&Record, &Entry<'_>, &EntryChain) -> Result<Flow, Problem>,
    ) -> Result<(), Problem> {
        if records.is_empty() {
            return Ok(());
        }
        let page = page_of(*records.start());
        let mark = self.page_mark(page)?;
        let mut chain = EntryChain::before_page(page, mark.entry_digest);
        for number in records {
            let record = self.record(number)?;
            let Some(entry) = record.entry(&self.info.ids, "") else { continue };
            let entry = Entry { actor: self.actor(&record)?, ..entry };
            chain.push(mark.ledger, &entry);
            if take(&record, &entry, &chain)? == Flow::Enough {
                break;
            }
        }
        Ok(())
    }
}
