//! What a state claims at one position: taken quickly, compared after the records up to it were fed.

use alloc::collections::BTreeMap;
use alloc::format;

use super::promise::{FaultAt, Findings, Promise};
use crate::digest::Digest;
use crate::state::{State, Totals};
use crate::values::ids::RecordNumber;

/// See the head of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// How many records.
    pub records: u64,
    /// How many entries.
    pub entries: u64,
    /// The chain over records.
    pub digest: Digest,
    /// The published chain over entries.
    pub entry_digest: Digest,
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
            entry_digest: state.entry_digest(),
            totals: state.totals(),
            balances: BTreeMap::new(),
        }
    }

    /// Compares these, which were recomputed from records, with what the state claims.
    pub(super) fn compare(&self, claimed: &Self, findings: &mut Findings) {
        let place = FaultAt { record: claimed.records, entry: None };
        for (what, own, claimed) in
            [("records", self.records, claimed.records), ("entries", self.entries, claimed.entries)]
        {
            findings.check(Promise::Numbered, own == claimed, place, || {
                format!("the history has {own} {what}, the ledger {claimed}")
            });
        }
        findings.check(Promise::RecordChain, self.digest == claimed.digest, place, || {
            format!("the records chain to {}, the ledger has {}", self.digest, claimed.digest)
        });
        findings.check(Promise::DigestChain, self.entry_digest == claimed.entry_digest, place, || {
            format!("the entries chain to {}, the ledger has {}", self.entry_digest, claimed.entry_digest)
        });
        let unknown = claimed.balances.keys().filter(|seller| !self.balances.contains_key(seller));
        let sellers = self.balances.keys().chain(unknown);
        for seller in sellers {
            let (own, claimed) = (self.balances.get(seller), claimed.balances.get(seller));
            findings.check(Promise::SellerBalances, own == claimed, place, || {
                format!("the entries of the seller of record {seller} sum to {own:?}, the ledger has {claimed:?}")
            });
        }
        let (own, claimed) = (&self.totals, &claimed.totals);
        findings.check(Promise::PhoneBalances, own.phones == claimed.phones, place, || {
            format!("the phones' entries sum to {}, the ledger has {}", own.phones, claimed.phones)
        });
        for (what, own, claimed) in
            [("treasury", own.treasury, claimed.treasury), ("sellers", own.sellers, claimed.sellers)]
        {
            findings.check(Promise::SumsEqual, own == claimed, place, || {
                format!("the entries of the {what} sum to {own}, the ledger has {claimed}")
            });
        }
        let sum = own.sum();
        findings.check(Promise::SumsEqual, sum == 0, place, || format!("all accounts add up to {sum}"));
    }
}
