//! A second door between clients and members, beside HTTP: what HTTP does, without its texts, and with whole records for
//! answers, so that nothing of them goes unchecked.
//!
//! One question at a time on a connection, and one answer to each. A connection on which an answer was late is dropped,
//! so that no answer is taken for another question's.

use std::time::Duration;

use etebar_node::raft::link::error::LinkError;
use etebar_node::raft::link::frame::split;
use etebar_node::raft::{Cluster, Consistency, Decisions, SubmitError};
use etebar_node::runtime::net::{TcpListener, TcpStream};
use etebar_node::runtime::spawn;
use ledger::{Command, Digest, KeyNumber, RecordNumber};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Where members listen for clients.
pub const PORT: u16 = 7100;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Decide these as one group.
    Decide { commands: Vec<Command>, wait_ms: u64 },
    /// Show what you have: a seller's balance, and whether the key that asks is good.
    Read { actor: KeyNumber, seller: RecordNumber, consistency: Fresh, min_applied: u64, wait_ms: u64 },
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fresh {
    /// Linearizable.
    Now,
    /// Whatever the replica has.
    Whatever,
}

/// What a member answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// These are the decisions.
    Decided(Decisions),
    /// Certainly not done.
    NotDone(String),
    /// Perhaps done.
    Unknown,
    /// This is what is here.
    Seen(Seen),
    /// The read did not reach its position.
    NotRead,
}

/// What a read saw, all at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The position.
    pub applied: u64,
    /// How many records there were.
    pub records: u64,
    /// The digest over them.
    pub digest: Digest,
    /// The seller's balance; none where it is not known.
    pub balance: Option<u64>,
    /// Whether the key that asked was good.
    pub key_is_good: bool,
}

/// Serves clients for as long as the member lives.
pub async fn serve(cluster: Cluster) {
    let Ok(listener) = TcpListener::bind(("0.0.0.0", PORT)).await else { return };
    while let Ok((stream, _client)) = listener.accept().await {
        let cluster = cluster.clone();
        spawn(async move {
            // A client that hung up needs no answer.
            drop(serve_one(stream, &cluster).await);
        });
    }
}

async fn serve_one(stream: TcpStream, cluster: &Cluster) -> Result<(), LinkError> {
    let (mut sender, mut receiver) = split(stream);
    loop {
        let ask = receiver.receive::<Ask>().await?;
        sender.send(&answer(cluster, ask).await).await?;
    }
}

async fn answer(cluster: &Cluster, ask: Ask) -> Reply {
    match ask {
        Ask::Decide { commands, wait_ms } => {
            match cluster.submit(commands, Instant::now() + Duration::from_millis(wait_ms)).await {
                Ok(decisions) => Reply::Decided(decisions),
                Err(error @ (SubmitError::NoLeader | SubmitError::Overloaded { .. } | SubmitError::DiskFull)) => {
                    Reply::NotDone(error.to_string())
                }
                Err(SubmitError::OutcomeUnknown { .. }) => Reply::Unknown,
            }
        }
        Ask::Read { actor, seller, consistency, min_applied, wait_ms } => {
            let consistency = match consistency {
                Fresh::Now => Consistency::Linearizable,
                Fresh::Whatever => Consistency::Local,
            };
            let deadline = Instant::now() + Duration::from_millis(wait_ms);
            match cluster.read(consistency, Some(min_applied), deadline).await {
                Ok(()) => Reply::Seen(see(cluster, actor, seller)),
                Err(_) => Reply::NotRead,
            }
        }
    }
}

fn see(cluster: &Cluster, actor: KeyNumber, seller: RecordNumber) -> Seen {
    let replica = cluster.replica();
    let state = &replica.state;
    Seen {
        applied: replica.applied,
        records: state.records(),
        digest: state.digest(),
        balance: state.seller(seller).map(|seller| seller.balance.minor()),
        key_is_good: state.api_key(actor).is_some_and(|key| key.revoked_by.is_none()),
    }
}
