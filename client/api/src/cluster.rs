//! The cluster as one of its nodes sees it.

use serde::{Deserialize, Serialize};

/// `GET /v1/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    pub leader: Option<u64>,
    pub term: u64,
    pub members: Vec<Member>,
    /// Position that the asked node reflects.
    pub applied: u64,
    /// Of the program.
    pub version: String,
    /// How long idempotency keys are remembered, in seconds of ledger time, rounded down; `null` before the cluster is
    /// founded. A retry under the same key is safe for this long after the first attempt.
    #[serde(default)]
    pub key_window_seconds: Option<u64>,
    /// What the other nodes' clocks say of that of the asked node; `null` from a node that does not tell.
    #[serde(default)]
    pub clock: Option<ClockHealth>,
}

/// How a node's wall clock stands among those that it hears. None of it makes a node unhealthy: ledger time follows no clock
/// that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockHealth {
    /// It agrees with most of the others.
    Agrees,
    /// No other clock is received.
    Alone,
    /// One other is received, they differ, and nobody can say which is wrong.
    Differs,
    /// Most of the others agree on another time: the node does not lead.
    Off,
    /// It was set, and no other clock confirms it: ledger time does not follow it.
    NotFollowed,
}

/// One node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub id: u64,
    /// URL of its HTTP API.
    pub api: String,
    /// `host:port` of its peer link.
    pub peer: String,
    pub role: MemberRole,
    pub healthy: bool,
    /// Last position heard of it; `null` where it was never heard.
    pub applied: Option<u64>,
    /// Positions behind the furthest; `null` where it was never heard.
    pub lag: Option<u64>,
}

/// Whether a member counts for a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    Voter,
    Learner,
}

/// `GET /v1/cluster/digest`: one replica's digest over everything decided, at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestAt {
    pub node: u64,
    pub applied: u64,
    /// 64 hex digits.
    pub digest: String,
}
