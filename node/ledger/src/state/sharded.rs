//! Look-up tables that grow without a pause: many small hash tables instead of one, hashed the same on every node.
//!
//! Invariant: never iterated into a result, so their order cannot reach a decision or a digest.

use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::values::ids::mix;

/// Number of tables: a rehash then moves a 256th of the keys (in one table of millions it takes a second).
const SHARDS: usize = 256;

/// A fixed hasher for keys that are integers or begin with uniform bytes.
#[derive(Default, Clone, Copy)]
pub struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value);
    }
}

type Shard<V> = HashMap<u64, V, BuildHasherDefault<FixedHasher>>;

/// A map from integers, for look-ups only.
#[derive(Debug, Clone)]
pub struct Sharded<V> {
    shards: Vec<Shard<V>>,
    len: u64,
}

impl<V> Default for Sharded<V> {
    fn default() -> Self {
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, Shard::default);
        Self { shards, len: 0 }
    }
}

impl<V> Sharded<V> {
    /// How many keys it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value under `key`.
    pub fn get(&self, key: u64) -> Option<&V> {
        self.shards.get(shard_of(key)).and_then(|shard| shard.get(&key))
    }

    /// The value under `key`, made where there is none.
    pub fn get_or_default(&mut self, key: u64) -> Option<&mut V>
    where
        V: Default,
    {
        let shard = self.shards.get_mut(shard_of(key))?;
        if !shard.contains_key(&key) {
            self.len = self.len.saturating_add(1);
        }
        Some(shard.entry(key).or_default())
    }

    /// The value under `key`, to change.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.shards.get_mut(shard_of(key)).and_then(|shard| shard.get_mut(&key))
    }

    /// Puts `value` under `key`; returns the value before.
    pub fn insert(&mut self, key: u64, value: V) -> Option<V> {
        let before = self.shards.get_mut(shard_of(key))?.insert(key, value);
        if before.is_none() {
            self.len = self.len.saturating_add(1);
        }
        before
    }

    /// Takes the value under `key` out.
    pub fn remove(&mut self, key: u64) -> Option<V> {
        let value = self.shards.get_mut(shard_of(key))?.remove(&key);
        if value.is_some() {
            self.len = self.len.saturating_sub(1);
        }
        value
    }
}

/// Picked by bits that the tables themselves do not use.
fn shard_of(key: u64) -> usize {
    usize::from(mix(key).to_be_bytes()[2])
}
