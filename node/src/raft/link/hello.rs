//! The first words on a connection: who speaks, to whom, and what for. Both sides check.
//!
//! Invariant: after a welcome, both sides are members of one cluster with the data directories they are known by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ledger::plants::planted;
use ledger::{Incarnation, NodeNumber};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::frame::{self, LinkError, Receiver, Sender};
use crate::runtime;
use crate::runtime::net::TcpStream;
use crate::storage::{History, StorageError};

/// The layout of everything on the link. Raised with any change; mixed versions do not talk.
pub const LINK_VERSION: u32 = 3;

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

/// What the caller says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    version: u32,
    cluster: Uuid,
    node: NodeNumber,
    incarnation: Incarnation,
    to: NodeNumber,
    purpose: Purpose,
}

/// What it is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Welcome {
    Welcome { node: NodeNumber, incarnation: Incarnation },
    Refused { reason: String },
}

/// The data directories that belong to members' numbers: those that the log has bound, which the state machine adds, and
/// until then those under which this member met them.
#[derive(Debug, Clone, Default)]
pub struct Acquaintances(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bound: RwLock<BTreeMap<NodeNumber, Incarnation>>,
    met: Mutex<BTreeMap<NodeNumber, Incarnation>>,
    /// Where meetings are kept; nowhere in tests of the link alone.
    kept_in: Option<Arc<History>>,
    /// Held by whoever checks and keeps a meeting.
    meeting: tokio::sync::Mutex<()>,
}

impl Acquaintances {
    /// With whom this member met before; kept durably from here on.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn kept_in(history: Arc<History>) -> Result<Self, StorageError> {
        let met = Mutex::new(history.met()?.into_iter().collect());
        Ok(Self(Arc::new(Inner { met, kept_in: Some(history), ..Inner::default() })))
    }

    /// Remembers a binding that was applied.
    pub fn add(&self, node: NodeNumber, incarnation: Incarnation) {
        let mut bound = self.0.bound.write().unwrap_or_else(PoisonError::into_inner);
        bound.insert(node, incarnation);
    }

    fn known(&self, node: NodeNumber) -> Option<Incarnation> {
        let bound = self.0.bound.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied();
        bound.or_else(|| self.0.met.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied())
    }

    /// Checks who a member says it is; one that was never met is remembered first, so that another one under its number
    /// is refused from then on, after a restart too.
    async fn meet(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if self.known(node) == Some(incarnation) {
            return Ok(());
        }
        let _meeting = self.0.meeting.lock().await;
        self.check(node, incarnation).map_err(LinkError::Refused)?;
        if self.known(node).is_none() {
            self.keep(node, incarnation).await?;
        }
        Ok(())
    }

    async fn keep(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if let Some(history) = self.0.kept_in.clone() {
            let kept = runtime::on_disk(async move { history.meet(node, incarnation).await }).await;
            let kept = kept.map_err(|unfinished| unfinished.to_string());
            kept.and_then(|kept| kept.map_err(|error| error.to_string()))
                .map_err(|error| LinkError::Refused(format!("member {node} could not be remembered: {error}")))?;
        }
        self.0.met.lock().unwrap_or_else(PoisonError::into_inner).insert(node, incarnation);
        Ok(())
    }

    fn check(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), String> {
        match self.known(node) {
            Some(bound) if bound != incarnation && !planted("wiped-node-votes") => Err(format!(
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
                acquaintances.meet(node, incarnation).await?;
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
        let checked = match check(me, &hello) {
            Ok(()) => acquaintances.meet(hello.node, hello.incarnation).await,
            Err(reason) => Err(LinkError::Refused(reason)),
        };
        if let Err(error) = checked {
            sender.send(&Welcome::Refused { reason: error.to_string() }).await?;
            return Err(error);
        }
        sender.send(&Welcome::Welcome { node: me.node, incarnation: me.incarnation }).await?;
        Ok((Caller { node: hello.node, purpose: hello.purpose }, Connection { sender, receiver }))
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

fn check(me: &Identity, hello: &Hello) -> Result<(), String> {
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
    Ok(())
}
