//! One running node: what its parts share, and what it knows of its peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::NodeNumber;
use openraft::Membership;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::settings::ClusterSettings;
use crate::metrics::instruments::NodeInstruments;
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Published;
use crate::raft::audit::Audits;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::snapshot::receive::SnapshotReceiver;
use crate::raft::ledger_time::ClockGuard;
use crate::raft::ledger_time::verdict::ClockVerdict;
use crate::raft::peers::leader::LeaderView;
use crate::raft::peers::link::hello::{PeerIdentity, PeerMembership, Trust};
use crate::raft::peers::link::message::{MemberList, Request, Response, StatusMessage};
use crate::raft::peers::link::trust::received_lists::ReceivedLists;
use crate::raft::peers::network::{Links, PeerLinks};
use crate::raft::peers::peer_table::PeerTable;
use crate::raft::reads::gate::ReadGates;
use crate::raft::submit::proposer::Proposer;
use crate::runtime::Clock;
use crate::storage::{self, History, LogStore};

/// What the parts of a running node share.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number, its cluster and its data directory.
    pub(crate) me: PeerIdentity,
    /// What it was started with.
    pub(crate) settings: ClusterSettings,
    /// The wall clock: compared with the peers', and ledger time may follow it. No command is decided by it.
    pub(crate) clock: Clock,
    /// Ledger time, and how far this clock is trusted.
    pub(crate) clock_guard: Arc<ClockGuard>,
    /// The state, and what is published of it.
    pub(crate) published: Arc<Published>,
    /// All records, in pages on the disk.
    pub(crate) history: Arc<History>,
    /// What the audit of the records has found.
    pub(crate) audits: Arc<Audits>,
    /// Raft's log.
    pub(crate) log: LogStore,
    /// Writes the pages and the position that they cover.
    pub(crate) checkpoints: Checkpointer,
    /// openraft over the log and the state.
    pub(crate) raft: EtebarRaft,
    /// Packs waiting commands into log entries, where this node leads.
    pub(crate) proposer: Proposer,
    /// Where reads wait for a quorum.
    pub(crate) reads: ReadGates,
    /// Connections to the peers.
    pub(crate) links: Links,
    /// Which peers may connect, by their certificates and the membership.
    pub(crate) trust: Trust,
    /// The members' lists that peers sent last; one counts only where it is newer than the applied one.
    pub(crate) received_lists: ReceivedLists,
    /// What the peers reported last.
    pub(crate) peer_table: Arc<PeerTable>,
    /// What is known of the leader.
    pub(crate) leader: LeaderView,
    /// Takes snapshots in.
    pub(crate) receiver: SnapshotReceiver,
    /// Everything committed before the start is applied.
    pub(crate) recovered: AtomicBool,
    /// An orderly stop has begun.
    pub(crate) stopping: Arc<AtomicBool>,
    /// One hand-over of the leadership at a time.
    pub(crate) hand_overs: Arc<Semaphore>,
    /// Counts leaders, commands that failed, and what peers take.
    pub(crate) instruments: NodeInstruments,
}

impl Node {
    /// What the log says of the members; `None` where the list that this node was made with is newer. A node that joined takes
    /// the log in from its beginning, and those that were members then may all be gone.
    fn in_log<T>(&self, look: impl FnOnce(&Membership<NodeNumber, storage::NodeAddresses>) -> T) -> Option<T> {
        let list = self.raft.server_metrics().borrow_watched().membership_config.clone();
        let index = list.log_id().as_ref().map(|id| id.index);
        (index.is_some() && index >= self.settings.members_index).then(|| look(list.membership()))
    }

    /// All members by number: those of the log, or those that this node was made with until it has a newer list.
    pub(crate) fn members(&self) -> BTreeMap<NodeNumber, storage::NodeAddresses> {
        let members = self.in_log(|list| list.nodes().map(|(node, addresses)| (*node, addresses.clone())).collect());
        members.unwrap_or_else(|| self.settings.members.clone())
    }

    /// All members but this one.
    pub(crate) fn peers(&self) -> BTreeMap<NodeNumber, storage::NodeAddresses> {
        let mut members = self.members();
        members.remove(&self.me.node);
        members
    }

    /// The links to a node; `None` where there is none of that number.
    pub(crate) fn links_to(&self, node: NodeNumber) -> Option<PeerLinks> {
        self.peers().get(&node).map(|addresses| self.links.to(node, addresses))
    }

    /// Why this node is unhealthy, where it is.
    pub(crate) fn unhealthy_reason(&self) -> Option<String> {
        let stalled = || self.published.health.is_disk_stalled().then(|| "its disk does not answer".to_owned());
        self.published.health.failure().borrow().clone().or_else(stalled)
    }

    /// Why this node must not be made the leader, where it must not; openraft would let it.
    pub(crate) fn reason_not_to_lead(&self) -> Option<String> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("it is being stopped".to_owned());
        }
        match self.clock_guard.judged().clocks.verdict {
            ClockVerdict::Off(ahead_ms) => Some(format!("its clock is {ahead_ms} ms ahead of the others'")),
            ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Apart | ClockVerdict::Good => {
                self.unhealthy_reason()
            }
        }
    }

    /// Exchanges status with a peer, before `deadline`, and stores what it says of itself; `None` where it does not answer, and
    /// then it becomes unhealthy in the table.
    pub(crate) async fn ask_status(&self, links: &PeerLinks, deadline: Instant) -> Option<StatusMessage> {
        let asked = Instant::now();
        let status = Request::Status(self.status_message());
        let Ok(Response::Status(said)) = links.control.call(status, deadline).await else { return None };
        if said.node != links.peer.node {
            tracing::error!(peer = links.peer.node, said = said.node, "a peer sent the status of another node");
            return None;
        }
        self.instruments.round_trip(said.node, asked.elapsed());
        self.receive_status(&said);
        self.peer_table.record_clock(&said, asked);
        Some(said)
    }

    /// The status of this node.
    pub(crate) fn status_message(&self) -> StatusMessage {
        let (applied, digest) = self.published.latest();
        StatusMessage {
            node: self.me.node,
            incarnation: self.me.incarnation,
            clock_ms: self.clock.now_ms(),
            leader: self.leader.alive(),
            applied,
            digest,
            failure: self.unhealthy_reason(),
            ledger_time: Some(self.clock_guard.for_peers()),
            members: self.member_list(),
            rules: self.me.build.rules,
        }
    }

    /// The members' numbers and the index of the log entry that set them: from the list that was applied, and so committed. One
    /// that is only in the log may be truncated, and then others would admit a node that was never added.
    fn member_list(&self) -> MemberList {
        let membership = self.published.replica().membership.clone();
        let index = membership.log_id().as_ref().map(|id| id.index);
        let members: Vec<_> = membership.membership().nodes().map(|(node, _)| *node).collect();
        MemberList { index, members }
    }

    /// Whether a number is a member's: by the log's list, and on a node that is behind also by the newer lists that known members
    /// sent. Until the log's list is as new as the one that this node was made with, the newest of those that were sent counts
    /// alone: a node that joins refuses a member that was removed since it asked, once a known member has sent its list.
    pub(crate) fn membership_of(&self, node: NodeNumber) -> PeerMembership {
        let in_log = self.in_log(|list| list.get_node(&node).is_some());
        // Committed lists are compared with committed ones: a later one that is only in the log here may be truncated.
        let applied = self.published.replica().membership.log_id().as_ref().map(|id| id.index);
        let received = self.received_lists.counts(node, applied.max(self.settings.members_index));
        let is_member = match in_log {
            Some(in_log) => in_log || received == Some(true),
            None => received.unwrap_or_else(|| self.settings.members.contains_key(&node)),
        };
        if is_member { PeerMembership::Member } else { PeerMembership::NotMember }
    }

    /// Closes the connections of nodes that are no longer members.
    pub(crate) fn close_links_of_removed(&self) {
        let closed = self.trust.open.keep(|link| self.membership_of(link.node) == PeerMembership::Member);
        if closed > 0 {
            tracing::info!(closed, "connections of a node that was removed are closed");
        }
    }

    /// Stores the status of a peer. A node whose digest differs from at least half of the members stops.
    pub(crate) fn receive_status(&self, said: &StatusMessage) {
        // The status of a node that is not a member counts for nothing.
        if !self.members().contains_key(&said.node) {
            return;
        }
        self.peer_table.record(said, &self.published);
        if let Some(ledger_time) = said.ledger_time {
            self.clock_guard.receive(ledger_time, said.leader == Some(said.node));
        }
        self.received_lists.record(said.node, &said.members);
        let differing = self.peer_table.differing();
        if differing.len() * 2 >= self.members().len() {
            self.published.health.fail(format!(
                "the digest here differs from those of nodes {differing:?}: this node's data is kept and has to be \
                 examined; this node stays stopped, and the others continue while they are a majority"
            ));
        }
    }
}
