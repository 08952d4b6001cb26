//! What a state claims at one position: taken quickly, compared after the records up to it were fed.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::promise::{FaultAt, Findings, Promise};
use crate::digest::Digest;
use crate::state::{State, Totals};
use crate::values::ids::RecordNumber;
use crate::values::phone::Phone;

/// See the head of this file. Sums are those of all accounts; of single accounts it has all sellers, or some of each kind.
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
    /// Which sellers these are.
    pub span: SellerSpan,
    /// The balance of each seller of the span.
    pub balances: BTreeMap<RecordNumber, i128>,
    /// The balances of some phones.
    pub phones: BTreeMap<Phone, i128>,
}

/// Sellers whose numbers follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SellerSpan {
    /// Those after this number; 0 begins with the first.
    pub after: RecordNumber,
    /// The last of them; `None` goes to the end.
    pub last: Option<RecordNumber>,
}

/// Which single accounts a state is asked for: a few at a time, so that it is not locked long, and all in turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The number after which sellers are asked for.
    pub sellers_after: RecordNumber,
    /// Most sellers.
    pub sellers_max: usize,
    /// These phones.
    pub phones: Vec<Phone>,
}

impl Claims {
    /// What `state` claims now, with all sellers' balances and no phone's.
    pub fn of(state: &State) -> Self {
        Self::with(state, &Accounts { sellers_max: usize::MAX, ..Accounts::default() })
    }

    /// What `state` claims now, with the balances of these accounts.
    pub fn with(state: &State, accounts: &Accounts) -> Self {
        let mut sellers = state.sellers_after(accounts.sellers_after);
        let first = sellers.by_ref().take(accounts.sellers_max);
        let balances: BTreeMap<_, _> =
            first.map(|(number, seller)| (*number, i128::from(seller.balance.signed()))).collect();
        // Where there are no more, the span goes to the end: a seller that the state lacks is missed too.
        let last = sellers.next().and_then(|_| balances.last_key_value().map(|(number, _)| *number));
        let held = |phone: &Phone| state.phone(*phone).map_or(0, |account| i128::from(account.balance.signed()));
        Self {
            records: state.records(),
            entries: state.entries(),
            digest: state.digest(),
            entry_digest: state.entry_digest(),
            totals: state.totals(),
            span: SellerSpan { after: accounts.sellers_after, last },
            balances,
            phones: accounts.phones.iter().map(|phone| (*phone, held(phone))).collect(),
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
        for (phone, claimed) in &claimed.phones {
            let own = self.phones.get(phone).copied().unwrap_or_default();
            findings.check(Promise::PhoneBalances, own == *claimed, place, || {
                let ending = phone.digits() % 10_000;
                format!("the entries of the phone ending in {ending:04} sum to {own}, the ledger has {claimed}")
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
