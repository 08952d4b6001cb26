//! Sellers: businesses with prepaid credit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountOut, Timestamp};

/// `POST /v1/sellers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSeller<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// Whether a seller may charge and request credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SellerStatus {
    /// It may.
    Active,
    /// Both are refused; approvals, adjustments, reversals and reads continue.
    Suspended,
}

/// A seller as every endpoint shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// Its id, a `UUIDv8`.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Whether it may charge.
    pub status: SellerStatus,
    /// Its credit.
    pub balance: AmountOut,
    /// In ledger time.
    pub created_at: Timestamp,
}
