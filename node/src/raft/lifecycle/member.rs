//! One member, inside: what its parts share, and what it does for its peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::{Stream, StreamExt};
use ledger::{NodeNumber, SYSTEM_ACTOR};
use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use super::settings::ClusterSettings;
use crate::raft::apply::clocks::Stamps;
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Shared;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::snapshot::SnapshotReceiver;
use crate::raft::peers::leader::LeaderView;
use crate::raft::peers::link::append::{Append, Appended};
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::hello::{Caller, Connection, Identity, Standing, Trust};
use crate::raft::peers::link::message::{Heartbeat, MembersTold, Request, Response};
use crate::raft::peers::link::serve::Serve;
use crate::raft::peers::link::trust::vouched::Vouched;
use crate::raft::peers::neighbours::Neighbours;
use crate::raft::peers::network::{Links, PeerLinks};
use crate::raft::submit::proposer::Proposer;
use crate::raft::submit::read_gate::ReadGates;
use crate::runtime::Clock;
use crate::storage::{self, History, LogStore};

/// What the parts of a running member share.
#[derive(Debug)]
pub struct Member {
    pub(crate) me: Identity,
    pub(crate) settings: ClusterSettings,
    pub(crate) clock: Clock,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) history: Arc<History>,
    pub(crate) log: LogStore,
    pub(crate) checkpoints: Checkpointer,
    pub(crate) raft: EtebarRaft,
    pub(crate) proposer: Proposer,
    pub(crate) reads: ReadGates,
    pub(crate) links: Links,
    pub(crate) trust: Trust,
    pub(crate) vouched: Vouched,
    pub(crate) neighbours: Arc<Neighbours>,
    /// What is known of the leader.
    pub(crate) leader: LeaderView,
    pub(crate) receiver: SnapshotReceiver,
    /// Everything committed before the start is applied.
    pub(crate) recovered: AtomicBool,
    /// An orderly stop has begun.
    pub(crate) stopping: AtomicBool,
}

impl Member {
    /// All members by number: those of the log, or the first ones before there is any.
    pub(crate) fn members(&self) -> BTreeMap<NodeNumber, storage::Member> {
        let membership = self.raft.server_metrics().borrow_watched().membership_config.clone();
        let members: BTreeMap<_, _> =
            membership.membership().nodes().map(|(node, member)| (*node, member.clone())).collect();
        if members.is_empty() { self.settings.members.clone() } else { members }
    }

    /// All members but this one.
    pub(crate) fn peers(&self) -> BTreeMap<NodeNumber, storage::Member> {
        let mut members = self.members();
        members.remove(&self.me.node);
        members
    }

    /// The links to a member; `None` where there is none of that number.
    pub(crate) fn links_to(&self, node: NodeNumber) -> Option<PeerLinks> {
        self.peers().get(&node).map(|member| self.links.to(node, member))
    }

    /// Why this member should not be counted on now, where it should not.
    pub(crate) fn ailment(&self) -> Option<String> {
        let stalled = || self.shared.health.is_disk_stalled().then(|| "its disk does not answer".to_owned());
        self.shared.health.failure().borrow().clone().or_else(stalled)
    }

    /// How this member stands.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let (applied, digest) = self.shared.published();
        Heartbeat {
            node: self.me.node,
            incarnation: self.me.incarnation,
            clock_ms: self.clock.now_ms(),
            leader: self.leader.alive(),
            applied,
            digest,
            failure: self.ailment(),
            ledger_time: Some(self.stamps.tell()),
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
    pub(crate) fn standing_of(&self, node: NodeNumber) -> Standing {
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
    pub(crate) async fn close_links_of_strangers(&self) {
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
    pub(crate) fn hear(&self, said: &Heartbeat) {
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
            self.shared.health.fail(format!(
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
