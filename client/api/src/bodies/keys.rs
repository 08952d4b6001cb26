//! API keys: who may do what.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AmountIn, AmountOut, Timestamp};

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything but a seller's own doing: charges, and credit requests of its own.
    Admin,
    /// One seller's own data and nothing else.
    Seller,
    /// Reads all, writes nothing.
    Auditor,
    /// Reads all, and decides credit requests.
    Approver,
    /// Members, leadership and backups, and no money.
    Operator,
}

/// `POST /v1/keys`. A seller's key names its seller; no other key does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey<'a> {
    /// What its holder may do.
    pub role: Role,
    /// Who acts under it; unique among active keys, and shown in the journal.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The seller of a seller's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<Uuid>,
    /// The most that one approval of an approver's key allocates; without it any amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<AmountIn>,
    /// The first instant of ledger time at which the key is refused; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// `POST /v1/keys/{id}/rotate`; an empty body says the same as `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRotation {
    /// How long the old key is valid from then on, in seconds: 0 to [`OVERLAP_MAX_S`], a day where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
    /// The first instant of ledger time at which the new key is refused; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// How long an old key stays valid where a rotation does not say, in seconds: a day, in which a seller can bring a new secret to
/// all of its machines.
pub const OVERLAP_S: u64 = 24 * 60 * 60;
/// Longest overlap, in seconds: a year. Whoever wants more makes a second key.
pub const OVERLAP_MAX_S: u64 = 366 * 24 * 60 * 60;

/// A key as every endpoint shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id, a `UUIDv8`.
    pub id: Uuid,
    /// What its holder may do.
    pub role: Role,
    /// Who acts under it.
    pub name: String,
    /// The seller of a seller's key; `None` for other roles.
    pub seller_id: Option<Uuid>,
    /// The secret, in the first answer to its creation alone; `None` in all later ones.
    #[serde(default)]
    pub key: Option<String>,
    /// In ledger time.
    pub created_at: Timestamp,
    /// The most that one approval of an approver's key allocates; absent where there is no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<AmountOut>,
    /// The first instant of ledger time at which it is refused; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The answer to a rotation: the new key, and until when the old one is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedKey {
    /// The new key.
    #[serde(flatten)]
    pub key: Key,
    /// The id of the old key.
    pub replaces: Uuid,
    /// The first instant of ledger time at which the old key is refused.
    pub old_expires_at: Timestamp,
}

/// Without the secret, which belongs in no log.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
