//! What operators see of a node: read at one instant from what its parts know, kept nowhere.
//!
//! Units: positions of the Raft log, records, bytes, milliseconds, as each field says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;

use super::node::Node;
use crate::metrics::instruments::{ApplyInstruments, LogInstruments, NodeInstruments};
use crate::raft::answers::ClusterStatus;
use crate::raft::catch_up::snapshot::receive::Received;
use crate::storage::StorageError;
use crate::tls::Expiries;

/// What counts in a node of Raft; the handles share what they count.
#[derive(Debug, Clone)]
pub struct RaftInstruments {
    /// Syncs of the log.
    pub log: LogInstruments,
    /// Entries that were applied.
    pub apply: ApplyInstruments,
    /// Leaders, commands that failed, peers.
    pub node: NodeInstruments,
}

/// Something durable that follows the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Records that it lacks.
    pub records: u64,
    /// Time since it was last written, or else since the node was started.
    pub age: Duration,
}

/// What keeps a node from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// It stopped itself.
    pub failed: bool,
    /// The disk has no more room than is kept in reserve.
    pub disk_full: bool,
    /// A disk does not answer.
    pub disk_stalled: bool,
}

/// What says whether the books of a node are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Records that were not audited yet.
    pub audit_lag: u64,
    /// No promise was found broken, and the audit goes on.
    pub is_consistent: bool,
    /// No peer's digest was seen to differ from the one here.
    pub digests_equal: bool,
}

/// See the head of this file.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The cluster as this node sees it.
    pub cluster: ClusterStatus,
    /// This node leads, and a majority answers it.
    pub is_leader: bool,
    /// All that was committed before the start is applied.
    pub recovered: bool,
    /// What keeps the node from its work.
    pub faults: Faults,
    /// The last position that this node knows to be committed; 0 before the first.
    pub committed: u64,
    /// The last position of the log here, durable or not; 0 before the first.
    pub last_position: u64,
    /// The position up to which the log here was purged; 0 where it never was.
    pub purged: u64,
    /// Records of the state.
    pub records: u64,
    /// Entries of the journal.
    pub entries: u64,
    /// Sellers.
    pub sellers: u64,
    /// Idempotency keys that are remembered, and the most that may be, 0 before the genesis.
    pub keys: (u64, u64),
    /// The epoch of the ledger; 0 before the genesis.
    pub epoch: u32,
    /// Writes are refused until an admin opens the ledger.
    pub is_on_hold: bool,
    /// When a backup was noted last, in ledger time; 0 where none was.
    pub last_backup_ms: u64,
    /// The newest version of the rules that this build knows.
    pub rules_known: u32,
    /// Commands that wait here to be proposed, and the most that may.
    pub waiting: (usize, usize),
    /// Bytes of the log's folder, where they could be measured, and their bound.
    pub log_bytes: (Option<u64>, u64),
    /// Bytes of the history's folder, where they could be measured.
    pub history_bytes: Option<u64>,
    /// The last checkpoint.
    pub checkpoint: Backlog,
    /// The last image of the state.
    pub image: Backlog,
    /// What says whether the books are right.
    pub books: Books,
    /// How far each peer's clock is ahead of this node's, in milliseconds, where it was received within two seconds.
    pub clock_offsets_ms: Vec<(u64, i64)>,
    /// What was received of the history.
    pub received: Received,
    /// Until when the credentials of the peer link are valid, and whether the own certificate is revoked.
    pub credentials: Option<(Expiries, bool)>,
}

/// Reads all of it; `cluster` is the status of the same node. Reads the file system.
pub(crate) fn observe(node: &Node, cluster: ClusterStatus) -> Observation {
    let (committed, last_position, purged) = {
        let metrics = node.raft.metrics();
        let metrics = metrics.borrow_watched();
        let committed = metrics.local_committed.max(metrics.cluster_committed);
        (
            committed.map_or(0, |id| id.index),
            metrics.last_log_index.unwrap_or(0),
            metrics.purged.map_or(0, |id| id.index),
        )
    };
    // All that is of one record, under one lock.
    let (records, entries, sellers, keys, (epoch, is_on_hold, last_backup_ms)) = {
        let replica = node.published.replica();
        let state = &replica.state;
        let keys_max = state.genesis().map_or(0, |genesis| genesis.keys_max);
        let last_backup_ms = state.last_backup().map_or(0, |backup| backup.at.0);
        let recovery = (state.epoch(), state.is_on_hold(), last_backup_ms);
        (state.records(), state.entries(), state.seller_count(), (state.keys_held(), keys_max), recovery)
    };
    let audit = node.audits.progress();
    let (image_age, image_records) = node.checkpoints.image();
    let security = &node.trust.security;
    let health = &node.published.health;
    Observation {
        is_leader: cluster.leader == Some(node.me.node),
        cluster,
        recovered: node.recovered.load(Ordering::Acquire),
        faults: Faults {
            failed: health.failure().borrow().is_some(),
            disk_full: health.is_disk_full(),
            disk_stalled: health.is_disk_stalled(),
        },
        committed,
        last_position,
        purged,
        records,
        entries,
        sellers,
        keys,
        epoch,
        is_on_hold,
        last_backup_ms,
        rules_known: node.me.build.rules,
        waiting: node.proposer.waiting(),
        log_bytes: (measured("log", node.log.bytes_on_disk()), node.settings.log_bytes),
        history_bytes: measured("history", node.history.bytes_on_disk()),
        checkpoint: Backlog {
            records: records.saturating_sub(node.history.durable_records()),
            age: node.checkpoints.age(),
        },
        image: Backlog { records: records.saturating_sub(image_records), age: image_age },
        books: Books {
            audit_lag: records.saturating_sub(audit.records),
            is_consistent: audit.is_consistent,
            digests_equal: node.peer_table.differing().is_empty(),
        },
        clock_offsets_ms: node.peer_table.clock_offsets(node.clock.now_ms()),
        received: node.receiver.received(),
        credentials: security.expiries().map(|expiries| (expiries, security.is_revoked())),
    }
}

fn measured(what: &'static str, bytes: Result<u64, StorageError>) -> Option<u64> {
    bytes.inspect_err(|error| tracing::warn!(%error, what, "folder not measured")).ok()
}
