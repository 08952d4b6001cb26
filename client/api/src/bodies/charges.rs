//! Charges and reversals, alone and in batches. The requests borrow from the body: they are the hot path.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountIn, AmountOut, Problem, Timestamp};

/// Most charges in one batch. Source: the contract; more is answered with 413.
pub const MAX_BATCH: usize = 8_000;

/// `POST /v1/charges`. The amount is positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCharge<'a> {
    /// The number to charge, as people write it; see [`read_phone`](crate::read_phone).
    #[serde(borrow)]
    pub phone: Cow<'a, str>,
    /// How much airtime, in the ledger's currency.
    pub amount: AmountIn,
    /// The caller's own text, such as its order number; see [`check_reference`](crate::check_reference).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
}

/// `POST /v1/charges/batch`: 1 to 8,000 charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest<'a> {
    /// The charges, 1 to [`MAX_BATCH`]; each stands alone.
    #[serde(borrow)]
    pub charges: Vec<BatchItem<'a>>,
}

/// One charge of a batch, with its own idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchItem<'a> {
    /// The number to charge, as people write it; see [`read_phone`](crate::read_phone).
    #[serde(borrow)]
    pub phone: Cow<'a, str>,
    /// How much airtime, in the ledger's currency.
    pub amount: AmountIn,
    /// Its key, unquoted; each item of a batch has another.
    #[serde(borrow)]
    pub idempotency_key: Cow<'a, str>,
    /// The caller's own text, such as its order number; see [`check_reference`](crate::check_reference).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
}

/// `POST /v1/charges/{id}/reversal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReversal<'a> {
    /// Why; kept with the reversal.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

/// The answer to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its id, a `UUIDv8`.
    pub id: Uuid,
    /// Number of its entry in the journal.
    pub entry: u64,
    /// The seller that was debited.
    pub seller_id: Uuid,
    /// The number that was charged, as E.164 such as `+989123456789`.
    pub phone: String,
    /// What was charged.
    pub amount: AmountOut,
    /// The seller's balance after it.
    pub balance: AmountOut,
    /// The caller's own text; `None` where it gave none.
    #[serde(default)]
    pub reference: Option<String>,
    /// When it was decided, in ledger time.
    pub created_at: Timestamp,
}

/// A charge as it is read later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRead {
    /// The charge as it was answered first.
    #[serde(flatten)]
    pub charge: Charge,
    /// Number of the entry that reversed it; `None` where none has.
    pub reversed_by: Option<u64>,
}

/// The answer to a batch: one result an item, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResponse {
    /// As many as the request has items.
    pub results: Vec<BatchResult>,
}

/// What became of one charge of a batch: `charge` where `status` is 201, otherwise `problem`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResult {
    /// 201, or the status of `problem`: 409 or 422.
    pub status: u16,
    /// Whether it was decided before, so that nothing moved now.
    pub replayed: bool,
    /// The charge, where it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}
