//! One member, inside: what its parts share, and what it does for its peers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::{Stream, StreamExt};
use ledger::{NodeNumber, SYSTEM_ACTOR};
use openraft::async_runtime::{Instant as _, WatchReceiver};
use tokio::time::Instant;

use super::checkpoint::Checkpointer;
use super::clocks::Stamps;
use super::link::append::{Append, Appended};
use super::link::frame::LinkError;
use super::link::hello::{Caller, Connection, Identity, Standing, Trust};
use super::link::message::{Heartbeat, MembersTold, Request, Response};
use super::link::serve::Serve;
use super::link::trust::vouched::Vouched;
use super::machine::EtebarRaft;
use super::neighbours::Neighbours;
use super::network::{Links, PeerLinks};
use super::proposer::Proposer;
use super::read::ReadGates;
use super::replica::Shared;
use super::settings::ClusterSettings;
use super::snapshot::SnapshotReceiver;
use crate::runtime::Clock;
use crate::storage::{self, History, LogStore};

/// What the parts of a running member share.
#[derive(Debug)]
pub struct Member {
    pub(super) me: Identity,
    pub(super) settings: ClusterSettings,
    pub(super) clock: Clock,
    pub(super) stamps: Arc<Stamps>,
    pub(super) shared: Arc<Shared>,
    pub(super) history: Arc<History>,
    pub(super) log: LogStore,
    pub(super) checkpoints: Checkpointer,
    pub(super) raft: EtebarRaft,
    pub(super) proposer: Proposer,
    pub(super) reads: ReadGates,
    pub(super) links: Links,
    pub(super) trust: Trust,
    pub(super) vouched: Vouched,
    pub(super) neighbours: Neighbours,
    pub(super) receiver: SnapshotReceiver,
    /// Everything committed before the start is applied.
    pub(super) recovered: AtomicBool,
    /// An orderly stop has begun.
    pub(super) stopping: AtomicBool,
}

impl Member {
    /// The leader that this member knows, perhaps itself.
    ///
    /// While its disk stalls, Raft may wait for it and know nothing of what goes on: then the leader is who sends entries,
    /// and never this member itself, which gives leadership up.
    pub(super) fn leader(&self) -> Option<NodeNumber> {
        let (known, term) = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            (metrics.current_leader, metrics.vote.leader_id.term)
        };
        if !self.shared.is_disk_stalled() {
            return known;
        }
        let followed = self.shared.followed().filter(|(theirs, _)| *theirs >= term).map(|(_, node)| node);
        followed.or(known).filter(|leader| *leader != self.me.node)
    }

    /// Whether Raft here takes this member for the leader, also while its disk stalls.
    pub(super) fn is_raft_leader(&self) -> bool {
        self.raft.server_metrics().borrow_watched().current_leader == Some(self.me.node)
    }

    /// The same leader, where there are signs that it still leads: a quorum answered this member lately, or the leader
    /// was heard lately. Raft itself keeps the last leader's name until there is another.
    pub(super) fn heard_leader(&self) -> Option<NodeNumber> {
        let leader = self.leader()?;
        if leader != self.me.node {
            return self.neighbours.heard(leader).is_some_and(|heard| heard.healthy).then_some(leader);
        }
        self.hears_majority().then_some(leader)
    }

    /// Whether callers are better served elsewhere, and no election will change that: this member has no sign of a leader,
    /// and hears too few for one to be elected among them, or somebody who follows a leader.
    pub(super) fn is_out_of_reach(&self) -> bool {
        if self.heard_leader().is_some() {
            return false;
        }
        let voters: BTreeSet<NodeNumber> = self.raft.voter_ids().collect();
        let others = voters.iter().filter(|node| **node != self.me.node);
        let heard: Vec<_> =
            others.filter_map(|node| self.neighbours.heard(*node)).filter(|heard| heard.healthy).collect();
        let reached = heard.len() + usize::from(voters.contains(&self.me.node));
        reached * 2 <= voters.len() || heard.iter().any(|heard| heard.leader.is_some())
    }

    /// Whether a majority answered this member, as a leader, lately.
    pub(super) fn hears_majority(&self) -> bool {
        let is_alone = self.raft.voter_ids().nth(1).is_none();
        let acked = self.raft.data_metrics().borrow_watched().last_quorum_acked;
        is_alone || acked.is_some_and(|acked| acked.elapsed() <= self.majority_within())
    }

    /// A leader that no majority answered for so long is none.
    pub(super) fn majority_within(&self) -> Duration {
        self.settings.election_max * 2 + self.settings.heartbeat
    }

    /// Whether this member believes that it leads.
    pub(super) fn leads(&self) -> bool {
        self.leader() == Some(self.me.node)
    }

    /// All members by number: those of the log, or the first ones before there is any.
    pub(super) fn members(&self) -> BTreeMap<NodeNumber, storage::Member> {
        let membership = self.raft.server_metrics().borrow_watched().membership_config.clone();
        let members: BTreeMap<_, _> =
            membership.membership().nodes().map(|(node, member)| (*node, member.clone())).collect();
        if members.is_empty() { self.settings.members.clone() } else { members }
    }

    /// All members but this one.
    pub(super) fn peers(&self) -> BTreeMap<NodeNumber, storage::Member> {
        let mut members = self.members();
        members.remove(&self.me.node);
        members
    }

    /// The links to a member; `None` where there is none of that number.
    pub(super) fn links_to(&self, node: NodeNumber) -> Option<PeerLinks> {
        self.peers().get(&node).map(|member| self.links.to(node, member))
    }

    /// Why this member should not be counted on now, where it should not.
    pub(super) fn ailment(&self) -> Option<String> {
        let stalled = || self.shared.is_disk_stalled().then(|| "its disk does not answer".to_owned());
        self.shared.failure().borrow().clone().or_else(stalled)
    }

    /// How this member stands.
    pub(super) fn heartbeat(&self) -> Heartbeat {
        let (applied, digest) = self.shared.published();
        Heartbeat {
            node: self.me.node,
            incarnation: self.me.incarnation,
            clock_ms: self.clock.now_ms(),
            leader: self.heard_leader(),
            applied,
            digest,
            failure: self.ailment(),
            ledger_time: self.stamps.told(),
            members: self.members_told(),
        }
    }

    /// The members' numbers and since which entry they are so: of the list that was applied, and so committed. One that is only
    /// in the log may be taken back, and others would let in whom nobody added.
    fn members_told(&self) -> MembersTold {
        let membership = self.shared.replica().membership.clone();
        let index = membership.log_id().as_ref().map(|id| id.index);
        let members: Vec<_> = membership.membership().nodes().map(|(node, _)| *node).collect();
        MembersTold { index, members }
    }

    /// What a number is now: by the log's members or, before there are any, by those the cluster begins with; and for a
    /// member that is behind, by what the members that it knows say.
    pub(super) fn standing_of(&self, node: NodeNumber) -> Standing {
        let (is_member, is_empty) = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            let members = metrics.membership_config.membership();
            (members.get_node(&node).is_some(), members.nodes().next().is_none())
        };
        // Committed lists are compared with committed ones: a later one that is only in the log here may be taken back.
        let is_counted = || {
            let index = self.shared.replica().membership.log_id().as_ref().map(|id| id.index);
            self.vouched.counts(node, index) == Some(true)
        };
        if is_member || (is_empty && self.settings.members.contains_key(&node)) || is_counted() {
            Standing::Member
        } else if is_empty && !self.settings.members.contains_key(&self.me.node) {
            Standing::Unknown
        } else {
            Standing::Stranger
        }
    }

    /// Closes the connections of those who are no members any more, and remembers those who were let in before the members
    /// were known.
    pub(super) async fn close_links_of_strangers(&self) {
        let closed = self.trust.open.keep(|link| self.standing_of(link.node) != Standing::Stranger);
        if closed > 0 {
            tracing::info!(closed, "connections of a member that was removed are closed");
        }
        for (node, incarnation) in self.trust.open.unmet() {
            if self.standing_of(node) != Standing::Member {
                continue;
            }
            match self.trust.acquaintances.meet(node, incarnation).await {
                Ok(()) => self.trust.open.met(node, incarnation),
                Err(error) => {
                    tracing::warn!(peer = node, %error, "peer refused");
                    self.trust.open.keep(|link| (link.node, link.incarnation) != (node, incarnation));
                }
            }
        }
    }

    /// Takes in what a peer said of itself. The odd one out stops: more members differ from it than agree.
    pub(super) fn hear(&self, said: &Heartbeat) {
        // One that was removed, or waits to be added, has no part in anything here.
        if !self.members().contains_key(&said.node) {
            return;
        }
        self.neighbours.hear(said, &self.shared);
        if let Some(ledger_time) = said.ledger_time {
            self.stamps.hear(ledger_time, said.leader == Some(said.node));
        }
        self.vouched.hear(said.node, &said.members);
        let differing = self.neighbours.differing();
        if differing.len() * 2 >= self.members().len() {
            self.shared.fail(format!(
                "the digest here differs from those of members {differing:?}: this member's data is kept and must be \
                 looked at; replace the member by a new one under another number"
            ));
        }
    }
}

/// Whether a request is one that this caller may make: in its own name alone, and never in that of the cluster.
fn is_its_own(from: Caller, request: &Request) -> bool {
    match request {
        Request::Ping | Request::ReadPosition { .. } => true,
        Request::Vote(rpc) | Request::PreVote(rpc) => rpc.vote.leader_id.node_id == from.node,
        Request::TransferLeader(rpc) => rpc.from_leader().leader_id.node_id == from.node,
        Request::Status(said) => (said.node, said.incarnation) == (from.node, from.incarnation),
        Request::Forward { commands, .. } => commands.iter().all(|command| command.actor != SYSTEM_ACTOR),
    }
}

impl Serve for Member {
    fn standing(&self, node: NodeNumber) -> Standing {
        self.standing_of(node)
    }

    async fn call(&self, from: Caller, request: Request) -> Response {
        let stopped = |error: &dyn std::fmt::Display| Response::Unavailable(error.to_string());
        if self.standing_of(from.node) == Standing::Stranger {
            return Response::Unavailable("the caller is no member any more".to_owned());
        }
        if !is_its_own(from, &request) {
            tracing::error!(peer = from.node, "a peer asked for something in another's name");
            return Response::Unavailable("not in the caller's own name".to_owned());
        }
        match request {
            Request::Ping => Response::Pong,
            Request::Vote(rpc) => self.raft.vote(rpc).await.map_or_else(|error| stopped(&error), Response::Vote),
            Request::PreVote(rpc) => {
                self.raft.pre_vote(rpc).await.map_or_else(|error| stopped(&error), Response::PreVote)
            }
            Request::TransferLeader(rpc) => {
                let handled = self.raft.handle_transfer_leader(rpc).await;
                handled.map_or_else(|error| stopped(&error), Response::TransferLeader)
            }
            Request::ReadPosition { wait_ms } => {
                Response::ReadPosition(self.reads.quorum.position(after(wait_ms)).await)
            }
            Request::Status(said) => {
                self.hear(&said);
                Response::Status(self.heartbeat())
            }
            Request::Forward { commands, wait_ms } => {
                Response::Forward(self.proposer.propose(commands, after(wait_ms)).await)
            }
        }
    }

    fn append<S>(self: &Arc<Self>, from: Caller, requests: S) -> impl Stream<Item = Result<Appended, String>> + Send
    where
        S: Stream<Item = Append> + Send + 'static,
    {
        let member = self.clone();
        let requests = requests.take_while(move |append| {
            let leader = append.vote.leader_id;
            let may = leader.node_id == from.node && member.standing_of(from.node) != Standing::Stranger;
            if may {
                member.shared.follow((leader.term, leader.node_id));
            }
            std::future::ready(may)
        });
        self.raft.stream_append(requests).map(|answer| answer.map_err(|fatal| fatal.to_string()))
    }

    async fn snapshot(&self, from: Caller, connection: Connection) -> Result<(), LinkError> {
        self.receiver.receive(&self.raft, connection, from.node).await
    }
}

fn after(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.min(3_600_000))
}
