//! The books, added up again: from records alone, without trusting any balance that the state keeps.
//!
//! Unit: minor units, signed from the sellers' side. Feed all records in order, then compare with the state. A broken
//! promise is named with the first place. Memory: 8 bytes a record, an account a seller and a phone, and the
//! idempotency keys of up to two windows.

mod actors;
mod claims;
mod keys;
mod promise;
mod subjects;
mod sums;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use uuid::Uuid;

use crate::commands::{Event, RequestShown, Reversed};
use crate::digest::{Digest, EntryChain, RecordChain};
use crate::entry::Movement;
use crate::page::PageMark;
use crate::record::Record;
use crate::state::Totals;
use crate::state::sharded::{Sharded, TableSeed};
use crate::values::ids::{IdKind, IdSpace, RecordNumber, Time};
use crate::values::phone::Phone;

use self::actors::Actors;
pub use self::claims::Claims;
use self::keys::Keys;
pub use self::promise::{Broken, Promise};
use self::promise::{FaultAt, Findings};
use self::subjects::{End, MarkOutcome, Subjects, Thing};
pub use self::sums::Sums;

/// Adds up a whole history.
#[derive(Debug, Clone)]
pub struct Audit {
    ids: IdSpace,
    ledger: Uuid,
    sums: Sums,
    sellers: BTreeMap<RecordNumber, SellerBooks>,
    phones: Sharded<i128>,
    phone_total: i128,
    records: u64,
    time: Time,
    record_chain: RecordChain,
    entry_chain: EntryChain,
    actors: Actors,
    keys: Keys,
    subjects: Subjects,
    findings: Findings,
}

/// A seller's account, as its entries make it.
#[derive(Debug, Clone, Copy, Default)]
struct SellerBooks {
    /// The sum of its entries.
    sum: i128,
    /// The balance that its last entry states.
    stated: i64,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Sums of entries by kind.
    pub sums: Sums,
    /// How many sellers.
    pub sellers: u64,
    /// What sellers hold, recomputed.
    pub seller_balances: i128,
    /// What phones hold, recomputed.
    pub phone_balances: i128,
    /// The issuer's account, recomputed.
    pub treasury: i128,
    /// The promises that are broken, at most one item each; empty where every promise is kept.
    pub broken: Vec<Broken>,
    /// The chain over records, recomputed.
    pub digest: Digest,
}

impl AuditReport {
    /// Whether every promise is kept.
    pub fn is_consistent(&self) -> bool {
        self.broken.is_empty()
    }
}

impl Audit {
    /// Nothing fed yet. Its tables are hashed under `seed`, which no caller may know.
    pub fn new(seed: TableSeed) -> Self {
        Self {
            ids: IdSpace::default(),
            ledger: Uuid::nil(),
            sums: Sums::default(),
            sellers: BTreeMap::new(),
            phones: Sharded::new(seed),
            phone_total: 0,
            records: 0,
            time: Time::default(),
            record_chain: RecordChain::default(),
            entry_chain: EntryChain::default(),
            actors: Actors::default(),
            keys: Keys::new(seed),
            subjects: Subjects::default(),
            findings: Findings::default(),
        }
    }

    /// Compares the records fed with the mark of the page that comes next in a state: there the published digests begin.
    pub fn compare_mark(&mut self, mark: &PageMark) {
        let place = FaultAt { record: self.records.saturating_add(1), entry: None };
        let before = (mark.first, mark.entries, mark.record_digest)
            == (place.record, self.sums.entries, self.record_chain.digest());
        self.findings.check(Promise::RecordChain, before, place, || {
            format!("the chain of records differs before record {}, in the page before it", place.record)
        });
        self.findings.check(Promise::DigestChain, mark.entry_digest == self.entry_chain.digest(), place, || {
            format!("the published digests differ before record {}, in the page before it", place.record)
        });
    }

    /// Takes the next record.
    pub fn feed(&mut self, record: &Record) {
        let entry = if self.sums.add(record) { Some(self.sums.entries) } else { None };
        let place = FaultAt { record: record.number, entry };
        self.order(record, place);
        self.actors.check(record, place, &mut self.findings);
        self.keys.check(record, &self.actors, place, &mut self.findings);
        self.take(record, place);
        self.record_chain.push(self.ledger, record);
        self.actors.learn(record);
        self.chain_entry(record);
    }

    fn order(&mut self, record: &Record, place: FaultAt) {
        let due = self.records.saturating_add(1);
        self.findings.check(Promise::Numbered, record.number == due, place, || {
            format!("record {} stands where record {due} was due", record.number)
        });
        self.findings.check(Promise::Numbered, record.time >= self.time, place, || {
            format!("record {} was decided at {} ms, after one at {} ms", record.number, record.time.0, self.time.0)
        });
        let is_genesis = matches!(record.event, Event::Genesis(_));
        self.findings.check(Promise::Numbered, is_genesis == (self.records == 0), place, || {
            format!("record {} does not begin a ledger where one begins, or begins it again", record.number)
        });
        self.records = record.number;
        self.time = self.time.max(record.time);
    }

    fn take(&mut self, record: &Record, place: FaultAt) {
        self.subjects.keep(record);
        if let Event::Genesis(genesis) = &record.event {
            self.ids = IdSpace::new(genesis.ledger, genesis.epoch);
            self.ledger = genesis.ledger;
            self.keys.begin(genesis);
        } else if let Event::SellerCreated(_) = &record.event {
            self.sellers.insert(record.number, SellerBooks::default());
        } else if let Event::CreditApproved(approved) = &record.event {
            self.conclude(&approved.request, End::Approved, place);
        } else if let Event::CreditRejected(rejected) = &record.event {
            self.conclude(&rejected.request, End::Rejected, place);
        } else if let Event::Reversed(reversed) = &record.event {
            self.undo(reversed, place);
        }
        if let Some(movement) = record.movement() {
            self.moved(&movement, place);
            if let Some(phone) = movement.phone {
                self.moved_phone(phone, movement.amount.saturating_neg(), place);
            }
        }
    }

    /// One movement of a seller's credit.
    fn moved(&mut self, movement: &Movement<'_>, place: FaultAt) {
        let &Movement { seller, amount, entry_number: entry, balance, .. } = movement;
        let due = self.sums.entries;
        self.findings.check(Promise::Numbered, entry == due, place, || {
            format!("record {} makes entry {entry} where entry {due} was due", place.record)
        });
        let id = self.ids.uuid(IdKind::Seller, seller);
        let Some(books) = self.sellers.get_mut(&seller) else {
            self.findings.broken(Promise::SellerBalances, place, || format!("there is no seller {id}"));
            return;
        };
        let before = core::mem::replace(&mut books.stated, balance.signed());
        books.sum = books.sum.saturating_add(i128::from(amount));
        let (sum, runs) = (books.sum, before.saturating_add(amount) == balance.signed());
        self.findings.check(Promise::RunningBalances, runs, place, || {
            format!("seller {id} had {before}, moved by {amount} and has {}", balance.minor())
        });
        self.findings.check(Promise::NeverNegative, sum >= 0, place, || format!("seller {id} is at {sum}"));
    }

    fn moved_phone(&mut self, phone: Phone, amount: i64, place: FaultAt) {
        self.phone_total = self.phone_total.saturating_add(i128::from(amount));
        let Some(sum) = self.phones.get_or_default(phone.digits()) else { return };
        *sum = sum.saturating_add(i128::from(amount));
        let sum = *sum;
        self.findings.check(Promise::PhoneBalances, sum >= 0, place, || {
            format!("the phone ending in {:04} is at {sum}", phone.digits() % 10_000)
        });
    }

    /// A verdict: on a request that is there, as it was asked, and the first one.
    fn conclude(&mut self, request: &RequestShown, end: End, place: FaultAt) {
        let id = self.ids.uuid(IdKind::CreditRequest, request.number);
        let thing = Thing::request(request.seller, request.amount, request.created_at);
        let fault = match self.subjects.take(request.number, thing, end) {
            MarkOutcome::Fits => return,
            MarkOutcome::Again(before) => {
                format!("credit request {id} has a second verdict ({end:?} after {before:?})")
            }
            MarkOutcome::Different => format!("credit request {id} was of another seller, amount or time"),
            MarkOutcome::Absent => format!("there is no credit request {id}"),
        };
        self.findings.broken(Promise::RequestsOnce, place, || fault);
    }

    /// A reversal: of a charge that is there, as it was sold, and the first one.
    fn undo(&mut self, reversed: &Reversed, place: FaultAt) {
        let &Reversed { charge, seller, phone, amount, .. } = reversed;
        let id = self.ids.uuid(IdKind::Charge, charge);
        let fault = match self.subjects.take(charge, Thing::charge(seller, phone, amount), End::Reversed) {
            MarkOutcome::Fits => return,
            MarkOutcome::Again(_) => format!("charge {id} is reversed again"),
            MarkOutcome::Different => format!("charge {id} was of another seller, phone or amount"),
            MarkOutcome::Absent => format!("there is no charge {id}"),
        };
        self.findings.broken(Promise::ReversalsOnce, place, || fault);
    }

    fn chain_entry(&mut self, record: &Record) {
        if let Some(entry) = record.entry(&self.ids, self.actors.name(record.actor)) {
            self.entry_chain.push(self.ledger, &entry);
        }
    }

    /// Compares the records fed with what a state claims at the same position.
    pub fn report(mut self, claims: &Claims) -> AuditReport {
        let seller_balances = self.sellers.values().fold(0_i128, |sum, books| sum.saturating_add(books.sum));
        let treasury = self.sums.credits.saturating_add(self.sums.adjustments).saturating_neg();
        let own = Claims {
            records: self.records,
            entries: self.sums.entries,
            digest: self.record_chain.digest(),
            entry_digest: self.entry_chain.digest(),
            totals: Totals { treasury, sellers: seller_balances, phones: self.phone_total },
            balances: self.sellers.iter().map(|(seller, books)| (*seller, books.sum)).collect(),
        };
        own.compare(claims, &mut self.findings);
        AuditReport {
            sums: self.sums,
            sellers: self.sellers.len() as u64,
            seller_balances,
            phone_balances: self.phone_total,
            treasury,
            broken: self.findings.into_broken(),
            digest: own.digest,
        }
    }
}
