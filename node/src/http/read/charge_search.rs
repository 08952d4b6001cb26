//! The search of charges: by phone, seller, key and time, in the narrowest index that has them all.

use etebar_api as api;
use etebar_api::read_phone;
use ledger::{Charged, Event, IdempotencyKey, Phone, Record, RecordNumber, Time};

use super::records::{self, PIECE, RecordReader, SCAN_RECORDS};
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

/// Where charges that may match are looked for.
pub(crate) enum Source {
    /// In those of these records that are not older than `since`: one of them may have been decided under the filter's key.
    Decision { numbers: Vec<RecordNumber>, since: Time },
    /// In these records, and after the last of them where `more` is set.
    Numbers { numbers: Vec<RecordNumber>, more: bool },
    /// In all records of this range.
    Range { first: RecordNumber, last: RecordNumber },
}

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
        if let Some(phone) = self.phone {
            let charges = state.phone(phone).map_or(&[][..], |account| &account.charges);
            let begin = charges.partition_point(|number| *number < first);
            return Ok(some_of(charges[begin..].iter().copied(), charges.len() - begin));
        }
        if let Some(seller) = seller {
            let begin = seller.entries.partition_point(|entry| entry.record() < first);
            let refs = seller.entries[begin..].iter();
            return Ok(some_of(refs.map(|entry| entry.record()), seller.entries.len() - begin));
        }
        Ok(Source::Range { first, last: state.records() })
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

/// As many numbers as are copied at once while the state is locked.
fn some_of(numbers: impl Iterator<Item = RecordNumber>, count: usize) -> Source {
    Source::Numbers { numbers: numbers.take(PIECE).collect(), more: count > PIECE }
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
    match source {
        Source::Decision { numbers, since } => {
            let filter = Filter { from: filter.from.max(Some(since)), ..filter.clone() };
            search_in(reader, &filter, numbers.into_iter(), false, limit)
        }
        Source::Numbers { numbers, more } => search_in(reader, filter, numbers.into_iter(), more, limit),
        Source::Range { first, last } => {
            let more = last.saturating_sub(first) >= SCAN_RECORDS as u64;
            search_in(reader, filter, (first..=last).take(SCAN_RECORDS), more, limit)
        }
    }
}

fn search_in(
    reader: &RecordReader,
    filter: &Filter,
    numbers: impl Iterator<Item = RecordNumber>,
    more: bool,
    limit: usize,
) -> Result<FoundCharges, Problem> {
    let mut charges: Vec<(RecordNumber, api::Charge)> = Vec::new();
    let mut last = None;
    for number in numbers {
        let record = reader.record(number)?;
        if filter.is_past(&record) {
            return Ok(FoundCharges { charges, next: None });
        }
        if filter.matches(&record) {
            if charges.len() == limit {
                return Ok(FoundCharges { charges, next: last });
            }
            charges.extend(reader.info.charge(&record).map(|charge| (number, charge)));
        }
        last = Some(number);
    }
    Ok(FoundCharges { charges, next: last.filter(|_| more) })
}

/// Adds what reversed each charge, up to the record `bound`.
pub(crate) fn with_reversals(
    app: &App,
    charges: Vec<(RecordNumber, api::Charge)>,
    bound: RecordNumber,
) -> Vec<api::ChargeRead> {
    let replica = app.cluster.replica();
    let reversal_of = |number| replica.state.reversal(number).filter(|reversal| reversal.record <= bound);
    let shown = charges.into_iter().map(|(number, charge)| {
        let reversed_by = reversal_of(number).map(|reversal| reversal.entry);
        api::ChargeRead { charge, reversed_by }
    });
    shown.collect()
}
