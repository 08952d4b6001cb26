//! The API keys of the ledger as `http` needs them: by hash, and by number for their names.
//!
//! Invariant: a published ring never changes; a change of a key publishes a new one that shares the old one's bulk,
//! so that publishing stays cheap with many keys and reading never waits for applying.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{ApiKey, ApiKeyHash, ApiKeyNumber, Grant, Name, State, Time};

/// Changes kept apart from the bulk. Each publication copies them, and each `RECENT`th the bulk.
const RECENT: usize = 128;

/// One API key, revoked ones included: their names stay on what they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The record that made it.
    pub number: ApiKeyNumber,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub grant: Grant,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The first instant of ledger time at which it is refused.
    pub expires_at: Option<Time>,
}

impl From<&ApiKey> for KnownKey {
    fn from(key: &ApiKey) -> Self {
        Self {
            number: key.number,
            name: key.name.clone(),
            grant: key.grant,
            revoked: key.revoked_by.is_some(),
            expires_at: key.expires_at,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct ApiKeyTable {
    by_hash: BTreeMap<ApiKeyHash, ApiKeyNumber>,
    by_number: BTreeMap<ApiKeyNumber, Arc<KnownKey>>,
}

impl ApiKeyTable {
    fn put(&mut self, key: &ApiKey) {
        self.by_hash.insert(key.hash, key.number);
        self.by_number.insert(key.number, Arc::new(key.into()));
    }
}

/// All API keys at some position.
#[derive(Debug, Clone, Default)]
pub struct ApiKeys {
    bulk: Arc<ApiKeyTable>,
    recent: ApiKeyTable,
}

impl ApiKeys {
    /// All keys of a state.
    pub fn of(state: &State) -> Self {
        let mut bulk = ApiKeyTable::default();
        for (_, key) in state.api_keys_after(0) {
            bulk.put(key);
        }
        Self { bulk: Arc::new(bulk), recent: ApiKeyTable::default() }
    }

    /// The same ring, with this key as it is now.
    #[must_use]
    pub fn with(&self, key: &ApiKey) -> Self {
        let mut ring = self.clone();
        ring.recent.put(key);
        if ring.recent.by_number.len() > RECENT {
            let mut bulk = (*ring.bulk).clone();
            bulk.by_hash.append(&mut ring.recent.by_hash);
            bulk.by_number.append(&mut ring.recent.by_number);
            ring.bulk = Arc::new(bulk);
        }
        ring
    }

    /// The key with this hash, revoked or not.
    pub fn by_hash(&self, hash: &ApiKeyHash) -> Option<&KnownKey> {
        let number = self.recent.by_hash.get(hash).or_else(|| self.bulk.by_hash.get(hash))?;
        self.by_number(*number)
    }

    /// The key that record `number` made.
    pub fn by_number(&self, number: ApiKeyNumber) -> Option<&KnownKey> {
        let found = self.recent.by_number.get(&number).or_else(|| self.bulk.by_number.get(&number))?;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{FoldedName, RecordNumber};

    fn key(number: ApiKeyNumber, revoked_by: Option<RecordNumber>) -> ApiKey {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let name = Name::new(&format!("key {number}")).unwrap();
        ApiKey {
            number,
            folded: FoldedName::of(&name),
            name,
            grant: Grant::Admin,
            hash: ApiKeyHash(hash),
            created_at: Time(0),
            revoked_by,
            expires_at: None,
        }
    }

    #[test]
    fn a_revocation_is_seen_whether_its_key_is_recent_or_old() {
        let mut ring = ApiKeys::default();
        for number in 1..=1_000 {
            ring = ring.with(&key(number, None));
        }
        for number in [3, 999] {
            let ring = ring.with(&key(number, Some(2_000)));
            assert!(ring.by_hash(&key(number, None).hash).unwrap().revoked);
            assert!(!ring.by_number(500).unwrap().revoked);
        }
    }

    #[test]
    fn a_published_ring_does_not_change() {
        let before = ApiKeys::default().with(&key(1, None));
        let after = before.with(&key(1, Some(7)));
        assert!(!before.by_number(1).unwrap().revoked);
        assert!(after.by_number(1).unwrap().revoked);
    }
}
