//! Idempotency keys, each with when it was decided last: a second decision within the window is one too many.
//!
//! Kept apart from the ledger's own table, by generations of a window each, of which the older one is dropped whole.

use alloc::format;
use core::mem;

use hashbrown::HashMap;
use uuid::Uuid;

use super::actors::Actors;
use super::promise::{FaultAt, Findings, Promise};
use crate::record::Record;
use crate::state::api_key::Grant;
use crate::state::genesis::Genesis;
use crate::state::sharded::TableSeed;
use crate::values::folded_name::FoldedName;
use crate::values::ids::{RecordNumber, Time};
use crate::values::text::{IdempotencyKey, KEY_BYTES};

/// BLAKE3 of ledger, scope and key, cut to 128 bits: with 10^7 keys the probability of a collision is 10^-25.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyDigest([u64; 2]);

impl core::hash::Hash for KeyDigest {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

impl KeyDigest {
    /// The key's place in its scope: the seller for a seller's key, and for an admin's the admin's name as people
    /// see it, so that a key that is made again under the name of a revoked one keeps its scope.
    fn of(ledger: Uuid, grant: Grant, actor: &FoldedName, key: &IdempotencyKey) -> Self {
        match grant {
            Grant::Seller(seller) => Self::of_seller(ledger, seller, key),
            Grant::Admin | Grant::Auditor => Self::of_admin(ledger, actor, key),
        }
    }

    /// The place of a seller's key. Every charge needs it, so it is hashed in one piece.
    fn of_seller(ledger: Uuid, seller: RecordNumber, key: &IdempotencyKey) -> Self {
        let mut bytes = [0_u8; 16 + 1 + 8 + 1 + KEY_BYTES];
        let mut end = 0_usize;
        let mut put = |part: &[u8]| {
            if let Some(free) = bytes.get_mut(end..end.saturating_add(part.len())) {
                free.copy_from_slice(part);
                end = end.saturating_add(part.len());
            }
        };
        put(ledger.as_bytes());
        put(b"s");
        put(&seller.to_be_bytes());
        put(&[0]);
        put(key.as_str().as_bytes());
        Self::from_hash(blake3::hash(bytes.get(..end).unwrap_or_default()))
    }

    /// Fed piece by piece: a folded name may have several times the bytes of the name.
    fn of_admin(ledger: Uuid, actor: &FoldedName, key: &IdempotencyKey) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ledger.as_bytes());
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

type Generation = HashMap<KeyDigest, Time, TableSeed>;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    ledger: Uuid,
    window_ms: u64,
    since: Time,
    recent: Generation,
    before: Generation,
}

impl Keys {
    /// None seen yet.
    pub(super) fn new(seed: TableSeed) -> Self {
        let none = || Generation::with_hasher(seed);
        Self { ledger: Uuid::default(), window_ms: 0, since: Time::default(), recent: none(), before: none() }
    }

    /// Takes the scope of ids and the window from the genesis.
    pub(super) fn begin(&mut self, genesis: &Genesis) {
        self.ledger = genesis.ledger;
        self.window_ms = genesis.key_window_ms;
    }

    /// Whether the record's key, if it has one, had no decision within the window before it.
    pub(super) fn check(&mut self, record: &Record, actors: &Actors, place: FaultAt, findings: &mut Findings) {
        let Some(key) = &record.idempotency_key else { return };
        let Some((grant, name)) = actors.scope(record.actor) else {
            findings.broken(Promise::Authorised, place, || {
                format!("record {} has an idempotency key, and no API key whose it is", record.number)
            });
            return;
        };
        if record.time >= self.since.after(self.window_ms) {
            let none = Generation::with_hasher(*self.recent.hasher());
            self.before = mem::replace(&mut self.recent, none);
            self.since = record.time;
        }
        let digest = KeyDigest::of(self.ledger, grant, name, key);
        let earlier = self.recent.insert(digest, record.time).or_else(|| self.before.get(&digest).copied());
        let Some(earlier) = earlier else { return };
        findings.check(Promise::KeysOnce, record.time >= earlier.after(self.window_ms), place, || {
            format!(
                "record {} is a second decision under an idempotency key of actor {}, {} ms after the first",
                record.number,
                record.actor,
                record.time.0.saturating_sub(earlier.0)
            )
        });
    }
}
