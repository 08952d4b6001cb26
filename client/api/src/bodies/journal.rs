//! The journal, and what nodes recompute from it: reconciliations, phones, audits.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountIn, AmountOut, Timestamp};

/// `POST /v1/sellers/{id}/adjustments`. The amount is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAdjustment<'a> {
    /// Signed: above zero gives credit, below takes it.
    pub amount: AmountIn,
    /// Why; kept with the adjustment.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

/// Why an entry moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A credit request was approved.
    Credit,
    /// An admin corrected the seller's credit.
    Adjustment,
    /// A charge.
    Charge,
    /// A charge was reversed.
    Reversal,
}

/// One line of the journal: it moves one amount from the account `debit` to the account `credit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: 1, 2, 3 … without gaps.
    pub entry: u64,
    /// The number of the decision that made it. Entries of one page of 64 decisions are one block of the digest's chain.
    pub record: u64,
    /// In ledger time.
    pub created_at: Timestamp,
    /// Why it moved money.
    pub kind: EntryKind,
    /// The seller whose credit it changed.
    pub seller_id: Uuid,
    /// Signed, from the seller's side.
    pub amount: AmountOut,
    /// The seller's balance after it.
    pub balance: AmountOut,
    /// The account that was debited: `treasury`, `seller:ID` or `phone:+98…`.
    pub debit: String,
    /// The account that was credited: `treasury`, `seller:ID` or `phone:+98…`.
    pub credit: String,
    /// Id of the credit request, the adjustment, the charge, or the charge reversed.
    pub reference: Uuid,
    /// E.164; `None` where no phone is part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Name of the key that acted.
    pub actor: String,
    /// The seller's own text of the charge or the credit request; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_reference: Option<String>,
    /// Chains the journal up to here: 64 hex digits.
    pub digest: String,
}

/// One seller's books, recomputed from the journal: four signed amounts that add up to `sum`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The seller.
    pub seller_id: Uuid,
    /// Sum of its approved credit requests.
    pub credits: AmountOut,
    /// Sum of its adjustments.
    pub adjustments: AmountOut,
    /// Sum of its charges, zero or less.
    pub charges: AmountOut,
    /// Sum of its reversals.
    pub reversals: AmountOut,
    /// Sum of the four.
    pub sum: AmountOut,
    /// The balance that the node charges against.
    pub balance: AmountOut,
    /// How many entries the seller has.
    pub entries: u64,
    /// Whether `sum` and `balance` are equal, and every entry holds the balance after it, never below zero.
    pub consistent: bool,
}

/// What was sold to one phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// E.164.
    pub phone: String,
    /// Charges less reversals.
    pub balance: AmountOut,
    /// How many charges there were, reversed ones too.
    pub charges: u64,
    /// When the last of them was decided, in ledger time.
    pub last_charge_at: Timestamp,
}

/// The whole ledger, recomputed from its records up to one position: as far as the node's audit has come, which goes on in the
/// background and begins anew where the node starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// How many entries were audited: the number of the last of them.
    pub entries: u64,
    /// The newest entry of the journal: what is not audited yet comes before it.
    pub head: u64,
    /// How many sellers there are.
    pub sellers: u64,
    /// Sum of all approved credit requests.
    pub credits: AmountOut,
    /// Sum of all adjustments.
    pub adjustments: AmountOut,
    /// Sum of all charges, zero or less.
    pub charges: AmountOut,
    /// Sum of all reversals.
    pub reversals: AmountOut,
    /// Sum of all sellers' balances.
    pub seller_balances: AmountOut,
    /// Sum of all phones' balances.
    pub phone_balances: AmountOut,
    /// Balance of the treasury, which makes all accounts add up to zero.
    pub treasury: AmountOut,
    /// Whether no promise is broken.
    pub consistent: bool,
    /// Each promise that is broken, once; empty where the ledger is consistent.
    #[serde(default)]
    pub broken: Vec<BrokenPromise>,
    /// Position in the Raft log that was audited; 0 before the first.
    pub applied: u64,
    /// The replica's digest there, 64 hex digits.
    pub digest: String,
}

/// A promise that an audit found broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenPromise {
    /// Its name, such as `reversals_once`.
    pub promise: String,
    /// How often it is broken.
    pub faults: u64,
    /// The journal entry where it is broken first; `None` where no entry shows it.
    pub entry: Option<u64>,
    /// What is wrong there.
    pub detail: String,
}

impl std::fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "{} at entry {entry}: {}", self.promise, self.detail),
            None => write!(f, "{}: {}", self.promise, self.detail),
        }
    }
}
