//! The API keys of the ledger as the HTTP room needs them: by hash, and by number for their names.

use super::sketch::ledger::{Grant, KeyHash, KeyNumber, Name};

/// One API key, revoked ones included: their names stay on what they did.
#[derive(Debug, Clone)]
pub struct KnownKey {
    /// The record that made it.
    pub number: KeyNumber,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub grant: Grant,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// All API keys at some position.
#[derive(Debug, Default)]
pub struct KeyRing;

impl KeyRing {
    /// The key with this hash, revoked or not.
    pub fn by_hash(&self, _hash: &KeyHash) -> Option<&KnownKey> {
        todo!()
    }

    /// The key that record `number` made.
    pub fn by_number(&self, _number: KeyNumber) -> Option<&KnownKey> {
        todo!()
    }
}
