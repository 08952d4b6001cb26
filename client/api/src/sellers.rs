//! Sellers: businesses with prepaid credit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AmountOut, Timestamp};

/// `POST /v1/sellers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSeller<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// Whether a seller may charge and request credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SellerStatus {
    Active,
    Suspended,
}

/// A seller as every endpoint shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    pub id: Uuid,
    pub name: String,
    pub status: SellerStatus,
    pub balance: AmountOut,
    pub created_at: Timestamp,
}
