//! The first words on a connection: who speaks, to whom, and what for. Both sides check.
//!
//! Invariant: after a welcome, both sides are members of one cluster with the data directories they are known by.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use ledger::plants::planted;
use ledger::{Incarnation, NodeNumber};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::frame::{self, LinkError, Receiver, Sender};
use crate::runtime::net::TcpStream;

/// The layout of everything on the link. Raised with any change; mixed versions do not talk.
pub const LINK_VERSION: u32 = 1;

/// What a connection is for. Each has its own, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// An ordered session of append requests and their answers.
    Append,
    /// Short calls: votes, read positions, status.
    Control,
    /// Commands on their way to the leader; their answers wait for a commit.
    Forward,
    /// One snapshot.
    Snapshot,
}

/// Who this member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: Uuid,
    /// The member's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    version: u32,
    cluster: Uuid,
    node: NodeNumber,
    incarnation: Incarnation,
    to: NodeNumber,
    purpose: Purpose,
}

#[derive(Debug, Serialize, Deserialize)]
enum Welcome {
    Welcome { node: NodeNumber, incarnation: Incarnation },
    Refused { reason: String },
}

/// The data directories that the log has bound to members' numbers; shared with the state machine, which adds to it.
#[derive(Debug, Clone, Default)]
pub struct Acquaintances(Arc<RwLock<BTreeMap<NodeNumber, Incarnation>>>);

impl Acquaintances {
    /// Remembers a binding that was applied.
    pub fn add(&self, node: NodeNumber, incarnation: Incarnation) {
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.insert(node, incarnation);
    }

    fn check(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), String> {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match known.get(&node) {
            Some(bound) if *bound != incarnation && !planted("wiped-node-votes") => Err(format!(
                "member {node} is known with data directory {bound}, not {incarnation}: what it had promised is lost, \
                 so it cannot come back under its number; remove member {node} and add it under a new one"
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Both halves of a connection that was welcomed.
#[derive(Debug)]
pub struct Connection {
    /// Sends to the peer.
    pub sender: Sender,
    /// Receives from the peer.
    pub receiver: Receiver,
}

/// A peer that was welcomed, on the accepting side.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Its number.
    pub node: NodeNumber,
    /// What it wants.
    pub purpose: Purpose,
}

/// Connects to a peer and introduces this member, all before `deadline`.
pub async fn dial(
    me: &Identity,
    acquaintances: &Acquaintances,
    to: NodeNumber,
    address: &str,
    purpose: Purpose,
    deadline: Instant,
) -> Result<Connection, LinkError> {
    let introduce = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, mut receiver) = frame::split(stream)?;
        let Identity { cluster, node, incarnation } = *me;
        sender.send(&Hello { version: LINK_VERSION, cluster, node, incarnation, to, purpose }).await?;
        match receiver.receive::<Welcome>().await? {
            Welcome::Refused { reason } => Err(LinkError::Refused(reason)),
            Welcome::Welcome { node, .. } if node != to => {
                Err(LinkError::Refused(format!("{address} is member {node}, not {to}: the address is wrong")))
            }
            Welcome::Welcome { node, incarnation } => {
                acquaintances.check(node, incarnation).map_err(LinkError::Refused)?;
                Ok(Connection { sender, receiver })
            }
        }
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// Hears a caller out, and welcomes it or says why not, all before `deadline`.
pub async fn answer(
    me: &Identity,
    acquaintances: &Acquaintances,
    stream: TcpStream,
    deadline: Instant,
) -> Result<(Caller, Connection), LinkError> {
    let introduce = async {
        let (mut sender, mut receiver) = frame::split(stream)?;
        let hello = receiver.receive::<Hello>().await?;
        if let Err(reason) = check(me, acquaintances, &hello) {
            sender.send(&Welcome::Refused { reason: reason.clone() }).await?;
            return Err(LinkError::Refused(reason));
        }
        sender.send(&Welcome::Welcome { node: me.node, incarnation: me.incarnation }).await?;
        Ok((Caller { node: hello.node, purpose: hello.purpose }, Connection { sender, receiver }))
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

fn check(me: &Identity, acquaintances: &Acquaintances, hello: &Hello) -> Result<(), String> {
    if hello.version != LINK_VERSION {
        return Err(format!(
            "member {} speaks version {} of the peer link, member {} version {LINK_VERSION}: run the same build",
            hello.node, hello.version, me.node
        ));
    }
    if hello.cluster != me.cluster {
        return Err(format!(
            "member {} belongs to cluster {}, member {} to {}: correct the addresses",
            hello.node, hello.cluster, me.node, me.cluster
        ));
    }
    if hello.to != me.node {
        return Err(format!("this is member {}, not {}: the address is wrong", me.node, hello.to));
    }
    if hello.node == me.node {
        return Err(format!("two nodes run as member {}: stop one", me.node));
    }
    acquaintances.check(hello.node, hello.incarnation)
}
