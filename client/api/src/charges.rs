//! Charges and reversals, alone and in batches. The requests borrow from the body: they are the hot path.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AmountIn, AmountOut, Problem, Timestamp};

/// `POST /v1/charges`. The amount is positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCharge<'a> {
    #[serde(borrow)]
    pub phone: Cow<'a, str>,
    pub amount: AmountIn,
}

/// `POST /v1/charges/batch`: 1 to 8,000 charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest<'a> {
    #[serde(borrow)]
    pub charges: Vec<BatchItem<'a>>,
}

/// One charge of a batch, with its own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchItem<'a> {
    #[serde(borrow)]
    pub phone: Cow<'a, str>,
    pub amount: AmountIn,
    #[serde(borrow)]
    pub idempotency_key: Cow<'a, str>,
}

/// `POST /v1/charges/{id}/reversal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReversal<'a> {
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

/// The answer to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub id: Uuid,
    /// Number in the journal.
    pub entry: u64,
    pub seller_id: Uuid,
    /// E.164.
    pub phone: String,
    pub amount: AmountOut,
    /// The seller's, after it.
    pub balance: AmountOut,
    pub created_at: Timestamp,
}

/// A charge as it is read later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRead {
    #[serde(flatten)]
    pub charge: Charge,
    /// Number of the entry that reversed it.
    pub reversed_by: Option<u64>,
}

/// The answer to a batch: one result an item, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResponse {
    pub results: Vec<BatchResult>,
}

/// What became of one charge of a batch: `charge` where `status` is 201, otherwise `problem`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResult {
    pub status: u16,
    pub replayed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}
