//! One member of the cluster, as the rest of the node sees it: submit commands, read the state, ask how things stand.

use std::sync::{Arc, RwLockReadGuard};

use tokio::time::Instant;

use super::answers::{ClusterStatus, Consistency, ReadError, Readiness, SubmitError};
use super::key_ring::KeyRing;
use super::sketch::ledger::{Command, Digest, Record, RecordNumber, State};
use super::sketch::{Decisions, StorageError};

/// The state and the position that it reflects; consistent with each other.
#[derive(Debug)]
pub struct Replica {
    /// The fold of all records up to `applied`.
    pub state: State,
    /// The Raft log index that the state reflects; 0 before the first.
    pub applied: u64,
}

/// A running member. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cluster;

impl Cluster {
    /// Decides `commands` (1 to 8,192) as one group in one log entry, in order, wherever the leader is.
    pub async fn submit(
        &self,
        _commands: Vec<Command>,
        _deadline: Instant,
    ) -> Result<Decisions, SubmitError> {
        todo!()
    }

    /// Waits until the state may be read: see [`Consistency`]; in any case until `min_applied`, if given.
    pub async fn read(
        &self,
        _consistency: Consistency,
        _min_applied: Option<u64>,
        _deadline: Instant,
    ) -> Result<(), ReadError> {
        todo!()
    }

    /// The state now. Never held across an await: applying waits for it.
    pub fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        todo!()
    }

    /// All API keys; never waits for applying.
    pub fn key_ring(&self) -> Arc<KeyRing> {
        todo!()
    }

    /// A record, from memory or from its page (then a blocking read: use a blocking thread for many).
    pub fn record(&self, _number: RecordNumber) -> Result<Arc<Record>, StorageError> {
        todo!()
    }

    /// The digest over everything decided up to `applied`, where that is among the last 4,096 positions.
    pub fn digest_at(&self, _applied: u64) -> Option<Digest> {
        todo!()
    }

    /// The cluster as this member sees it now.
    pub fn status(&self) -> ClusterStatus {
        todo!()
    }

    /// What `/readyz` is made of.
    pub fn readiness(&self) -> Readiness {
        todo!()
    }

    /// Waits until the member has stopped itself, and says why. Pending for ever while all is well.
    pub async fn failed(&self) -> String {
        todo!()
    }

    /// Hands leadership over, writes a checkpoint, and stops; within 5 s.
    pub async fn shutdown(&self) {
        todo!()
    }
}
