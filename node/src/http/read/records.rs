//! Reads of records: for lists, single resources, and digests of entries. Never on the threads that serve requests.
//!
//! Records never change, so they are read without holding the state; a bound taken with the state makes a read
//! consistent: what was decided behind it does not exist for the reader.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger::{
    Digest, Entry, EntryChain, EntryRef, PAGE_RECORDS, PageMark, Record, RecordNumber, Seller, Time, page_of,
};

use crate::http::app::App;
use crate::http::quotas::Permit;
use crate::http::response::problem::Problem;
use crate::http::response::render::LedgerInfo;
use crate::raft::{ApiKeys, Cluster};
use crate::runtime;

/// Most records that one request looks through for a page; a longer search continues with the page's cursor.
pub(crate) const SCAN_RECORDS: usize = 65_536;
/// Most items of the state that are read under one lock, since applying waits for it. Source: measured, 4,096
/// entry numbers take 6 to 30 microseconds, and as many sellers a quarter of a millisecond.
pub(crate) const PIECE: usize = 4_096;

/// Runs `read` on a thread that may block on the disk.
pub(crate) async fn reading<T, F>(app: &App, read: F) -> Result<T, Problem>
where
    F: FnOnce(&RecordReader) -> Result<T, Problem> + Send + 'static,
    T: Send + 'static,
{
    let reader = RecordReader { cluster: app.cluster.clone(), ring: app.cluster.api_keys(), info: app.ledger_info()? };
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

/// What a seller holds, and what changed it since some record.
pub(crate) struct Holding {
    /// Its record number.
    pub seller: RecordNumber,
    /// Its balance.
    pub balance: i64,
    /// The records of its entries since, newest first.
    pub later: Vec<RecordNumber>,
}

/// Reads records; see [`reading`].
pub(crate) struct RecordReader {
    cluster: Cluster,
    ring: Arc<ApiKeys>,
    /// What the genesis fixed.
    pub info: LedgerInfo,
}

impl RecordReader {
    /// One record, which was applied here before.
    pub(crate) fn record(&self, number: RecordNumber) -> Result<Arc<Record>, Problem> {
        self.cluster.record(number).map_err(Problem::internal)
    }

    /// What stands before a page, which was begun here before; it never changes.
    pub(crate) fn page_mark(&self, page: u64) -> Result<PageMark, Problem> {
        self.cluster.page_mark(page).map_err(Problem::internal)
    }

    /// Records of a seller's entries, from the entry that is its `from`th, up to and without its `until`th: as many as are
    /// copied under one lock. These never change, so pieces that are taken one after the other are consistent.
    pub(crate) fn entries_of(
        &self,
        seller: RecordNumber,
        from: usize,
        until: usize,
    ) -> Result<Vec<RecordNumber>, Problem> {
        let replica = self.cluster.replica();
        let until = until.min(from.saturating_add(PIECE));
        let entries = replica.state.seller(seller).and_then(|seller| seller.entries.get(from..until));
        let numbers = entries.map(|entries| entries.iter().map(|entry| entry.record()).collect());
        numbers.ok_or_else(|| Problem::internal(format_args!("seller {seller} has fewer than {until} entries")))
    }

    /// What sellers after `after` hold now, as many as are read under one lock, and the records of their entries behind `since`.
    pub(crate) fn holdings_after(&self, after: RecordNumber, since: RecordNumber) -> Vec<Holding> {
        let replica = self.cluster.replica();
        let holding = |(number, seller): (&RecordNumber, &Seller)| {
            let is_later = |entry: &&EntryRef| entry.record() > since;
            let later = seller.entries.iter().rev().take_while(is_later).map(|entry| entry.record()).collect();
            Holding { seller: *number, balance: seller.balance.signed(), later }
        };
        replica.state.sellers_after(after).take(PIECE).map(holding).collect()
    }

    /// The name of the key that decided a record.
    pub(crate) fn actor<'a>(&'a self, record: &Record) -> Result<&'a str, Problem> {
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
