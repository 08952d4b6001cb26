//! A test seam: what `tests/simulation` observes inside a node, and the hand-over that it triggers. Absent from every build
//! without the feature `simulation`.
//!
//! Nothing here reads a clock: the simulation calls it from outside the node's runtime.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ledger::Digest;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use super::audit::Audited;
use super::catch_up::snapshot::receive::Received;
use super::lifecycle::hand_over::{Successor, hand_over, hand_over_unchecked};
use super::submit::cluster::Cluster;
use crate::storage::{LogId, Vote};

/// The state of a node at one instant.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What it voted for, durable or not.
    pub vote: Vote,
    /// What it voted for, as its log answered for it.
    pub durable_vote: Option<Vote>,
    /// Whether it takes itself for the leader of its term.
    pub leads: bool,
    /// The last entry of its log, durable or not.
    pub last: Option<LogId>,
    /// The index after the last entry that its log answered for.
    pub durable_end: u64,
    /// The position of its state.
    pub applied: u64,
    /// The digest there.
    pub digest: Digest,
    /// How many records its state has.
    pub records: u64,
    /// How many idempotency keys it remembers.
    pub keys_held: u64,
    /// The version of the rules that its state goes by.
    pub rules: u32,
    /// How many records its last checkpoint covers.
    pub checkpoint: u64,
    /// Whether all that was committed before its start is applied.
    pub recovered: bool,
    /// The index of the newest list of members in its log; 0 where it has none.
    pub members_index: u64,
    /// How many records its audit has come to.
    pub audited: u64,
    /// What its audit found broken.
    pub audit_fault: Option<String>,
    /// The last record of the pages of a transfer that it keeps, even over a power cut, and that are not installed; 0 for none.
    pub staged: u64,
    /// What it received in transfers since it was started.
    pub received: Received,
}

/// The members, as one of them sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersSeen {
    /// The index of the newest list in its log, committed or not.
    pub index: u64,
    /// The sets of which each needs a majority.
    pub voter_sets: Vec<BTreeSet<u64>>,
    /// All of them.
    pub all: BTreeSet<u64>,
    /// The index of the newest list that it applied.
    pub applied_index: u64,
}

impl Probe {
    /// The term that it is in.
    pub fn term(&self) -> u64 {
        self.vote.leader_id.term
    }
}

impl Cluster {
    /// The state of this node now.
    pub fn probe(&self) -> Probe {
        let node = self.node();
        let (vote, leads, members_index) = {
            let metrics = node.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            let members_index = metrics.membership_config.log_id().map_or(0, |id| id.index);
            (metrics.vote, metrics.state == ServerState::Leader, members_index)
        };
        let (durable_vote, last) = node.log.held();
        let replica = node.published.replica();
        Probe {
            vote,
            durable_vote,
            leads,
            last,
            durable_end: node.log.durable_end(),
            applied: replica.applied,
            digest: replica.whole.1,
            records: replica.whole.0,
            keys_held: replica.state.keys_held(),
            rules: replica.rules,
            checkpoint: node.history.durable_records(),
            recovered: node.recovered.load(Ordering::Acquire),
            members_index,
            audited: node.audits.progress().records,
            audit_fault: node.audits.fault().map(str::to_owned),
            staged: node.history.staged_durably(),
            received: node.receiver.received(),
        }
    }

    /// The last position that was audited here.
    pub fn last_audited(&self) -> Audited {
        self.node().audits.last()
    }

    /// The members, as this one sees them.
    pub fn members_seen(&self) -> MembersSeen {
        let node = self.node();
        let newest = node.raft.server_metrics().borrow_watched().membership_config.clone();
        let applied_index = node.published.replica().membership.log_id().map_or(0, |id| id.index);
        MembersSeen {
            index: newest.log_id().map_or(0, |id| id.index),
            voter_sets: newest.membership().get_joint_config().clone(),
            all: newest.membership().nodes().map(|(node, _)| *node).collect(),
            applied_index,
        }
    }

    /// Hands leadership over to the furthest voter that can lead, where this node leads.
    pub async fn hand_over(&self, deadline: Instant) {
        if self.node().leader.is_me() {
            // A refusal is one of the outcomes that the simulation is about.
            drop(hand_over(self.node(), Successor::Best, deadline).await);
        }
    }

    /// Hands leadership over to a node, where this one leads, as if that one had failed just after it was checked.
    pub async fn hand_over_unchecked(&self, to: u64) {
        if self.node().leader.is_me() {
            hand_over_unchecked(self.node(), to).await;
        }
    }
}
