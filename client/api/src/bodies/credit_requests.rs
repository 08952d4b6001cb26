//! Credit requests: a seller asks for more credit, or somebody on its behalf, and an admin or an approver decides once.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountIn, AmountOut, Timestamp};

/// `POST /v1/credit-requests`. The amount is positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCreditRequest<'a> {
    /// How much credit, in the ledger's currency.
    pub amount: AmountIn,
    /// For the admin who decides.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Cow<'a, str>>,
    /// The caller's own text, such as its order number; see [`check_reference`](crate::check_reference).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'a, str>>,
    /// The seller for which an admin or an approver asks; a seller asks for itself and does not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<Uuid>,
}

/// `POST /v1/credit-requests/{id}/approve` and `/reject`; an empty body says the same as `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDecision<'a> {
    /// Why; the seller can read it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

/// Whether a credit request is decided, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Not decided yet.
    Pending,
    /// Its amount was credited.
    Approved,
    /// Nothing was credited.
    Rejected,
}

/// A credit request as every endpoint shows it. The last three fields are `None` while it is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRequest {
    /// Its id, a `UUIDv8`.
    pub id: Uuid,
    /// The seller that asks.
    pub seller_id: Uuid,
    /// What it asks for.
    pub amount: AmountOut,
    /// The seller's note; `None` where it gave none.
    pub note: Option<String>,
    /// The seller's own text, such as its order number; `None` where it gave none.
    #[serde(default)]
    pub reference: Option<String>,
    /// Whether it is decided, and how.
    pub status: RequestStatus,
    /// When it was filed, in ledger time.
    pub created_at: Timestamp,
    /// When it was decided, in ledger time.
    pub decided_at: Option<Timestamp>,
    /// Name of the key that decided.
    pub decided_by: Option<String>,
    /// The admin's reason; `None` also where the admin gave none.
    pub reason: Option<String>,
}
