//! Which idempotency keys are remembered: scope and key to record, for a window of ledger time.
//!
//! Invariant: a key is found exactly while ledger time is before its decision plus the window, on every replica alike;
//! each insert drops at most two that are past it, so no command pays for many.

use alloc::collections::VecDeque;
use core::hash::BuildHasherDefault;

use hashbrown::HashMap;
use uuid::Uuid;

use crate::command::Grant;
use crate::ids::{RecordNumber, Time};
use crate::index::FixedHasher;
use crate::text::{IdempotencyKey, Name};

/// Number of tables, against pauses while one grows.
const SHARDS: usize = 256;

/// BLAKE3 of cluster, scope and key, cut to 128 bits: with 10^7 keys a collision has a chance of 10^-25.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u64; 2]);

impl core::hash::Hash for KeyDigest {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

impl KeyDigest {
    /// The key's place in its scope: the seller for a seller's key, the admin's name for an admin's.
    pub fn of(cluster: Uuid, grant: Grant, actor: &Name, key: &IdempotencyKey) -> Self {
        let mut bytes = [0_u8; 16 + 1 + 4 * crate::text::NAME_CHARS + 1 + crate::text::KEY_BYTES];
        let mut end = 0_usize;
        let mut put = |part: &[u8]| {
            if let Some(room) = bytes.get_mut(end..end.saturating_add(part.len())) {
                room.copy_from_slice(part);
                end = end.saturating_add(part.len());
            }
        };
        put(cluster.as_bytes());
        match grant {
            Grant::Seller(seller) => {
                put(b"s");
                put(&seller.to_be_bytes());
            }
            Grant::Admin | Grant::Auditor => {
                put(b"a");
                put(actor.as_str().as_bytes());
            }
        }
        put(&[0]);
        put(key.as_str().as_bytes());
        let hash = blake3::hash(bytes.get(..end).unwrap_or_default());
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

/// The keys that are remembered, and in which order they are forgotten.
#[derive(Debug, Clone)]
pub struct KeyTable {
    shards: alloc::vec::Vec<Shard>,
    order: VecDeque<(KeyDigest, RecordNumber, Time)>,
    window_ms: u64,
    bound: u64,
}

impl KeyTable {
    /// An empty table that remembers for `window_ms`, and `bound` keys at most (which the leader sees to).
    pub fn new(window_ms: u64, bound: u64) -> Self {
        let mut shards = alloc::vec::Vec::new();
        shards.resize_with(SHARDS, Shard::default);
        Self { shards, order: VecDeque::new(), window_ms, bound }
    }

    /// The record of the decision under this key, where it is remembered at `time`.
    pub fn find(&self, key: KeyDigest, time: Time) -> Option<RecordNumber> {
        let found = self.shards.get(shard_of(key))?.get(&key)?;
        (time < found.since.after(self.window_ms)).then_some(found.record)
    }

    /// Remembers a decision, and drops up to two that `time` is past.
    pub fn insert(&mut self, key: KeyDigest, record: RecordNumber, time: Time) {
        if let Some(shard) = self.shards.get_mut(shard_of(key)) {
            shard.insert(key, Remembered { record, since: time });
        }
        self.order.push_back((key, record, time));
        self.drop_expired(time);
        self.drop_expired(time);
    }

    fn drop_expired(&mut self, time: Time) {
        let Some(&(key, record, since)) = self.order.front() else { return };
        if time < since.after(self.window_ms) {
            return;
        }
        self.order.pop_front();
        let Some(shard) = self.shards.get_mut(shard_of(key)) else { return };
        // A key that was used again after its window has a newer decision, which stays.
        if shard.get(&key).is_some_and(|found| found.record == record) {
            shard.remove(&key);
        }
    }

    #[cfg(feature = "plants")]
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.window_ms, self.bound);
    }

    #[cfg(feature = "plants")]
    pub(crate) fn halve_window(&mut self) {
        self.window_ms >>= 1;
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
    pub fn room(&self, time: Time, most: u64) -> u64 {
        let free = self.bound.saturating_sub(self.len());
        if free >= most {
            return most;
        }
        let expired = self.order.partition_point(|(_, _, since)| time >= since.after(self.window_ms)) as u64;
        free.saturating_add(expired).min(most)
    }
}

fn shard_of(key: KeyDigest) -> usize {
    usize::from(key.0[1].to_be_bytes()[0])
}
