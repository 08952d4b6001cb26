//! The search of charges: by phone, seller, key and time, in the narrowest index that has them all.

use std::sync::Arc;

use etebar_api as api;
use etebar_api::read_phone;
use ledger::{Charged, Event, IdempotencyKey, PAGE_RECORDS, Phone, Record, RecordNumber, Time};

use super::records::{self, RecordReader, SCAN_RECORDS};
use crate::http::app::App;
use crate::http::read;
use crate::http::request::cursor::List;
use crate::http::request::head::Caller;
use crate::http::request::query::Query;
use crate::http::response::problem::Problem;
use crate::raft::Replica;

/// Which charges a list shows.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    phone: Option<Phone>,
    seller: Option<RecordNumber>,
    key: Option<IdempotencyKey>,
    from: Option<Time>,
    to: Option<Time>,
}

/// Where charges that may match are looked for, up to the last record that the reader may see.
pub(crate) enum Source {
    /// In those of these records that are not older than `since`: one of them may have been decided under the filter's key.
    Decision { numbers: Vec<RecordNumber>, since: Time },
    /// Among the charges of a phone, whose last one is known.
    OfPhone { phone: Phone, last: RecordNumber, from: RecordNumber },
    /// Among the entries of a seller.
    OfSeller { seller: RecordNumber, last: RecordNumber, from: RecordNumber },
    /// In all records of this range.
    Range { first: RecordNumber, last: RecordNumber },
}

/// Most charges of a list that one request looks through for those of a filter; a longer search continues with the page's
/// cursor. Source: each may lie in a page of its own, and reading one takes some 20 microseconds.
const SCAN_LISTED: usize = 4_096;
/// Charges of a list that are read at once where a filter passed over the first ones: those of a block.
const PIECE_FILTERED: usize = 256;

impl Filter {
    /// The filter of a query, as this caller may see it.
    pub(crate) fn of(app: &App, caller: &Caller, query: &Query<'_>) -> Result<Self, Problem> {
        // A leading plus is the number's own; any other stands for a space.
        let phone = query.get("phone").map(|text| match text.strip_prefix('+') {
            Some(rest) => read_phone(&format!("+{}", rest.replace('+', " "))),
            None => read_phone(&text.replace('+', " ")),
        });
        let phone = phone.transpose().map_err(|error| Problem::invalid("/phone", error))?;
        let key = query.get("idempotency_key").map(IdempotencyKey::new).transpose();
        let key = key.map_err(|error| Problem::invalid("/idempotency_key", error))?;
        let seller = read::seller_filter(app, caller, query)?;
        if key.is_some() && seller.is_none() {
            return Err(Problem::invalid("/seller_id", "a key names a charge of one seller only, so give the seller"));
        }
        Ok(Self { phone, seller, key, from: query.time("from")?, to: query.time("to")? })
    }

    /// The list that a cursor of this filter belongs to.
    pub(crate) fn list(&self) -> List {
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        List::new("charges")
            .with("phone", text(self.phone.map(Phone::digits)).as_deref())
            .with("seller", text(self.seller).as_deref())
            .with("key", self.key.as_ref().map(IdempotencyKey::as_str))
            .with("from", text(self.from.map(|time| time.0)).as_deref())
            .with("to", text(self.to.map(|time| time.0)).as_deref())
    }

    /// The first record to look at, by time alone.
    pub(crate) async fn first_record(&self, app: &App) -> Result<RecordNumber, Problem> {
        records::first_record(app, self.from).await
    }

    /// The narrowest source to search, from the record `first` on.
    pub(crate) fn source(&self, replica: &Replica, first: RecordNumber, now: Time) -> Result<Source, Problem> {
        let state = &replica.state;
        let seller = self.seller.map(|number| state.seller(number).ok_or_else(Problem::not_found)).transpose()?;
        if let (Some(key), Some(seller)) = (&self.key, self.seller) {
            let candidates = state.seller_candidates(seller, key, now).filter(|number| *number >= first);
            let mut numbers: Vec<_> = candidates.collect();
            numbers.sort_unstable();
            return Ok(Source::Decision { numbers, since: state.remembered_since(now) });
        }
        let (from, last) = (first, state.records());
        // A charge of a phone by a seller is in both lists: the shorter one is searched.
        let entries = seller.map(|seller| (seller.number, seller.entries));
        if let Some(phone) = self.phone {
            let account = state.phone(phone).copied().unwrap_or_default();
            if entries.is_none_or(|(_, entries)| account.charges <= entries) {
                return Ok(Source::OfPhone { phone, last: account.last_charge, from });
            }
        }
        if let Some((seller, _)) = entries {
            return Ok(Source::OfSeller { seller, last, from });
        }
        Ok(Source::Range { first, last })
    }

    fn matches(&self, record: &Record) -> bool {
        let Event::Charged(Charged { seller, phone, .. }) = &record.event else { return false };
        self.seller.is_none_or(|filter| filter == *seller)
            && self.phone.is_none_or(|filter| filter == *phone)
            && self.key.as_ref().is_none_or(|filter| record.idempotency_key.as_ref() == Some(filter))
            && self.from.is_none_or(|from| record.time >= from)
    }

    /// Whether all from this record on are too late.
    fn is_past(&self, record: &Record) -> bool {
        self.to.is_some_and(|to| record.time >= to)
    }
}

/// Charges that match, and the number after which the search continues.
pub(crate) struct FoundCharges {
    /// The charges, by their record numbers.
    pub charges: Vec<(RecordNumber, api::Charge)>,
    /// Where a search continues that found more than a page, or read as many records as one request may.
    pub next: Option<RecordNumber>,
}

/// Looks for at most `limit` charges.
pub(crate) fn search(
    reader: &RecordReader,
    filter: &Filter,
    source: Source,
    limit: usize,
) -> Result<FoundCharges, Problem> {
    // One more than a page shows says whether there is a next one. Where those did not match, few do.
    let piece = |after| if after == 0 { limit + 1 } else { PIECE_FILTERED.max(limit + 1) };
    match source {
        Source::Decision { numbers, since } => {
            let filter = Filter { from: filter.from.max(Some(since)), ..filter.clone() };
            Search::new(reader, &filter, limit, SCAN_RECORDS).through(|after| {
                let next = numbers.iter().find(|number| **number > after);
                next.map(|number| reader.record(*number)).into_iter().collect()
            })
        }
        Source::OfPhone { phone, last, from } => Search::new(reader, filter, limit, SCAN_LISTED)
            .through(|after| reader.charges_of(phone, last, from.max(after + 1), piece(after))),
        Source::OfSeller { seller, last, from } => Search::new(reader, filter, limit, SCAN_LISTED).through(|after| {
            let entries = reader.entries_of(seller, from.max(after + 1), piece(after))?;
            entries.into_iter().take_while(|number| *number <= last).map(|number| reader.record(number)).collect()
        }),
        Source::Range { first, last } => Search::new(reader, filter, limit, SCAN_RECORDS).through(|after| {
            let next = first.max(after + 1);
            let end = last.min(next.saturating_add(PAGE_RECORDS - 1));
            (next..=end).map(|number| reader.record(number)).collect()
        }),
    }
}

/// A search under way.
struct Search<'a> {
    reader: &'a RecordReader,
    filter: &'a Filter,
    limit: usize,
    /// How many records it may still look at.
    scan: usize,
    charges: Vec<(RecordNumber, api::Charge)>,
    /// The last record that it looked at.
    last: Option<RecordNumber>,
}

impl<'a> Search<'a> {
    fn new(reader: &'a RecordReader, filter: &'a Filter, limit: usize, scan: usize) -> Self {
        Self { reader, filter, limit, scan, charges: Vec::new(), last: None }
    }

    /// Looks through the pieces that `piece` gives after a record number, until it gives none or enough was seen.
    fn through(
        mut self,
        piece: impl Fn(RecordNumber) -> Result<Vec<Arc<Record>>, Problem>,
    ) -> Result<FoundCharges, Problem> {
        loop {
            let records = piece(self.last.unwrap_or(0))?;
            if records.is_empty() {
                return Ok(FoundCharges { charges: self.charges, next: None });
            }
            for record in records {
                if self.filter.is_past(&record) {
                    return Ok(FoundCharges { charges: self.charges, next: None });
                }
                let is_match = self.filter.matches(&record);
                if self.scan == 0 || (is_match && self.charges.len() == self.limit) {
                    return Ok(FoundCharges { charges: self.charges, next: self.last });
                }
                if is_match {
                    self.charges.extend(self.reader.info.charge(&record).map(|charge| (record.number, charge)));
                }
                self.scan -= 1;
                self.last = Some(record.number);
            }
        }
    }
}

/// Adds what reversed each charge, among the first `records` records.
pub(crate) fn with_reversals(
    reader: &RecordReader,
    charges: Vec<(RecordNumber, api::Charge)>,
    records: RecordNumber,
) -> Result<Vec<api::ChargeRead>, Problem> {
    let shown = charges.into_iter().map(|(number, charge)| {
        let reversed_by = reader.reversed_by(number, records)?;
        Ok(api::ChargeRead { charge, reversed_by })
    });
    shown.collect()
}
