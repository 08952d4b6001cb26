//! Reads of records: for lists, single resources, and digests of entries. Never on the threads that serve requests.
//!
//! Records never change, so they are read without holding the state; a bound taken with the state makes a read
//! consistent: what was decided behind it does not exist for the reader.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger::PageMark;
use ledger::{Digest, Entry, PAGE_RECORDS, Record, RecordNumber, chain_entry, page_of};

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
    let mark = app.cluster.replica().state.page_mark(page_of(number)).copied();
    let Some(mark) = mark else {
        return Err(Problem::internal(format_args!("record {number} is in no page")));
    };
    reading(app, move |reader| {
        let mut digest = mark.entry_digest;
        reader.for_each_entry(page_start(page_of(number))..=number, mark, |_, _, upto| {
            digest = *upto;
            Ok(Flow::On)
        })?;
        Ok(digest)
    })
    .await
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
}

impl RecordReader {
    /// One record, which was applied here before.
    pub(crate) fn record(&self, number: RecordNumber) -> Result<Arc<Record>, Problem> {
        self.cluster.record(number).map_err(Problem::internal)
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

    /// The name of the key that decided a record.
    pub(crate) fn actor<'a>(&'a self, record: &Record) -> Result<&'a str, Problem> {
        match self.ring.by_number(record.actor) {
            Some(key) => Ok(key.name.as_str()),
            None => Err(Problem::internal(format_args!("the actor of record {} has no key", record.number))),
        }
    }

    /// Gives each entry of these records to `take`, with its record and the chain up to and with it. The range begins
    /// with its page, of which `mark` is the mark.
    pub(crate) fn for_each_entry(
        &self,
        records: RangeInclusive<RecordNumber>,
        mark: PageMark,
        mut take: impl FnMut(&Record, &Entry<'_>, &Digest) -> Result<Flow, Problem>,
    ) -> Result<(), Problem> {
        let mut digest = mark.entry_digest;
        for number in records {
            let record = self.record(number)?;
            let Some(entry) = record.entry(&self.info.ids, "") else { continue };
            let entry = Entry { actor: self.actor(&record)?, ..entry };
            digest = chain_entry(&digest, &entry);
            if take(&record, &entry, &digest)? == Flow::Enough {
                break;
            }
        }
        Ok(())
    }
}
