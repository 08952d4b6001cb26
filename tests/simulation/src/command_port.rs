//! The command port: a second interface of nodes for clients, beside HTTP. It answers with whole records, so that every part
//! of them is checked.
//!
//! One request at a time on a connection, and one reply to each. A connection whose reply was late is dropped, so that no
//! reply is matched with another request.

use std::time::Duration;

use etebar_node::raft::link::error::LinkError;
use etebar_node::raft::link::frame::split;
use etebar_node::raft::{Cluster, Consistency, Decisions, SubmitError};
use etebar_node::runtime::net::{TcpListener, TcpStream};
use etebar_node::runtime::spawn;
use ledger::{ApiKeyNumber, Command, Digest, RecordNumber};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::network::COMMAND_PORT;

/// A request of a client.
#[derive(Debug, Serialize, Deserialize)]
pub enum PortRequest {
    /// Decide these as one group.
    Decide { commands: Vec<Command>, wait_ms: u64 },
    /// Read a seller's balance, and whether the API key of the reader is valid.
    Read { actor: ApiKeyNumber, seller: RecordNumber, mode: ReadMode, min_applied: u64, wait_ms: u64 },
}

/// The consistency of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadMode {
    /// Linearizable.
    Linearizable,
    /// What the replica has.
    Local,
}

/// The reply of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortReply {
    /// The decisions.
    Decided(Decisions),
    /// Certainly not done.
    NotDone(String),
    /// Perhaps done.
    Unknown,
    /// What the read returned.
    Read(ReadResult),
    /// The read did not reach its position.
    NotRead,
}

/// The result of a read, all at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadResult {
    /// The position.
    pub applied: u64,
    /// How many records there were.
    pub records: u64,
    /// The digest over them.
    pub digest: Digest,
    /// The seller's balance; none where it is not known.
    pub balance: Option<u64>,
    /// Whether the API key of the reader was valid.
    pub key_is_good: bool,
}

/// Serves clients for as long as the node runs.
pub async fn serve(cluster: Cluster) {
    let Ok(listener) = TcpListener::bind(("0.0.0.0", COMMAND_PORT)).await else { return };
    while let Ok((stream, _client)) = listener.accept().await {
        let cluster = cluster.clone();
        spawn(async move {
            // A client that closed the connection needs no answer.
            drop(serve_one(stream, &cluster).await);
        });
    }
}

async fn serve_one(stream: TcpStream, cluster: &Cluster) -> Result<(), LinkError> {
    let (mut sender, mut receiver) = split(stream);
    loop {
        let request = receiver.receive::<PortRequest>().await?;
        sender.send(&answer(cluster, request).await).await?;
    }
}

async fn answer(cluster: &Cluster, request: PortRequest) -> PortReply {
    match request {
        PortRequest::Decide { commands, wait_ms } => {
            match cluster.submit(commands, Instant::now() + Duration::from_millis(wait_ms)).await {
                Ok(decisions) => PortReply::Decided(decisions),
                Err(error @ (SubmitError::NoLeader | SubmitError::Overloaded { .. } | SubmitError::DiskFull)) => {
                    PortReply::NotDone(error.to_string())
                }
                Err(SubmitError::OutcomeUnknown { .. }) => PortReply::Unknown,
            }
        }
        PortRequest::Read { actor, seller, mode, min_applied, wait_ms } => {
            let consistency = match mode {
                ReadMode::Linearizable => Consistency::Linearizable,
                ReadMode::Local => Consistency::Local,
            };
            let deadline = Instant::now() + Duration::from_millis(wait_ms);
            match cluster.read(consistency, Some(min_applied), deadline).await {
                Ok(()) => PortReply::Read(read_result(cluster, actor, seller)),
                Err(_) => PortReply::NotRead,
            }
        }
    }
}

fn read_result(cluster: &Cluster, actor: ApiKeyNumber, seller: RecordNumber) -> ReadResult {
    let replica = cluster.replica();
    let state = &replica.state;
    ReadResult {
        applied: replica.applied,
        records: state.records(),
        digest: state.digest(),
        balance: state.seller(seller).map(|seller| seller.balance.minor()),
        key_is_good: state.api_key(actor).is_some_and(|key| key.revoked_by.is_none()),
    }
}
