//! The books, added up again: from records alone, without trusting any balance that the state keeps.
//!
//! Unit: minor units, signed from the sellers' side. Feed all records in order, and compare with a state wherever both are at
//! the same record; it never ends. A broken promise is named with the first place. Memory: an account a seller and a phone,
//! the idempotency keys of one window, an item a credit request and a reversed charge; nothing for any other record. What a
//! check needs of one is read again ([`Past`]).

mod actors;
mod claims;
mod image;
mod keys;
mod once;
mod past;
mod phones;
mod promise;
mod sums;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commands::{Charged, EpochBegun, Event, RequestShown, Reversed};
use crate::digest::{Digest, EntryChain, RecordChain};
use crate::entry::Movement;
use crate::page::PageMark;
use crate::record::Record;
use crate::state::Totals;
use crate::state::sharded::TableSeed;
use crate::values::ids::{IdKind, IdSpace, RecordNumber, Time};
use crate::values::phone::Phone;

use self::actors::Actors;
pub use self::claims::{Accounts, Claims, SellerSpan};
pub use self::image::{AUDIT_IMAGE_VERSION, AuditBuilder, AuditPart};
use self::keys::Keys;
use self::once::{End, MarkOutcome, Once};
pub use self::past::Past;
use self::phones::Phones;
pub use self::promise::{Broken, Promise};
use self::promise::{FaultAt, Findings};
pub use self::sums::Sums;

/// Adds up a whole history, as it grows.
#[derive(Debug, Clone)]
pub struct Audit {
    ids: IdSpace,
    ledger: Uuid,
    epoch: u32,
    /// The epochs after the first one: the number of each, and the record that began it.
    later_epochs: Vec<(u32, RecordNumber)>,
    on_hold: bool,
    sums: Sums,
    sellers: BTreeMap<RecordNumber, SellerBooks>,
    seller_total: i128,
    /// The seller after which a state is asked next.
    sellers_compared: RecordNumber,
    phones: Phones,
    records: u64,
    time: Time,
    record_chain: RecordChain,
    entry_chain: EntryChain,
    actors: Actors,
    keys: Keys,
    once: Once,
    findings: Findings,
}

/// A seller's account, as its entries make it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
            epoch: 0,
            later_epochs: Vec::new(),
            on_hold: false,
            sums: Sums::default(),
            sellers: BTreeMap::new(),
            seller_total: 0,
            sellers_compared: 0,
            phones: Phones::new(seed),
            records: 0,
            time: Time::default(),
            record_chain: RecordChain::default(),
            entry_chain: EntryChain::default(),
            actors: Actors::default(),
            keys: Keys::new(seed),
            once: Once::new(seed),
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

    /// What its tables are hashed under.
    pub fn table_seed(&self) -> TableSeed {
        self.keys.seed()
    }

    /// How many records were fed: the number of the last one.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many entries they made.
    pub fn entries(&self) -> u64 {
        self.sums.entries
    }

    /// Takes the next record. What it refers to is read from `past`, before anything changes.
    ///
    /// # Errors
    /// Where `past` could not be read: then the record was not taken.
    pub fn feed<P: Past + ?Sized>(&mut self, record: &Record, past: &P) -> Result<(), P::Error> {
        let decided_before = self.keys.decided_before(record, &self.actors, past)?;
        let undone = match &record.event {
            Event::Reversed(reversed) if (1..record.number).contains(&reversed.charge) => {
                past.record(reversed.charge)?
            }
            _ => None,
        };
        let entry = if self.sums.add(record) { Some(self.sums.entries) } else { None };
        let place = FaultAt { record: record.number, entry };
        self.order(record, place);
        self.actors.check(record, place, &mut self.findings);
        self.check_key(record, decided_before, place);
        self.take(record, undone.as_deref().and_then(charged), place);
        self.record_chain.push(self.ledger, record);
        self.actors.learn(record);
        self.chain_entry(record);
        Ok(())
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

    /// The record's key, if it has one, had no decision within the window before it.
    fn check_key(&mut self, record: &Record, decided_before: Option<Time>, place: FaultAt) {
        let Record { number, time, actor, idempotency_key, .. } = record;
        let is_ones = idempotency_key.is_none() || self.actors.scope(*actor).is_some();
        self.findings.check(Promise::Authorised, is_ones, place, || {
            format!("record {number} has an idempotency key, and no API key whose it is")
        });
        if let Some(earlier) = decided_before {
            let ms = time.0.saturating_sub(earlier.0);
            self.findings.broken(Promise::KeysOnce, place, || {
                format!(
                    "record {number} is a second decision under an idempotency key of actor {actor}, {ms} ms after the first"
                )
            });
        }
        self.keys.keep(record, &self.actors);
    }

    fn take(&mut self, record: &Record, undone: Option<&Charged>, place: FaultAt) {
        self.once.keep(record);
        if let Event::Genesis(genesis) = &record.event {
            self.ids = IdSpace::new(genesis.ledger, genesis.epoch);
            (self.ledger, self.epoch) = (genesis.ledger, genesis.epoch);
            self.keys.begin(genesis);
        } else if let Event::EpochBegun(begun) = &record.event {
            self.begin_epoch(begun, place);
        } else if let Event::LedgerOpened(_) = &record.event {
            self.on_hold = false;
        } else if let Event::SellerCreated(_) = &record.event {
            self.sellers.insert(record.number, SellerBooks::default());
        } else if let Event::CreditApproved(approved) = &record.event {
            self.conclude(&approved.request, End::Approved, place);
        } else if let Event::CreditRejected(rejected) = &record.event {
            self.conclude(&rejected.request, End::Rejected, place);
        } else if let Event::Reversed(reversed) = &record.event {
            self.undo(reversed, undone, place);
        }
        if let Some(movement) = record.movement() {
            self.findings.check(Promise::Authorised, !self.on_hold, place, || {
                format!("record {} moved credit while the ledger was on hold", record.number)
            });
            self.moved(&movement, place);
            if let Some(phone) = movement.phone {
                self.moved_phone(phone, movement.amount.saturating_neg(), place);
            }
        }
    }

    /// The ledger goes on as a new cluster, on hold.
    fn begin_epoch(&mut self, begun: &EpochBegun, place: FaultAt) {
        let before = self.later_epochs.last().map_or(self.epoch, |(epoch, _)| *epoch);
        self.findings.check(Promise::Numbered, begun.epoch > before, place, || {
            format!("record {} begins epoch {} after epoch {before}", place.record, begun.epoch)
        });
        self.later_epochs.push((begun.epoch, place.record));
        self.ids.begin_epoch(self.ledger, begun.epoch, place.record);
        self.on_hold = true;
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
        self.seller_total = self.seller_total.saturating_add(i128::from(amount));
        let (sum, runs) = (books.sum, before.saturating_add(amount) == balance.signed());
        self.findings.check(Promise::RunningBalances, runs, place, || {
            format!("seller {id} had {before}, moved by {amount} and has {}", balance.minor())
        });
        self.findings.check(Promise::NeverNegative, sum >= 0, place, || format!("seller {id} is at {sum}"));
    }

    fn moved_phone(&mut self, phone: Phone, amount: i64, place: FaultAt) {
        let sum = self.phones.add(phone, amount);
        self.findings.check(Promise::PhoneBalances, sum >= 0, place, || {
            format!("the phone ending in {:04} is at {sum}", phone.digits() % 10_000)
        });
    }

    /// A verdict: on a request that is there, as it was asked, and the first one.
    fn conclude(&mut self, request: &RequestShown, end: End, place: FaultAt) {
        let id = self.ids.uuid(IdKind::CreditRequest, request.number);
        let fault = match self.once.conclude(request, end) {
            MarkOutcome::Fits => return,
            MarkOutcome::Again(before) => {
                let before = before.unwrap_or(end);
                format!("credit request {id} has a second verdict ({end:?} after {before:?})")
            }
            MarkOutcome::Different => format!("credit request {id} was of another seller, amount or time"),
            MarkOutcome::Absent => format!("there is no credit request {id}"),
        };
        self.findings.broken(Promise::RequestsOnce, place, || fault);
    }

    /// A reversal: of a charge that is there, as it was sold, and the first one.
    fn undo(&mut self, reversed: &Reversed, undone: Option<&Charged>, place: FaultAt) {
        let id = self.ids.uuid(IdKind::Charge, reversed.charge);
        let fault = match self.once.undo(reversed, undone) {
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

    /// The accounts to ask a state for next, so many of each kind at most: all in turn.
    pub fn accounts_to_ask(&mut self, sellers_max: usize, phones_max: usize) -> Accounts {
        Accounts { sellers_after: self.sellers_compared, sellers_max, phones: self.phones.take_turn(phones_max) }
    }

    /// Compares the records fed with what a state claims at the same position.
    pub fn compare(&mut self, claims: &Claims) {
        let SellerSpan { after, last } = claims.span;
        let sellers = self.sellers.range((Bound::Excluded(after), last.map_or(Bound::Unbounded, Bound::Included)));
        let own = Claims {
            records: self.records,
            entries: self.sums.entries,
            digest: self.record_chain.digest(),
            entry_digest: self.entry_chain.digest(),
            totals: self.totals(),
            span: claims.span,
            balances: sellers.map(|(seller, books)| (*seller, books.sum)).collect(),
            phones: claims.phones.keys().map(|phone| (*phone, i128::from(self.phones.balance(*phone)))).collect(),
        };
        own.compare(claims, &mut self.findings);
        self.sellers_compared = last.unwrap_or(0);
    }

    fn totals(&self) -> Totals {
        Totals {
            treasury: self.sums.credits.saturating_add(self.sums.adjustments).saturating_neg(),
            sellers: self.seller_total,
            phones: self.phones.total(),
        }
    }

    /// What was found so far.
    pub fn report(&self) -> AuditReport {
        let totals = self.totals();
        AuditReport {
            sums: self.sums,
            sellers: self.sellers.len() as u64,
            seller_balances: totals.sellers,
            phone_balances: totals.phones,
            treasury: totals.treasury,
            broken: self.findings.all(),
            digest: self.record_chain.digest(),
        }
    }
}

/// The charge that a record holds, where it holds one.
fn charged(record: &Record) -> Option<&Charged> {
    if let Event::Charged(charged) = &record.event { Some(charged) } else { None }
}
