//! Which idempotency keys are remembered: scope and key to record, for a window of ledger time.
//!
//! Invariants: a key is found exactly while ledger time is before its decision plus the window, on every replica alike;
//! each insert drops at most two that are past it, so no command pays for many. How many keys a seller holds is exact at
//! any time that is asked about, whatever was dropped so far.

use alloc::collections::{BTreeMap, VecDeque};
use core::hash::BuildHasherDefault;

use hashbrown::HashMap;
use uuid::Uuid;

use super::api_key::Grant;
use super::sharded::{FixedHasher, Sharded};
use crate::values::folded_name::FoldedName;
use crate::values::ids::{RecordNumber, Time};
use crate::values::text::{IdempotencyKey, KEY_BYTES};

/// Number of tables, against pauses while one grows.
const SHARDS: usize = 256;

/// How many keys past their window an insert takes off their sellers' counts: more than it adds, so that few are left
/// for [`KeyTable::shares`] to look at, and few enough that no command pays for many.
const UNCOUNTED_AN_INSERT: usize = 64;

/// BLAKE3 of cluster, scope and key, cut to 128 bits: with 10^7 keys the probability of a collision is 10^-25.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u64; 2]);

impl core::hash::Hash for KeyDigest {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

impl KeyDigest {
    /// The key's place in its scope: the seller for a seller's key, and for an admin's the admin's name as it is compared under
    /// the rules of the ledger, so that a key that is made again under the name of a revoked one keeps its scope.
    pub fn of(cluster: Uuid, grant: Grant, actor: &FoldedName, key: &IdempotencyKey) -> Self {
        match grant {
            Grant::Seller(seller) => Self::of_seller(cluster, seller, key),
            Grant::Admin | Grant::Auditor => Self::of_admin(cluster, actor, key),
        }
    }

    /// The place of a seller's key. Every charge needs it, so it is hashed in one piece.
    pub fn of_seller(cluster: Uuid, seller: RecordNumber, key: &IdempotencyKey) -> Self {
        let mut bytes = [0_u8; 16 + 1 + 8 + 1 + KEY_BYTES];
        let mut end = 0_usize;
        let mut put = |part: &[u8]| {
            if let Some(free) = bytes.get_mut(end..end.saturating_add(part.len())) {
                free.copy_from_slice(part);
                end = end.saturating_add(part.len());
            }
        };
        put(cluster.as_bytes());
        put(b"s");
        put(&seller.to_be_bytes());
        put(&[0]);
        put(key.as_str().as_bytes());
        Self::from_hash(blake3::hash(bytes.get(..end).unwrap_or_default()))
    }

    /// Fed piece by piece: a folded name may have several times the bytes of the name.
    fn of_admin(cluster: Uuid, actor: &FoldedName, key: &IdempotencyKey) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(cluster.as_bytes());
        hasher.update(b"a");
        hasher.update(actor.as_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(key.as_str().as_bytes());
        Self::from_hash(hasher.finalize())
    }

    fn from_hash(hash: blake3::Hash) -> Self {
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        Self([u64::from_be_bytes(words[0]), u64::from_be_bytes(words[1])])
    }
}

/// Where a key's decision is, and since when.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    record: RecordNumber,
    since: Time,
}

type Shard = HashMap<KeyDigest, Remembered, BuildHasherDefault<FixedHasher>>;

/// A key in the order in which keys are dropped.
#[derive(Debug, Clone, Copy)]
struct Held {
    key: KeyDigest,
    /// Whose it is: a seller's number, or [`NO_SELLER`].
    holder: RecordNumber,
    since: Time,
}

/// The holder of an admin's keys, which count for no seller.
const NO_SELLER: RecordNumber = 0;

/// The keys that are remembered, and the order in which they are dropped.
#[derive(Debug, Clone)]
pub struct KeyTable {
    shards: alloc::vec::Vec<Shard>,
    order: VecDeque<Held>,
    /// How many at the head of `order` are past their window and count for no holder.
    uncounted: usize,
    /// How many keys behind those each seller holds; absent where it holds none.
    holders: Sharded<u64>,
    window_ms: u64,
    bound: u64,
}

/// How many of the keys that are within their window at one time each seller holds.
#[derive(Debug)]
pub struct KeyShares<'a> {
    holders: &'a Sharded<u64>,
    /// Keys that `holders` counts though they are past their window.
    expired: BTreeMap<RecordNumber, u64>,
    sellers: u64,
}

impl KeyShares<'_> {
    /// How many keys a seller holds.
    pub fn held(&self, seller: RecordNumber) -> u64 {
        let counted = self.holders.get(seller).copied().unwrap_or(0);
        counted.saturating_sub(self.expired.get(&seller).copied().unwrap_or(0))
    }

    /// How many sellers hold any.
    pub fn sellers(&self) -> u64 {
        self.sellers
    }
}

impl KeyTable {
    /// An empty table that remembers for `window_ms`, and `bound` keys at most (which the leader sees to).
    pub fn new(window_ms: u64, bound: u64) -> Self {
        let mut shards = alloc::vec::Vec::new();
        shards.resize_with(SHARDS, Shard::default);
        Self { shards, order: VecDeque::new(), uncounted: 0, holders: Sharded::default(), window_ms, bound }
    }

    /// The record of the decision under this key, where it is remembered at `time`.
    pub fn find(&self, key: KeyDigest, time: Time) -> Option<RecordNumber> {
        let found = self.shards.get(shard_of(key))?.get(&key)?;
        (time < found.since.after(self.window_ms)).then_some(found.record)
    }

    /// Remembers a decision for a seller, or for an admin where that is `None`, and drops up to two that `time` is past.
    pub fn insert(&mut self, key: KeyDigest, seller: Option<RecordNumber>, record: RecordNumber, time: Time) {
        if let Some(shard) = self.shards.get_mut(shard_of(key)) {
            shard.insert(key, Remembered { record, since: time });
        }
        let holder = seller.unwrap_or(NO_SELLER);
        self.order.push_back(Held { key, holder, since: time });
        if holder != NO_SELLER
            && let Some(count) = self.holders.get_or_default(holder)
        {
            *count = count.saturating_add(1);
        }
        for _ in 0..UNCOUNTED_AN_INSERT {
            if !self.uncount_expired(time) {
                break;
            }
        }
        self.drop_expired();
        self.drop_expired();
    }

    /// Takes the next key that `time` is past off its seller's count; whether there was one.
    fn uncount_expired(&mut self, time: Time) -> bool {
        let Some(&Held { holder, since, .. }) = self.order.get(self.uncounted) else { return false };
        if time < since.after(self.window_ms) {
            return false;
        }
        self.uncounted = self.uncounted.saturating_add(1);
        if let Some(count) = self.holders.get_mut(holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.holders.remove(holder);
            }
        }
        true
    }

    /// Drops the oldest key, where it is past its window.
    fn drop_expired(&mut self) {
        if self.uncounted == 0 {
            return;
        }
        let Some(Held { key, since, .. }) = self.order.pop_front() else { return };
        self.uncounted = self.uncounted.saturating_sub(1);
        let Some(shard) = self.shards.get_mut(shard_of(key)) else { return };
        // A key that was used again after its window has a newer decision, which stays.
        if shard.get(&key).is_some_and(|found| found.since == since) {
            shard.remove(&key);
        }
    }

    /// How many decisions are held, those past their window included until an insert drops them.
    pub fn len(&self) -> u64 {
        self.order.len() as u64
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many inserts at `time` keep the number held within the bound, `most` at most.
    ///
    /// An insert adds one and drops up to two, so the number held never rises while expired ones remain.
    pub fn capacity(&self, time: Time, most: u64) -> u64 {
        let free = self.bound.saturating_sub(self.len());
        if free >= most {
            return most;
        }
        free.saturating_add(self.expired(time) as u64).min(most)
    }

    /// How many keys are within their window at `time`.
    pub fn in_use(&self, time: Time) -> u64 {
        self.len().saturating_sub(self.expired(time) as u64)
    }

    /// How many of them each seller holds. Looks at each key that is past its window and still counted.
    pub fn shares(&self, time: Time) -> KeyShares<'_> {
        let mut expired: BTreeMap<RecordNumber, u64> = BTreeMap::new();
        let until = self.expired(time).max(self.uncounted);
        for held in self.order.range(self.uncounted..until).filter(|held| held.holder != NO_SELLER) {
            let count = expired.entry(held.holder).or_default();
            *count = count.saturating_add(1);
        }
        let gone = expired.iter().filter(|(seller, count)| self.holders.get(**seller) == Some(*count)).count() as u64;
        KeyShares { holders: &self.holders, sellers: self.holders.len().saturating_sub(gone), expired }
    }

    /// How many at the head of the order are past their window at `time`.
    fn expired(&self, time: Time) -> usize {
        self.order.partition_point(|held| time >= held.since.after(self.window_ms))
    }
}

fn shard_of(key: KeyDigest) -> usize {
    usize::from(key.0[1].to_be_bytes()[0])
}
