//! API keys: who may do what.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything that an operator does; no charges and no credit requests.
    Admin,
    /// One seller's own data and nothing else.
    Seller,
    /// Reads all, writes nothing.
    Auditor,
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
}

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
