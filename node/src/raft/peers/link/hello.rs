//! The first words on a connection: who speaks, to whom, and what for. Both sides check, against what the certificates proved.
//!
//! Invariants: after a welcome, both sides are members of one cluster with the data directories they are known by. Nothing is
//! remembered of who is no member, and a refusal names nothing: its reason is in the log of who refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ledger::{Incarnation, NodeNumber};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::error::LinkError;
use super::frame::{self, Receiver, Sender};
use super::message::Purpose;
use super::trust::open::{Facts, OpenLinks, Side};
use super::trust::transport::{Certified, PeerSecurity};
use crate::runtime;
use crate::runtime::net::TcpStream;
use crate::storage::{History, StorageError};

/// The layout of everything on the link. Raised with any change; mixed versions do not talk.
pub const LINK_VERSION: u32 = 3;

/// Longest time for TCP alone. Source: a packet that a broken network swallowed is sent again after a second, and the next
/// attempt is sooner.
const CONNECT: Duration = Duration::from_millis(200);

/// Who this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster's id.
    pub cluster: Uuid,
    /// The node's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
}

/// What the caller says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(super) version: u32,
    pub(super) cluster: Uuid,
    pub(super) node: NodeNumber,
    pub(super) incarnation: Incarnation,
    pub(super) to: NodeNumber,
    pub(super) purpose: Purpose,
}

/// What it is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Welcome {
    Welcome { node: NodeNumber, incarnation: Incarnation },
    Refused(Refusal),
}

/// Why a caller is refused, as far as it may know: it says what the caller has to look at, and nothing of who refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// It speaks another version of the link.
    Version,
    /// Its certificate is not that of the number it says.
    Certificate,
    /// It dialled an address where somebody else is.
    Address,
    /// Its number is no node's now.
    NoMember,
    /// Its number is known with another data directory.
    Directory,
    /// It could not be remembered: a fault of this side's disk.
    Disk,
}

/// What an operator can do where a node is no member.
const NO_MEMBER: &str =
    "the members are those of `init --member`; one that was removed cannot come back under its number";

impl Refusal {
    /// By what it is told from others in the log.
    fn kind(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Certificate => "another number",
            Self::Address => "address",
            Self::NoMember => "no member",
            Self::Directory => "directory",
            Self::Disk => "disk",
        }
    }

    /// The refusal of a node that proved its number, if it did, for the own log.
    fn of(self, node: impl Into<Option<NodeNumber>>, reason: String) -> LinkError {
        LinkError::refused(self.kind(), node.into(), reason)
    }

    /// What the caller tells its operator; `me` is the caller, `to` whom it dialled.
    fn remedy(self, me: NodeNumber, to: NodeNumber) -> String {
        match self {
            Self::Version => {
                format!("node {to} speaks another version of the peer link than {LINK_VERSION}: run the same build")
            }
            Self::Certificate => format!("node {to} takes this certificate for another than that of node {me}"),
            Self::Address => format!("at the address of node {to} is another one: the address is wrong"),
            Self::NoMember => format!("for node {to} this node {me} is no member of the cluster now: {NO_MEMBER}"),
            Self::Directory => format!(
                "node {to} knows node {me} with another data directory: start node {me} with that one; if it is lost, so are \
                 the votes that it gave, and node {me} stays out while the others go on with a majority"
            ),
            Self::Disk => format!("node {to} has trouble with its disk"),
        }
    }
}

/// Whether a node number belongs to the cluster, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMembership {
    /// A node now.
    Member,
    /// Not a node, or no longer one: every request is refused, and nothing about it is stored.
    NotMember,
    /// This node waits to be added and has no members' list yet: it accepts whoever has a certificate of the cluster, and
    /// stores nothing about them.
    Undecided,
}

/// The data directories that belong to members' numbers: those that the log has bound, which the state machine adds, and
/// until then those under which this node met them.
#[derive(Debug, Clone, Default)]
pub struct KnownPeers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bound: RwLock<BTreeMap<NodeNumber, Incarnation>>,
    seen: Mutex<BTreeMap<NodeNumber, Incarnation>>,
    /// Where meetings are kept; nowhere in tests of the link alone.
    kept_in: Option<Arc<History>>,
    /// Held by whoever checks and keeps a meeting.
    remembering: tokio::sync::Mutex<()>,
}

impl KnownPeers {
    /// With whom this node met before; kept durably from here on.
    ///
    /// # Errors
    /// Where what was kept is damaged.
    pub fn kept_in(history: Arc<History>) -> Result<Self, StorageError> {
        let seen = Mutex::new(history.known_peers()?.into_iter().collect());
        Ok(Self(Arc::new(Inner { seen, kept_in: Some(history), ..Inner::default() })))
    }

    /// Remembers a binding that was applied.
    pub fn add(&self, node: NodeNumber, incarnation: Incarnation) {
        let mut bound = self.0.bound.write().unwrap_or_else(PoisonError::into_inner);
        bound.insert(node, incarnation);
    }

    fn known(&self, node: NodeNumber) -> Option<Incarnation> {
        let bound = self.0.bound.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied();
        bound.or_else(|| self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied())
    }

    /// Checks who a node says it is; one that was never met is remembered first, so that another one under its number
    /// is refused from then on, after a restart too.
    ///
    /// # Errors
    /// Where it is known with another data directory, or could not be remembered.
    pub async fn remember(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if self.known(node) == Some(incarnation) {
            return Ok(());
        }
        let _remembering = self.0.remembering.lock().await;
        self.check(node, incarnation).map_err(|reason| Refusal::Directory.of(node, reason))?;
        if self.known(node).is_none() {
            self.keep(node, incarnation).await?;
        }
        Ok(())
    }

    async fn keep(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), LinkError> {
        if let Some(history) = self.0.kept_in.clone() {
            let kept = runtime::on_disk(async move { history.keep_known_peer(node, incarnation).await }).await;
            let kept = kept.map_err(|unfinished| unfinished.to_string());
            kept.and_then(|kept| kept.map_err(|error| error.to_string()))
                .map_err(|error| Refusal::Disk.of(node, format!("node {node} could not be remembered: {error}")))?;
        }
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(node, incarnation);
        Ok(())
    }

    /// Whether nothing speaks against this data directory of a node.
    ///
    /// # Errors
    /// Where it is known with another one.
    pub fn check(&self, node: NodeNumber, incarnation: Incarnation) -> Result<(), String> {
        match self.known(node) {
            Some(bound) if bound != incarnation => Err(format!(
                "node {node} is known with data directory {bound}, not {incarnation}: start it with the former; if that is lost, \
                 so are the votes that it gave, and it stays out while the others go on with a majority"
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
    /// Its data directory.
    pub incarnation: Incarnation,
    /// What it wants.
    pub purpose: Purpose,
}

/// What this node shows others, and what it checks them by; one for the node, cheap to clone.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Who this node is.
    pub me: PeerIdentity,
    /// Its certificate, and the authorities of the others'.
    pub security: PeerSecurity,
    /// Whom it knows.
    pub known_peers: KnownPeers,
    /// Who is connected.
    pub open: OpenLinks,
}

impl Trust {
    /// Nobody is connected yet.
    pub fn new(me: PeerIdentity, security: PeerSecurity, known_peers: KnownPeers) -> Self {
        Self { me, security, known_peers, open: OpenLinks::default() }
    }
}

/// Connects to a peer and introduces this node, all before `deadline`.
pub async fn dial(
    trust: &Trust,
    to: NodeNumber,
    address: &str,
    purpose: Purpose,
    deadline: Instant,
) -> Result<Connection, LinkError> {
    let introduce = async {
        let until = deadline.min(Instant::now() + CONNECT);
        let stream = timeout_at(until, TcpStream::connect(address)).await.map_err(|_elapsed| LinkError::TimedOut)??;
        // A small frame that waits for more would cost each commit up to 40 ms.
        stream.set_nodelay(true)?;
        let (stream, certified) = trust.security.connect(stream).await?;
        if !certified.is(to) {
            let who = certified.who();
            return Err(Refusal::Address.of(to, format!("{address} is not node {to}: {who}; the address is wrong")));
        }
        let (mut sender, mut receiver) = frame::split_for_hello(stream);
        let PeerIdentity { cluster, node, incarnation } = trust.me;
        sender.send(&Hello { version: LINK_VERSION, cluster, node, incarnation, to, purpose }).await?;
        match receiver.receive::<Welcome>().await? {
            Welcome::Refused(refusal) => Err(refusal.of(to, refusal.remedy(node, to))),
            Welcome::Welcome { node, .. } if node != to => {
                Err(Refusal::Address.of(to, format!("{address} is node {node}, not {to}: the address is wrong")))
            }
            Welcome::Welcome { node, incarnation } => {
                trust.known_peers.remember(node, incarnation).await?;
                let side = Side::Dialled;
                let facts = Facts { node, incarnation, purpose, side, certified, is_remembered: true };
                admitted(trust, sender, receiver, facts)
            }
        }
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// Hears a caller out, and welcomes it or refuses it, all before `deadline`; `membership_of` says what a number is now.
pub async fn answer(
    trust: &Trust,
    membership_of: impl Fn(NodeNumber) -> PeerMembership,
    stream: TcpStream,
    deadline: Instant,
) -> Result<(Caller, Connection), LinkError> {
    let introduce = async {
        stream.set_nodelay(true)?;
        let (stream, certified) = trust.security.accept(stream).await?;
        let (mut sender, mut receiver) = frame::split_for_hello(stream);
        let hello = receiver.receive::<Hello>().await?;
        let checked = match check(&trust.me, &hello, &certified) {
            Ok(()) => take_in(trust, &membership_of, &hello).await,
            Err(refused) => Err(refused),
        };
        let is_remembered = match checked {
            Ok(is_remembered) => is_remembered,
            Err((refusal, reason)) => {
                sender.send(&Welcome::Refused(refusal)).await?;
                return Err(refusal.of(certified.number(), reason));
            }
        };
        sender.send(&Welcome::Welcome { node: trust.me.node, incarnation: trust.me.incarnation }).await?;
        let Hello { node, incarnation, purpose, .. } = hello;
        let side = Side::Accepted;
        let facts = Facts { node, incarnation, purpose, side, certified, is_remembered };
        Ok((Caller { node, incarnation, purpose }, admitted(trust, sender, receiver, facts)?))
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// Takes a connection in among those that may have to be closed, and looks at its certificate once more. In this order: what
/// changed before is seen here, and who changes it afterwards finds the connection to close.
fn admitted(trust: &Trust, mut sender: Sender, mut receiver: Receiver, facts: Facts) -> Result<Connection, LinkError> {
    let (node, certified) = (facts.node, facts.certified.clone());
    let held = trust.open.hold(facts);
    trust.security.check(&certified).map_err(|refused| LinkError::certificate(Some(node), &refused))?;
    receiver.admit(&mut sender, held);
    Ok(Connection { sender, receiver })
}

/// Remembers a caller that is a node; whether it did.
async fn take_in(
    trust: &Trust,
    membership_of: &impl Fn(NodeNumber) -> PeerMembership,
    hello: &Hello,
) -> Result<bool, (Refusal, String)> {
    let (node, incarnation) = (hello.node, hello.incarnation);
    let known = |reason| (Refusal::Directory, reason);
    match membership_of(node) {
        PeerMembership::NotMember => {
            Err((Refusal::NoMember, format!("node {node} is no member of the cluster now: {NO_MEMBER}")))
        }
        PeerMembership::Undecided => trust.known_peers.check(node, incarnation).map(|()| false).map_err(known),
        PeerMembership::Member => {
            trust.known_peers.check(node, incarnation).map_err(known)?;
            let remembered = trust.known_peers.remember(node, incarnation).await;
            remembered.map(|()| true).map_err(|error| (Refusal::Disk, error.to_string()))
        }
    }
}

fn check(me: &PeerIdentity, hello: &Hello, certified: &Certified) -> Result<(), (Refusal, String)> {
    if hello.version != LINK_VERSION {
        let reason = format!(
            "node {} speaks version {} of the peer link, node {} version {LINK_VERSION}: run the same build",
            hello.node, hello.version, me.node
        );
        return Err((Refusal::Version, reason));
    }
    if !certified.is(hello.node) || hello.cluster != me.cluster {
        let reason = format!("a peer says it is node {} of cluster {}", hello.node, hello.cluster);
        return Err((Refusal::Certificate, format!("{reason}, and {}", certified.who())));
    }
    if hello.to != me.node {
        let reason = format!("node {} dialled node {}, and this is {}", hello.node, hello.to, me.node);
        return Err((Refusal::Address, format!("{reason}: the address is wrong")));
    }
    if hello.node == me.node {
        return Err((Refusal::Address, format!("two nodes run as node {}: stop one", me.node)));
    }
    Ok(())
}
