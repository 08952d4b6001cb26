//! The books, added up again: from records alone, without trusting any balance that the state keeps.
//!
//! Unit: minor units, signed from the sellers' side. Feed all records in order, then compare with the state.

use alloc::collections::BTreeMap;

use crate::digest::{Digest, chain_record};
use crate::ids::RecordNumber;
use crate::record::{Event, Record};
use crate::state::{State, Totals};

/// Sums of entries by kind. `credits + adjustments + charges + reversals` is what sellers hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Approved credit requests; not negative.
    pub credits: i128,
    /// Corrections, either way.
    pub adjustments: i128,
    /// Sales; not positive.
    pub charges: i128,
    /// Sales undone; not negative.
    pub reversals: i128,
    /// How many entries.
    pub entries: u64,
}

impl Sums {
    /// All four together.
    pub fn total(&self) -> i128 {
        self.credits.saturating_add(self.adjustments).saturating_add(self.charges).saturating_add(self.reversals)
    }

    /// Adds what one record moved; `true` where it moved money.
    pub fn add(&mut self, record: &Record) -> bool {
        let (sum, amount) = match &record.event {
            Event::CreditApproved { request, .. } => (&mut self.credits, request.amount.plus()),
            Event::Adjusted { amount, .. } => (&mut self.adjustments, amount.minor()),
            Event::Charged { amount, .. } => (&mut self.charges, amount.minus()),
            Event::Reversed { amount, .. } => (&mut self.reversals, amount.plus()),
            Event::Genesis(_)
            | Event::SellerCreated { .. }
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditRequested { .. }
            | Event::CreditRejected { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => return false,
        };
        *sum = sum.saturating_add(i128::from(amount));
        self.entries = self.entries.saturating_add(1);
        true
    }
}

/// Adds up a whole history.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    sums: Sums,
    sellers: BTreeMap<RecordNumber, i128>,
    phones: i128,
    records: u64,
    digest: Digest,
    sound: bool,
}

/// What a state claims at one position: taken quickly, compared after the records up to it were fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// How many records.
    pub records: u64,
    /// How many entries.
    pub entries: u64,
    /// The chain over records.
    pub digest: Digest,
    /// Sums over all accounts.
    pub totals: Totals,
    /// Each seller's balance.
    pub balances: BTreeMap<RecordNumber, i128>,
}

impl Claims {
    /// What `state` claims now.
    pub fn of(state: &State) -> Self {
        let balances =
            state.sellers_after(0).map(|(number, seller)| (*number, i128::from(seller.balance.signed()))).collect();
        Self { balances, ..Self::without_balances(state) }
    }

    /// The same without the sellers' balances, which are as many as there are sellers.
    pub fn without_balances(state: &State) -> Self {
        Self {
            records: state.records(),
            entries: state.entries(),
            digest: state.digest(),
            totals: state.totals(),
            balances: BTreeMap::new(),
        }
    }
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
    /// Whether every number equals the state's, every balance was its entries' sum, and none was ever negative.
    pub consistent: bool,
    /// The chain over records, recomputed.
    pub digest: Digest,
}

impl Audit {
    /// Nothing fed yet.
    pub fn new() -> Self {
        Self { sound: true, ..Self::default() }
    }

    /// Takes the next record.
    pub fn feed(&mut self, record: &Record) {
        self.sound &= record.number == self.records.saturating_add(1);
        self.records = record.number;
        self.digest = chain_record(&self.digest, record);
        self.sums.add(record);
        match &record.event {
            Event::SellerCreated { .. } => {
                self.sellers.insert(record.number, 0);
            }
            Event::CreditApproved { request, entry, balance, .. } => {
                self.moved(request.seller, request.amount.plus(), *entry, balance.signed());
            }
            Event::Adjusted { seller, amount, entry, balance, .. } => {
                self.moved(*seller, amount.minor(), *entry, balance.signed());
            }
            Event::Charged { seller, amount, entry, balance, .. } => {
                self.moved(*seller, amount.minus(), *entry, balance.signed());
                self.phones = self.phones.saturating_add(i128::from(amount.plus()));
            }
            Event::Reversed { seller, amount, entry, balance, .. } => {
                self.moved(*seller, amount.plus(), *entry, balance.signed());
                self.phones = self.phones.saturating_add(i128::from(amount.minus()));
            }
            Event::Genesis(_)
            | Event::SellerStatusSet { .. }
            | Event::KeyCreated { .. }
            | Event::KeyRevoked { .. }
            | Event::CreditRequested { .. }
            | Event::CreditRejected { .. }
            | Event::Refused { .. }
            | Event::NodeRegistered { .. } => {}
        }
    }

    fn moved(&mut self, seller: RecordNumber, amount: i64, entry: u64, balance: i64) {
        self.sound &= entry == self.sums.entries;
        let Some(sum) = self.sellers.get_mut(&seller) else {
            self.sound = false;
            return;
        };
        *sum = sum.saturating_add(i128::from(amount));
        self.sound &= *sum == i128::from(balance) && *sum >= 0;
    }

    /// Compares what was fed with what a state claims at the same position.
    pub fn report(self, claims: &Claims) -> AuditReport {
        let seller_balances = self.sellers.values().fold(0_i128, |sum, balance| sum.saturating_add(*balance));
        let treasury = self.sums.credits.saturating_add(self.sums.adjustments).saturating_neg();
        let consistent = self.sound
            && self.records == claims.records
            && self.sums.entries == claims.entries
            && self.digest == claims.digest
            && self.sellers == claims.balances
            && seller_balances == self.sums.total()
            && claims.totals == Totals { treasury, sellers: seller_balances, phones: self.phones }
            && treasury.saturating_add(seller_balances).saturating_add(self.phones) == 0;
        AuditReport {
            sums: self.sums,
            sellers: self.sellers.len() as u64,
            seller_balances,
            phone_balances: self.phones,
            treasury,
            consistent,
            digest: self.digest,
        }
    }
}
