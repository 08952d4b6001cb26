//! The journal and what is recomputed from it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AmountIn, AmountOut, Timestamp};

/// `POST /v1/sellers/{id}/adjustments`. The amount is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAdjustment<'a> {
    pub amount: AmountIn,
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

/// Why an entry moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Credit,
    Adjustment,
    Charge,
    Reversal,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 … without gaps.
    pub entry: u64,
    pub created_at: Timestamp,
    pub kind: EntryKind,
    pub seller_id: Uuid,
    /// Signed, from the seller's side.
    pub amount: AmountOut,
    /// The seller's, after it.
    pub balance: AmountOut,
    /// `treasury`, `seller:ID` or `phone:+98…`.
    pub debit: String,
    /// `treasury`, `seller:ID` or `phone:+98…`.
    pub credit: String,
    /// Id of the credit request, the adjustment, the charge, or the charge reversed.
    pub reference: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Name of the key that acted.
    pub actor: String,
    /// Chains the journal up to here: 64 hex digits.
    pub digest: String,
}

/// One seller's books, recomputed from the journal: four signed amounts that add up to `sum`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub seller_id: Uuid,
    pub credits: AmountOut,
    pub adjustments: AmountOut,
    pub charges: AmountOut,
    pub reversals: AmountOut,
    pub sum: AmountOut,
    pub balance: AmountOut,
    /// How many.
    pub entries: u64,
    pub consistent: bool,
}

/// What was sold to one phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    pub phone: String,
    pub balance: AmountOut,
    /// How many.
    pub charges: u64,
    pub last_charge_at: Timestamp,
}

/// The whole ledger, recomputed from the journal at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// How many.
    pub entries: u64,
    /// How many.
    pub sellers: u64,
    pub credits: AmountOut,
    pub adjustments: AmountOut,
    pub charges: AmountOut,
    pub reversals: AmountOut,
    pub seller_balances: AmountOut,
    pub phone_balances: AmountOut,
    pub treasury: AmountOut,
    /// Whether nothing is broken.
    pub consistent: bool,
    /// Each promise that is broken, once; empty where the ledger is consistent.
    #[serde(default)]
    pub broken: Vec<BrokenPromise>,
    pub applied: u64,
    pub digest: String,
}

/// A promise that an audit found broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenPromise {
    /// Its name, such as `reversals_once`.
    pub promise: String,
    /// How often it is broken.
    pub faults: u64,
    /// The journal entry where it is broken first; `None` where it is no entry, or only a sum shows it.
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
