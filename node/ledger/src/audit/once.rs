//! What may happen once: the verdict on a credit request, and the reversal of a charge.
//!
//! Memory: an item a credit request and a number a reversed charge. Charges themselves are not kept: the one that a reversal
//! names is read again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use crate::commands::{Charged, Event, RequestShown, Reversed};
use crate::record::Record;
use crate::state::sharded::TableSeed;
use crate::values::amount::Amount;
use crate::values::ids::{RecordNumber, Time};

/// How a credit request ends, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Approved,
    Rejected,
}

/// What was found where a record refers to an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkOutcome {
    /// It is there, as it was, and had not ended.
    Fits,
    /// It had ended before: a request so, a charge by a reversal.
    Again(Option<End>),
    /// It is there, and was another one.
    Different,
    /// No record of this kind has that number.
    Absent,
}

/// A credit request as it was filed, and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    seller: RecordNumber,
    amount: Amount,
    created_at: Time,
    end: Option<End>,
}

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Once {
    requests: BTreeMap<RecordNumber, Request>,
    reversed: HashSet<RecordNumber, TableSeed>,
}

impl Once {
    /// Nothing asked, nothing undone.
    pub(super) fn new(seed: TableSeed) -> Self {
        Self { requests: BTreeMap::new(), reversed: HashSet::with_hasher(seed) }
    }

    /// Keeps the credit request that a record files.
    pub(super) fn keep(&mut self, record: &Record) {
        let filed = match &record.event {
            Event::CreditRequested(filed) => Some(filed),
            Event::CreditRequestedFor(filed) => Some(&filed.request),
            _ => None,
        };
        if let Some(filed) = filed {
            let request = Request { seller: filed.seller, amount: filed.amount, created_at: record.time, end: None };
            self.requests.insert(record.number, request);
        }
    }

    /// Ends a credit request, which a later record shows.
    pub(super) fn conclude(&mut self, shown: &RequestShown, end: End) -> MarkOutcome {
        let Some(request) = self.requests.get_mut(&shown.number) else { return MarkOutcome::Absent };
        if request.end.is_some() {
            return MarkOutcome::Again(request.end);
        }
        if (request.seller, request.amount, request.created_at) != (shown.seller, shown.amount, shown.created_at) {
            return MarkOutcome::Different;
        }
        request.end = Some(end);
        MarkOutcome::Fits
    }

    /// Undoes a charge, which a later record names; `charged` is what that record holds, where it holds a charge.
    pub(super) fn undo(&mut self, reversed: &Reversed, charged: Option<&Charged>) -> MarkOutcome {
        let Some(charged) = charged else { return MarkOutcome::Absent };
        if self.reversed.contains(&reversed.charge) {
            return MarkOutcome::Again(None);
        }
        if (charged.seller, charged.phone, charged.amount) != (reversed.seller, reversed.phone, reversed.amount) {
            return MarkOutcome::Different;
        }
        self.reversed.insert(reversed.charge);
        MarkOutcome::Fits
    }
}

/// To and from an image.
impl Once {
    /// All credit requests, in the order of their numbers.
    pub(super) fn requests(&self) -> impl Iterator<Item = (RecordNumber, Request)> + '_ {
        self.requests.iter().map(|(number, request)| (*number, *request))
    }

    /// All charges that were undone, in no order.
    pub(super) fn reversed(&self) -> impl Iterator<Item = RecordNumber> + '_ {
        self.reversed.iter().copied()
    }

    /// Takes credit requests of an image.
    pub(super) fn put_requests(&mut self, requests: Vec<(RecordNumber, Request)>) {
        self.requests.extend(requests);
    }

    /// Takes charges of an image that were undone.
    pub(super) fn put_reversed(&mut self, charges: Vec<RecordNumber>) {
        self.reversed.extend(charges);
    }
}

impl PartialEq for Once {
    fn eq(&self, other: &Self) -> bool {
        (&self.requests, &self.reversed) == (&other.requests, &other.reversed)
    }
}

impl Eq for Once {}
