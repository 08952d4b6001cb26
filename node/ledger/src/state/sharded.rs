//! Look-up tables that grow without a pause: many small hash tables instead of one, under a secret hash.
//!
//! A copy shares the small tables with the original until one of the two changes them, so copying a state costs microseconds
//! and no more memory than what changes while the copy lives.
//!
//! Callers choose phones and idempotency keys, so the hash is keyed by a seed that they cannot know: without it they could
//! choose many that collide. Invariant: never iterated into a result (an image of the state is none), so neither the order nor
//! the seed can reach a decision or a digest; each node draws a seed of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// Number of tables: a rehash then moves a 256th of the keys (in one table of millions it takes a second).
pub(super) const SHARDS: usize = 256;

/// What the tables of a state are hashed under: random bits, drawn once for each state; the node's own image of it keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSeed(pub [u64; 2]);

impl TableSeed {
    /// From 16 random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [high, low] = [&bytes[..8], &bytes[8..]].map(|half| {
            let mut word = [0; 8];
            word.copy_from_slice(half);
            u64::from_le_bytes(word)
        });
        Self([high, low])
    }
}

impl BuildHasher for TableSeed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

type Shard<V> = HashTable<(u64, V)>;

/// A map from integers, for look-ups only.
#[derive(Debug, Clone)]
pub struct Sharded<V> {
    seed: TableSeed,
    shards: Vec<Arc<Shard<V>>>,
    len: u64,
}

impl<V> Sharded<V> {
    /// Without any key.
    pub fn new(seed: TableSeed) -> Self {
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, Arc::default);
        Self { seed, shards, len: 0 }
    }

    /// All keys with their values in one of the [`SHARDS`] tables, in no order.
    pub(super) fn shard(&self, shard: usize) -> impl Iterator<Item = &(u64, V)> {
        self.shards.get(shard).into_iter().flat_map(|shard| shard.iter())
    }

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
        let hash = hash(self.seed, key);
        self.shards.get(shard_of(hash))?.find(hash, |(found, _)| *found == key).map(|(_, value)| value)
    }

    /// The value under `key`, made where there is none.
    pub fn get_or_default(&mut self, key: u64) -> Option<&mut V>
    where
        V: Default + Clone,
    {
        let seed = self.seed;
        let hash = hash(seed, key);
        let shard = Arc::make_mut(self.shards.get_mut(shard_of(hash))?);
        let entry = shard.entry(hash, |(found, _)| *found == key, |(key, _)| self::hash(seed, *key));
        let entry = match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => entry,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                self.len = self.len.saturating_add(1);
                entry.insert((key, V::default()))
            }
        };
        Some(&mut entry.into_mut().1)
    }

    /// Puts `value` under `key`; returns the value before.
    pub fn insert(&mut self, key: u64, value: V) -> Option<V>
    where
        V: Clone,
    {
        let seed = self.seed;
        let hash = hash(seed, key);
        let shard = Arc::make_mut(self.shards.get_mut(shard_of(hash))?);
        if let Some((_, before)) = shard.find_mut(hash, |(found, _)| *found == key) {
            return Some(core::mem::replace(before, value));
        }
        shard.insert_unique(hash, (key, value), |(key, _)| self::hash(seed, *key));
        self.len = self.len.saturating_add(1);
        None
    }
}

fn hash(seed: TableSeed, key: u64) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write_u64(key);
    hasher.finish()
}

/// Picked by bits that the tables themselves do not use: those use the highest and the lowest.
fn shard_of(hash: u64) -> usize {
    usize::from(hash.to_be_bytes()[2])
}
