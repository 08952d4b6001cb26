//! What the cluster answers, and its errors.

use std::time::Duration;

use crate::raft::apply::rules::UnknownRules;
use crate::raft::peers::link::hello::version::BuildName;
use crate::storage::StorageError;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Nothing acknowledged anywhere before the read began is missing.
    Linearizable,
    /// Whatever this replica holds now; it may lag.
    Local,
}

/// Why commands got no decision. The caller may always retry under the same keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Nothing was written: no leader with a quorum could be reached in time.
    #[error("no leader is known")]
    NoLeader,
    /// Nothing was written: a queue or table is full now.
    #[error("{why}")]
    Overloaded {
        /// What is full, as in `the queue of commands is full`.
        why: String,
    },
    /// Nothing was written: the disk of this node or of the leader has no more room than it keeps in reserve.
    #[error("a node's disk has no room for more records")]
    DiskFull,
    /// It may or may not be in the log.
    #[error("no answer within {waited:?}")]
    OutcomeUnknown {
        /// How long the caller waited.
        waited: Duration,
    },
}

/// Why a read could not reach its position in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader confirmed a position.
    #[error("no leader is known")]
    NoLeader,
    /// The position is known, and this replica has not applied so far.
    #[error("applied up to {applied}, position {requested} was requested")]
    Behind {
        /// The replica's position.
        applied: u64,
        /// The position that the read needs.
        requested: u64,
    },
}

/// Why a member was not made the leader. The caller may always ask again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeadError {
    /// Nothing was begun: no leader could be reached in time.
    #[error("no leader is known")]
    NoLeader,
    /// Nothing was begun: there is no member of this number.
    #[error("there is no node {0}: see the members' list")]
    UnknownMember(u64),
    /// Nothing was begun: the member would have to catch up first.
    #[error("node {node} is {positions} positions behind the leader: wait until it has caught up, then ask again")]
    Behind {
        /// The member.
        node: u64,
        /// How many positions of the log it lacks.
        positions: u64,
    },
    /// The member does not lead; the reason says what to do.
    #[error("{0}")]
    CannotLead(String),
    /// It may lead, or may soon.
    #[error("no answer within {waited:?}")]
    OutcomeUnknown {
        /// How long the caller waited.
        waited: Duration,
    },
}

/// Why a node could not start, or had to stop. Never a reason to try again by itself.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The disk failed, or what it holds is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A setting does not fit the others.
    #[error("{0}")]
    Setting(String),
    /// The peer address could not be bound.
    #[error("could not listen for peers on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Raft itself stopped.
    #[error("raft stopped: {0}")]
    Raft(String),
    /// The ledger goes by rules that this build does not know.
    #[error(transparent)]
    Rules(#[from] UnknownRules),
    /// The node was removed from the cluster.
    #[error(
        "node {0} was removed from the cluster: its data directory cannot be served again; add a new node in its place"
    )]
    Removed(u64),
    /// The history is of another ledger, or of another epoch of it, than the data directory says.
    #[error("the history is of {found}, and the data directory of {expected}: put back what belongs there")]
    Ledger {
        /// Whose the history is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

/// The cluster as this node sees it.
#[derive(Debug, Clone)]
pub struct ClusterStatus {
    /// The node that answers.
    pub node: u64,
    /// The leader, where one is known.
    pub leader: Option<u64>,
    /// The current term.
    pub term: u64,
    /// This replica's position.
    pub applied: u64,
    /// The version of the ledger's rules there; 0 before the genesis.
    pub rules: u32,
    /// All members, by id.
    pub members: Vec<MemberStatus>,
    /// The clock of the node that answers.
    pub clock: ClockHealth,
}

/// How this node's wall clock compares with those that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockHealth {
    /// It agrees with most of the others.
    Agrees,
    /// No other clock is received.
    Alone,
    /// One other is received, and they differ.
    Differs,
    /// Most of the others agree on another time.
    Off {
        /// How far this one is ahead of them, in milliseconds; behind, where negative.
        ahead_ms: i64,
    },
    /// No other clock is received, and ledger time does not follow this one, which was set.
    NotFollowed {
        /// How far this one is ahead of ledger time, in milliseconds; behind, where negative.
        ahead_ms: i64,
    },
}

/// A node's part in votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VotingRole {
    /// It votes.
    Voter,
    /// It only listens.
    Learner,
}

/// How far a member is on its way to a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStage {
    /// It was added, and never seen.
    Waiting,
    /// It follows, and is behind or not healthy.
    CatchingUp,
    /// It has caught up, and may be promoted.
    Ready,
    /// It votes.
    Voting,
}

/// One node as this node sees it.
#[derive(Debug, Clone)]
pub struct MemberStatus {
    /// Its number.
    pub id: u64,
    /// Where it serves the HTTP API, `host:port`.
    pub api: String,
    /// Where it serves its peers, `host:port`.
    pub peer: String,
    /// Its part in votes.
    pub role: VotingRole,
    /// How far it is on its way to a vote.
    pub stage: MemberStage,
    /// Whether its status arrived within the last second and reports no failure.
    pub healthy: bool,
    /// Its position, where its status was ever received.
    pub applied: Option<u64>,
    /// How many positions it is behind the furthest node, where its status was ever received.
    pub lag: Option<u64>,
    /// The newest version of the rules that its build knows, where its status was ever received.
    pub rules: Option<u32>,
    /// How its build is called, where it said it on a connection since this node's start.
    pub build: Option<BuildName>,
}

/// What `/readyz` is made of.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// The ledger has its genesis, and what was committed before the start is applied.
    pub recovered: bool,
    /// A leader is known.
    pub leader: Option<u64>,
    /// Positions behind the furthest node.
    pub lag: u64,
    /// Whether this node votes.
    pub role: VotingRole,
    /// This node's clock.
    pub clock: ClockHealth,
    /// Why the node stopped itself, if it did.
    pub failure: Option<String>,
    /// The log's disk has not answered for longer than an election takes.
    pub disk_stalled: bool,
}
