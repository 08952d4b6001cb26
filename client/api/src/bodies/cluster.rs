//! The cluster as one of its nodes sees it, and the digest by which replicas are compared.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// `GET /v1/cluster`, and the answer to `POST /v1/cluster/leader`, `…/open` and `…/backups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Id of the leader; `None` where the asked node knows none.
    pub leader: Option<u64>,
    /// Raft term of the asked node.
    pub term: u64,
    /// Every node of the cluster, by id.
    #[serde(rename = "members")]
    pub nodes: Vec<NodeStatus>,
    /// Position in the Raft log that the asked node reflects.
    pub applied: u64,
    /// Version of the asked node's program.
    pub version: String,
    /// How long idempotency keys are remembered, in seconds of ledger time, rounded down; `None` before the cluster is
    /// bootstrapped. A retry under the same key is safe for this long after the first attempt.
    #[serde(default)]
    pub key_window_seconds: Option<u64>,
    /// The version of the rules that the ledger goes by, at that position; 0 before it is bootstrapped. It is raised by itself once
    /// every node's build knows a newer one; `None` from a node of a version that does not report it.
    #[serde(default)]
    pub rules: Option<u32>,
    /// The ledger's id, which every digest covers; `None` before the cluster is bootstrapped.
    #[serde(default)]
    pub ledger_id: Option<Uuid>,
    /// How the asked node's clock compares with the others'; `None` from a node of a version that does not report it.
    #[serde(default)]
    pub clock: Option<ClockHealth>,
    /// How far the asked node has audited its records; `None` from a node of a version that does not report it.
    #[serde(default)]
    pub audited: Option<AuditProgress>,
    /// The idempotency keys that are remembered at that position; `None` before the cluster is bootstrapped, for a seller's
    /// API key, and from a node of a version that does not report it.
    #[serde(default)]
    pub keys: Option<KeysHeld>,
    /// 1, and one more for each time that the ledger went on as another cluster, from a backup or from a lone survivor; `None`
    /// before the cluster is bootstrapped, and from a node of a version that does not report it.
    #[serde(default)]
    pub epoch: Option<u32>,
    /// Whether writes are refused (503 `on_hold`) until an admin ends that with `POST /v1/cluster/open`; `None` from a node of a
    /// version that does not report it.
    #[serde(default)]
    pub on_hold: Option<bool>,
    /// The backup that was verified last; `None` where none was, and for a seller's API key.
    #[serde(default)]
    pub last_backup: Option<LastBackup>,
}

/// A backup of the ledger that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// When that was noted, in ledger time.
    pub verified_at: Timestamp,
    /// How many records it has.
    pub records: u64,
}

/// `POST /v1/cluster/backups`: that a backup was verified. The answer is a [`ClusterStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackup<'a> {
    /// How many records it has: 1 to as many as the ledger.
    pub records: u64,
    /// The digest over them as the verification recomputed it, 64 hexadecimal digits.
    #[serde(borrow)]
    pub digest: Cow<'a, str>,
}

/// `POST /v1/cluster/leader`: who shall lead. The answer is a [`ClusterStatus`], once it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLeader {
    /// Number of the member.
    pub id: u64,
}

/// How many idempotency keys are remembered. From three quarters of `max` on each seller has an equal share; at `max` new
/// commands are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysHeld {
    /// Keys within their window.
    pub held: u64,
    /// Most keys that are remembered, as it was fixed when the cluster was made.
    pub max: u64,
    /// Keys of the seller that holds most. Counted by 64ths of the window, so it may be that much too high.
    pub fullest_share: u64,
}

/// How far a node's audit, which goes on in the background, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProgress {
    /// The last journal entry that was audited. `GET /v1/audit` answers for a position at or before it.
    pub entries: u64,
    /// The newest journal entry of the node.
    pub head: u64,
    /// Whether no promise was found broken, and the audit goes on.
    pub consistent: bool,
}

/// How a node's wall clock compares with those that it receives from other nodes. None of it makes a node unhealthy: ledger
/// time follows no clock that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockHealth {
    /// It agrees with most of the others.
    Agrees,
    /// No other clock is received.
    Alone,
    /// One other is received, they differ, and no third shows which is wrong.
    Differs,
    /// Most of the others agree on another time: the node does not lead.
    Off,
    /// It was set, and no other clock confirms it: ledger time does not follow it.
    NotFollowed,
}

/// One node of the cluster, as the asked one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its number, which is never given to another node.
    pub id: u64,
    /// URL of its HTTP API.
    pub api: String,
    /// `host:port` of its peer link.
    pub peer: String,
    /// Its part in Raft.
    pub role: NodeRole,
    /// How far it is on its way to a vote; `None` from a node of a version that does not report it.
    #[serde(default)]
    pub status: Option<NodeStage>,
    /// Whether it reported within the last second, and found nothing wrong with itself.
    pub healthy: bool,
    /// Last position that it reported; `None` where it never did.
    pub applied: Option<u64>,
    /// How many positions it is behind the furthest node; `None` where it never reported one.
    pub lag: Option<u64>,
    /// The newest version of the ledger's rules that its build knows; `None` where it never reported one.
    #[serde(default)]
    pub rules: Option<u32>,
    /// As which build it runs, as in `0.1.0` or, where the commit was named when it was built, `0.1.0+9ab0f09`; `None` where the
    /// asked node was not connected to it since its own start, or the build does not say it.
    #[serde(default)]
    pub build: Option<String>,
}

/// Whether a node counts for a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It counts.
    Voter,
    /// It only follows.
    Learner,
}

/// How far a node is on its way to a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStage {
    /// It was added, and the asked node has never seen it: it is to be started.
    Waiting,
    /// It follows, and is behind or not healthy.
    CatchingUp,
    /// It has caught up: it may be promoted.
    Ready,
    /// It votes.
    Voting,
}

/// `POST /v1/cluster/members`: where a new node will serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember<'a> {
    /// `host:port` of its HTTP API.
    #[serde(borrow)]
    pub api: Cow<'a, str>,
    /// `host:port` of its peer link.
    #[serde(borrow)]
    pub peer: Cow<'a, str>,
}

/// `GET /v1/cluster/digest`: one replica's digest over everything decided, at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestAt {
    /// Id of the node whose replica it is.
    pub node: u64,
    /// Position in the Raft log.
    pub applied: u64,
    /// 64 hex digits; equal on all nodes at one position.
    pub digest: String,
}
