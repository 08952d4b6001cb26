//! Idempotency keys, each with when it was decided last: a second decision within the window is one too many.
//!
//! Kept apart from the ledger's own table, by generations of a window each, of which the older one is dropped whole.

use alloc::format;
use core::hash::BuildHasherDefault;
use core::mem;

use hashbrown::HashMap;
use uuid::Uuid;

use super::actors::Actors;
use super::promise::{Findings, Place, Promise};
use crate::record::Record;
use crate::state::genesis::Genesis;
use crate::state::key_table::KeyDigest;
use crate::state::sharded::FixedHasher;
use crate::values::ids::Time;

type Generation = HashMap<KeyDigest, Time, BuildHasherDefault<FixedHasher>>;

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    cluster: Uuid,
    window_ms: u64,
    since: Time,
    recent: Generation,
    before: Generation,
}

impl Keys {
    /// Takes the scope of ids and the window from the genesis.
    pub(super) fn begin(&mut self, genesis: &Genesis) {
        self.cluster = genesis.cluster;
        self.window_ms = genesis.key_window_ms;
    }

    /// Whether the record's key, if it has one, had no decision within the window before it.
    pub(super) fn check(&mut self, record: &Record, actors: &Actors, place: Place, findings: &mut Findings) {
        let Some(key) = &record.idempotency_key else { return };
        let Some((grant, name)) = actors.scope(record.actor) else {
            findings.broken(Promise::Authorised, place, || {
                format!("record {} has an idempotency key, and no API key whose it is", record.number)
            });
            return;
        };
        if record.time >= self.since.after(self.window_ms) {
            self.before = mem::take(&mut self.recent);
            self.since = record.time;
        }
        let digest = KeyDigest::of(self.cluster, grant, name, key);
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
