//! What this node knows of the leader, and how sure it is.
//!
//! Three views, each for its use: [`LeaderView::known`] is where commands go; [`LeaderView::alive`] is what others are shown,
//! since openraft keeps the last leader's name until there is another; [`LeaderView::leads_raft`] is what openraft takes this
//! node for, also while its disk stalls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ledger::NodeNumber;
use openraft::async_runtime::{Instant as _, WatchReceiver};
use tokio::time::{sleep, timeout};

use super::peer_table::PeerTable;
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Published;

/// The leader as one node sees it.
#[derive(Debug)]
pub(crate) struct LeaderView {
    /// This node.
    pub me: NodeNumber,
    /// Its Raft.
    pub raft: EtebarRaft,
    /// Its state, and what is published of it.
    pub published: Arc<Published>,
    /// What it knows of the others.
    pub peer_table: Arc<PeerTable>,
    /// A leader that no majority answered for so long is none.
    pub majority_within: Duration,
}

impl LeaderView {
    /// The leader, perhaps this node itself.
    ///
    /// While its disk stalls, Raft may be blocked and its view out of date: then the leader is the node that sends
    /// entries, and never this node itself, which gives leadership up.
    pub(crate) fn known(&self) -> Option<NodeNumber> {
        let (known, term) = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            (metrics.current_leader, metrics.vote.leader_id.term)
        };
        if !self.published.health.is_disk_stalled() {
            return known;
        }
        let followed = self.published.followed().filter(|(theirs, _)| *theirs >= term).map(|(_, node)| node);
        followed.or(known).filter(|leader| *leader != self.me)
    }

    /// The same leader, where it still leads: a quorum answered this node lately, or the leader's status arrived.
    pub(crate) fn alive(&self) -> Option<NodeNumber> {
        let leader = self.known()?;
        if leader != self.me {
            return self.peer_table.status(leader).is_some_and(|status| status.healthy).then_some(leader);
        }
        self.has_majority().then_some(leader)
    }

    /// Whether this node takes itself for the leader.
    pub(crate) fn is_me(&self) -> bool {
        self.known() == Some(self.me)
    }

    /// Whether openraft takes this node for the leader, also while its disk stalls.
    pub(crate) fn leads_raft(&self) -> bool {
        self.raft.server_metrics().borrow_watched().current_leader == Some(self.me)
    }

    /// Whether a majority answered this node, as a leader, lately.
    pub(crate) fn has_majority(&self) -> bool {
        let is_alone = self.raft.voter_ids().nth(1).is_none();
        let acked = self.raft.data_metrics().borrow_watched().last_quorum_acked;
        is_alone || acked.is_some_and(|acked| acked.elapsed() <= self.majority_within)
    }

    /// Whether callers are better served elsewhere, and no election will change that: no leader is reachable, and too
    /// few nodes are reachable for one to be elected among them, or one of them follows a leader.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        if self.alive().is_some() {
            return false;
        }
        let voters: BTreeSet<NodeNumber> = self.raft.voter_ids().collect();
        let others = voters.iter().filter(|node| **node != self.me);
        let healthy: Vec<_> =
            others.filter_map(|node| self.peer_table.status(*node)).filter(|status| status.healthy).collect();
        let reached = healthy.len() + usize::from(voters.contains(&self.me));
        reached * 2 <= voters.len() || healthy.iter().any(|status| status.leader.is_some())
    }

    /// Returns once another node than `leader` is known to lead; never where there is none. Where it is this node, its own
    /// Raft answers its callers, unless it waits for a disk that stalls.
    pub(crate) async fn replaced(&self, leader: Option<NodeNumber>) {
        let Some(leader) = leader else { return std::future::pending().await };
        if leader == self.me {
            let mut stalled = self.published.health.disk_stalled();
            while stalled.wait_for(|stalled| *stalled).await.is_ok() {
                let mut next = self.published.followed_next();
                if self.known().is_some() || next.changed().await.is_err() {
                    return;
                }
            }
            return std::future::pending().await;
        }
        let mut metrics = self.raft.server_metrics();
        let mut was_led = self.known() == Some(leader);
        loop {
            drop(metrics.borrow_and_update());
            let now = self.known();
            if was_led && now.is_some_and(|now| now != leader) {
                return;
            }
            was_led |= now == Some(leader);
            if metrics.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Waits for a change of what Raft knows, for `pause` at most.
    pub(crate) async fn pause_for_change(&self, pause: Duration) {
        let mut metrics = self.raft.server_metrics();
        // A new receiver counts what is there as unseen: without this the pause would be none.
        drop(metrics.borrow_and_update());
        // Elapsed or changed: both mean to look again. Where Raft has stopped, this fails at once.
        if let Ok(Err(_stopped)) = timeout(pause, metrics.changed()).await {
            sleep(pause).await;
        }
    }
}
