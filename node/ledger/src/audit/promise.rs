//! The promises that an audit checks, and its findings: a broken promise, how often, and the first place.
//!
//! Bounded by the number of promises, however much is broken.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::values::ids::RecordNumber;

/// A promise that the records alone can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Records and entries are numbered without gaps, in order of time, from one genesis.
    Numbered,
    /// The replicas' digests chain all records.
    RecordChain,
    /// The published digests chain all entries.
    DigestChain,
    /// Each entry's balance is the one before plus its amount.
    RunningBalances,
    /// No seller is below zero at any entry.
    NeverNegative,
    /// A credit request is decided once, as it was asked.
    RequestsOnce,
    /// A charge is reversed at most once, and whole.
    ReversalsOnce,
    /// An idempotency key stands for one decision within its window.
    KeysOnce,
    /// Each record was decided for a key in force that may have it decided.
    Authorised,
    /// Each seller's balance is the sum of its entries.
    SellerBalances,
    /// Each phone holds its charges less their reversals, never less than nothing.
    PhoneBalances,
    /// The sums over all accounts are those of the entries, and add up to zero.
    SumsEqual,
}

impl Promise {
    /// Its name for programs, as `etebar verify --json` has it too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numbered => "numbered",
            Self::RecordChain => "record_chain",
            Self::DigestChain => "digest_chain",
            Self::RunningBalances => "running_balances",
            Self::NeverNegative => "never_negative",
            Self::RequestsOnce => "requests_once",
            Self::ReversalsOnce => "reversals_once",
            Self::KeysOnce => "keys_once",
            Self::Authorised => "authorised",
            Self::SellerBalances => "seller_balances",
            Self::PhoneBalances => "phone_balances",
            Self::SumsEqual => "sums_equal",
        }
    }
}

/// Where a promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FaultAt {
    pub(super) record: RecordNumber,
    pub(super) entry: Option<u64>,
}

/// A promise that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub promise: Promise,
    /// How often.
    pub faults: u64,
    /// The record at which it is broken first; the last one where only a sum shows it.
    pub record: RecordNumber,
    /// The journal entry that this record made; `None` where it made none, or only a sum shows it.
    pub entry: Option<u64>,
    /// What is wrong there.
    pub detail: String,
}

/// Collects faults by promise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings(BTreeMap<Promise, Broken>);

impl Findings {
    /// Looks at one thing; where it does not hold, `detail` says what is wrong.
    pub(super) fn check(&mut self, promise: Promise, holds: bool, place: FaultAt, detail: impl FnOnce() -> String) {
        if !holds {
            self.broken(promise, place, detail);
        }
    }

    /// A promise does not hold.
    pub(super) fn broken(&mut self, promise: Promise, place: FaultAt, detail: impl FnOnce() -> String) {
        let FaultAt { record, entry } = place;
        let first = || Broken { promise, faults: 0, record, entry, detail: detail() };
        let broken = self.0.entry(promise).or_insert_with(first);
        broken.faults = broken.faults.saturating_add(1);
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One item a promise that is broken.
    pub(super) fn all(&self) -> Vec<Broken> {
        self.0.values().cloned().collect()
    }
}
