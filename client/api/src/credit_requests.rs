//! Credit requests: a seller's wish for more credit, decided once and for ever.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AmountIn, AmountOut, Timestamp};

/// `POST /v1/credit-requests`. The amount is positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCreditRequest<'a> {
    pub amount: AmountIn,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Cow<'a, str>>,
}

/// `POST /v1/credit-requests/{id}/approve` and `/reject`; an empty body says the same as `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

/// Where a credit request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    Pending,
    Approved,
    Rejected,
}

/// A credit request as every endpoint shows it. The last three members are `null` while it is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRequest {
    pub id: Uuid,
    pub seller_id: Uuid,
    pub amount: AmountOut,
    pub note: Option<String>,
    pub status: RequestStatus,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    /// Name of the key that decided.
    pub decided_by: Option<String>,
    pub reason: Option<String>,
}
