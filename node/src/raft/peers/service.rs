//! What this node does for a peer that calls it, each request checked against the members of that moment.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use ledger::{NodeNumber, SYSTEM_ACTOR};
use tokio::time::Instant;

use super::introduction::introduce;
use super::link::error::LinkError;
use super::link::hello::{Connection, PeerCaller, PeerMembership};
use super::link::message::join::JoinAnswer;
use super::link::message::raft::{Append, Appended};
use super::link::message::{Commands, Request, Response};
use super::link::serve::Serve;
use crate::raft::lifecycle::hand_over::{Successor, hand_over};
use crate::raft::lifecycle::node::Node;
use crate::runtime::log::context::LogContext;

/// Whether a request is one that this caller may make: in its own name alone, and never in that of the cluster.
fn is_its_own(from: PeerCaller, request: &Request) -> bool {
    match request {
        Request::Ping | Request::ReadPosition { .. } | Request::HandOver { .. } => true,
        Request::Vote(rpc) | Request::PreVote(rpc) => rpc.vote.node == from.node,
        Request::TransferLeader(rpc) => rpc.from.node == from.node,
        Request::Status(said) => (said.node, said.incarnation) == (from.node, from.incarnation),
        Request::Forward { commands, .. } | Request::ForwardTraced { commands, .. } => {
            commands.iter().all(|command| command.actor != SYSTEM_ACTOR)
        }
    }
}

impl Serve for Node {
    fn membership_of(&self, node: NodeNumber) -> PeerMembership {
        self.membership_of(node)
    }

    async fn call(&self, from: PeerCaller, request: Request) -> Response {
        let stopped = |error: &dyn std::fmt::Display| Response::Declined(error.to_string());
        if self.membership_of(from.node) == PeerMembership::NotMember {
            return Response::Declined("the caller is no longer a member".to_owned());
        }
        if !is_its_own(from, &request) {
            tracing::error!(peer = from.node, "a peer sent a request in another node's name");
            return Response::Declined("not in the caller's own name".to_owned());
        }
        match request {
            Request::Ping => Response::Pong,
            Request::Vote(rpc) => {
                let voted = self.raft.vote(rpc.into()).await;
                voted.map_or_else(|error| stopped(&error), |vote| Response::Vote(vote.into()))
            }
            Request::PreVote(rpc) => {
                let voted = self.raft.pre_vote(rpc.into()).await;
                voted.map_or_else(|error| stopped(&error), |vote| Response::PreVote(vote.into()))
            }
            Request::TransferLeader(rpc) => {
                if rpc.to == self.me.node
                    && let Some(why) = self.reason_not_to_lead()
                {
                    tracing::warn!(from = from.node, %why, "this node does not take the leadership over");
                    return Response::Declined(why);
                }
                let handled = self.raft.handle_transfer_leader(rpc.into()).await;
                handled.map_or_else(|error| stopped(&error), |taken| Response::TransferLeader(taken.into()))
            }
            Request::ReadPosition { wait_ms } => {
                Response::ReadPosition(self.reads.quorum.position(after(wait_ms)).await)
            }
            Request::Status(said) => {
                self.receive_status(&said);
                Response::Status(self.status_message())
            }
            Request::Forward { commands, wait_ms } => self.decide_for(from, commands, wait_ms).await,
            Request::ForwardTraced { trace, commands, wait_ms } => {
                LogContext::of_call(trace).scope(self.decide_for(from, commands, wait_ms)).await
            }
            Request::HandOver { to, wait_ms } => {
                Response::HandOver(hand_over(self, Successor::This(to), after(wait_ms)).await.map(drop))
            }
        }
    }

    fn append<S>(self: &Arc<Self>, from: PeerCaller, requests: S) -> impl Stream<Item = Result<Appended, String>> + Send
    where
        S: Stream<Item = Append> + Send + 'static,
    {
        let this = self.clone();
        let requests = requests.take_while(move |append| {
            let leader = append.vote.leader_id;
            let may = leader.node_id == from.node && this.membership_of(from.node) != PeerMembership::NotMember;
            if may {
                this.published.follow((leader.term, leader.node_id));
            }
            std::future::ready(may)
        });
        self.raft.stream_append(requests).map(|answer| answer.map_err(|fatal| fatal.to_string()))
    }

    async fn introduce(&self, to: PeerCaller) -> JoinAnswer {
        introduce(self, to).await
    }

    async fn snapshot(&self, from: PeerCaller, connection: Connection) -> Result<(), LinkError> {
        self.receiver.receive(&self.raft, connection, from.node).await
    }
}

impl Node {
    /// Has commands decided that another node was asked for.
    async fn decide_for(&self, from: PeerCaller, commands: Commands, wait_ms: u64) -> Response {
        let (begun, count, peer) = (Instant::now(), commands.len(), from.node);
        let decided = self.proposer.propose(commands, after(wait_ms)).await;
        match &decided {
            Ok(decisions) => {
                let position = decisions.position;
                tracing::debug!(peer, commands = count, position, after = ?begun.elapsed(), "forwarded commands decided");
            }
            Err(why) => {
                tracing::debug!(peer, commands = count, ?why, after = ?begun.elapsed(), "forwarded commands not decided");
            }
        }
        Response::Forward(decided)
    }
}

fn after(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.min(3_600_000))
}
