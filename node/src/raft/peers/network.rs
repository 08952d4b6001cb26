//! Raft's network over the peer link.
//!
//! Invariant: whatever openraft waits for ends within the time it gives, connecting included; what could not be
//! reached is an error, never a grant.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future, stream};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesResponse, SnapshotResponse, StreamAppendError, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::append::AppendLink;
use super::link::call::{CallError, Calls, Peer};
use super::link::error::LinkError;
use super::link::hello::Trust;
use super::link::message::Purpose;
use super::link::message::raft::{Append, Appended};
use super::link::message::{Request, Response};
use crate::raft::catch_up::install::SnapshotData;
use crate::raft::catch_up::snapshot::send::{SnapshotSender, send_snapshot};
use crate::storage::types::{NodeAddresses, TypeConfig};

/// The links to one peer that all of the node shares.
#[derive(Debug, Clone)]
pub(crate) struct PeerLinks {
    /// How to reach it.
    pub peer: Peer,
    /// Short calls.
    pub control: Calls,
    /// Commands on their way to the leader.
    pub forward: Calls,
}

/// The links to all peers, opened when first used.
#[derive(Debug, Clone)]
pub(crate) struct Links(Arc<LinksInner>);

#[derive(Debug)]
struct LinksInner {
    trust: Trust,
    open: Mutex<BTreeMap<u64, PeerLinks>>,
}

impl Links {
    /// No link yet.
    pub(crate) fn new(trust: Trust) -> Self {
        Self(Arc::new(LinksInner { trust, open: Mutex::default() }))
    }

    /// Ends the links to nodes that were removed.
    pub(crate) fn keep(&self, is_kept: impl Fn(u64) -> bool) {
        self.0.open.lock().retain(|node, _| is_kept(*node));
    }

    /// The links to a node, at its present address.
    pub(crate) fn to(&self, node: u64, addresses: &NodeAddresses) -> PeerLinks {
        let mut open = self.0.open.lock();
        if let Some(links) = open.get(&node)
            && *links.peer.address == *addresses.peer
        {
            return links.clone();
        }
        let peer = Peer { trust: self.0.trust.clone(), node, address: addresses.peer.as_str().into() };
        let links = PeerLinks {
            control: Calls::open(peer.clone(), Purpose::Control),
            forward: Calls::open(peer.clone(), Purpose::Forward),
            peer,
        };
        open.insert(node, links.clone());
        links
    }
}

/// Makes openraft's clients.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    links: Links,
    sender: SnapshotSender,
    answer_within: Duration,
}

impl Network {
    /// `answer_within` bounds the wait for one append's answer, its sync at the peer included.
    pub(crate) fn new(links: Links, sender: SnapshotSender, answer_within: Duration) -> Self {
        Self { links, sender, answer_within }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &NodeAddresses) -> Client {
        let links = self.links.to(target, node);
        Client {
            append: AppendLink::new(links.peer.clone()),
            links,
            sender: self.sender.clone(),
            answer_within: self.answer_within,
        }
    }
}

/// One of openraft's clients of one peer: a replication stream, a heartbeat, a snapshot or a vote.
#[derive(Debug)]
pub(crate) struct Client {
    links: PeerLinks,
    append: AppendLink,
    sender: SnapshotSender,
    answer_within: Duration,
}

impl Client {
    fn node(&self) -> u64 {
        self.links.peer.node
    }

    fn timed_out(&self, action: RPCTypes, timeout: Duration) -> RPCError<TypeConfig> {
        RPCError::Timeout(Timeout { action, id: self.links.peer.trust.me.node, target: self.node(), timeout })
    }

    async fn call(
        &self,
        request: Request,
        action: RPCTypes,
        option: &RPCOption,
    ) -> Result<Response, RPCError<TypeConfig>> {
        let within = option.soft_ttl();
        match self.links.control.call(request, Instant::now() + within).await {
            Ok(Response::Declined(reason)) | Err(CallError::NotSent(reason)) => Err(unreachable_peer(&reason)),
            Err(error @ CallError::OlderBuild) => Err(unreachable_peer(&error.to_string())),
            Ok(response) => Ok(response),
            Err(CallError::NoAnswer) => Err(self.timed_out(action, within)),
        }
    }
}

fn unreachable_peer(reason: &str) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

fn out_of_place() -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::from_string("the answer belongs to another call"))
}

fn rpc_error(error: &LinkError, node: u64, me: u64, within: Duration) -> RPCError<TypeConfig> {
    match error {
        LinkError::TimedOut => {
            RPCError::Timeout(Timeout { action: RPCTypes::AppendEntries, id: me, target: node, timeout: within })
        }
        LinkError::Closed | LinkError::Malformed(_) => RPCError::Network(NetworkError::new(error)),
        LinkError::Io(_) | LinkError::Refused(_) => RPCError::Unreachable(Unreachable::new(error)),
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: Append,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let last = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let input = stream::once(future::ready(rpc));
        let mut answers = RaftNetworkV2::stream_append(self, input, option).await?;
        match answers.next().await {
            Some(Ok(Ok(matched))) if matched == last => Ok(AppendEntriesResponse::Success),
            Some(Ok(Ok(matched))) => Ok(AppendEntriesResponse::PartialSuccess(matched)),
            Some(Ok(Err(StreamAppendError::Conflict(_)))) => Ok(AppendEntriesResponse::Conflict),
            Some(Ok(Err(StreamAppendError::HigherVote(vote)))) => Ok(AppendEntriesResponse::HigherVote(vote)),
            Some(Err(error)) => Err(error),
            None => Err(out_of_place()),
        }
    }

    fn stream_append<S>(
        &mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'_, Result<BoxStream<'_, Result<Appended, RPCError<TypeConfig>>>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = Append> + OptionalSend + Unpin + 'static,
    {
        let (node, me) = (self.node(), self.links.peer.trust.me.node);
        // The time given is a heartbeat's, 50 ms: right for connecting, but an append waits for the peer's sync.
        let (dial_within, answer_within) = (option.soft_ttl(), self.answer_within.max(option.soft_ttl()));
        let answers = self
            .append
            .session(input, dial_within, answer_within)
            .map(move |answer| answer.map_err(|error| rpc_error(&error, node, me, answer_within)));
        Box::pin(future::ready(Ok(answers.boxed())))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(Request::Vote(rpc.into()), RPCTypes::Vote, &option).await? {
            Response::Vote(vote) => Ok(vote.into()),
            _ => Err(out_of_place()),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(Request::PreVote(rpc.into()), RPCTypes::Vote, &option).await? {
            Response::PreVote(vote) => Ok(vote.into()),
            _ => Err(out_of_place()),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(Request::TransferLeader(req.into()), RPCTypes::TransferLeader, &option).await? {
            Response::TransferLeader(answer) => Ok(answer.into()),
            _ => Err(out_of_place()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let deadline = Instant::now() + option.soft_ttl();
        let sending = send_snapshot(&self.links.peer, &self.sender, vote, snapshot, deadline);
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = sending => sent,
        }
    }
}
