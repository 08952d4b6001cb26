//! The hello: who calls whom, and what for. Both sides check, against what the certificates proved.
//!
//! Invariants: after a welcome, both sides are members of one cluster with the data directories they are known by; one that
//! joins is a member whose number is known with no other directory. Nothing is stored about a number that is not a member's,
//! nor of a node that joins, whose directory may never come to be. A refusal names nothing: its reason is in the log of the node
//! that refused.
//!
//! Read in this order: [`bytes`], [`version`], this file, [`join`] (the hello of a node without a data directory).

pub mod builds;
pub mod bytes;
pub mod join;
pub mod version;

use std::time::Duration;

use ledger::{Incarnation, NodeNumber};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use self::builds::Builds;
use self::bytes::{CalledFor, Hello, Welcome};
use self::version::{Build, LinkVersion};
use super::error::{HelloRefusal, LinkError, NO_MEMBER, no_common_version};
use super::frame::{self, Receiver, Sender};
use super::message::Purpose;
use super::trust::known_peers::KnownPeers;
use super::trust::open::{OpenLink, OpenLinks, Side};
use super::trust::refusals::Refusals;
use super::trust::transport::{Certified, PeerSecurity};
use crate::runtime::net::TcpStream;

/// Longest time for TCP alone. Source: a packet that a broken network swallowed is sent again after a second, and the next
/// attempt is sooner.
const CONNECT: Duration = Duration::from_millis(200);

/// Who this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The cluster's id: of its members, their link and their certificates.
    pub cluster: Uuid,
    /// The ledger's id; a restore keeps it.
    pub ledger: Uuid,
    /// 1, and one more for each restore of the ledger.
    pub epoch: u32,
    /// The node's number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// What its build can do.
    pub build: Build,
}

/// Whether a node number belongs to the cluster, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMembership {
    /// A member now.
    Member,
    /// Not a member, or no longer one: every request is refused, and nothing about it is stored.
    NotMember,
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
pub struct PeerCaller {
    /// Its number.
    pub node: NodeNumber,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// What the connection is for.
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
    /// Who refuses this node as no member.
    pub refusals: Refusals,
    /// As which builds the members run.
    pub builds: Builds,
}

impl Trust {
    /// Without a connection yet.
    pub fn new(me: PeerIdentity, security: PeerSecurity, known_peers: KnownPeers) -> Self {
        let (open, refusals, builds) = (OpenLinks::default(), Refusals::default(), Builds::default());
        Self { me, security, known_peers, open, refusals, builds }
    }
}

impl PeerIdentity {
    /// A node of this build and of a ledger that was never restored: its id is the cluster's.
    pub fn new(cluster: Uuid, node: NodeNumber, incarnation: Incarnation) -> Self {
        Self { cluster, ledger: cluster, epoch: 1, node, incarnation, build: Build::OWN }
    }

    /// What it says to the node `to`.
    pub fn hello(self, to: NodeNumber, purpose: Purpose) -> Hello {
        let Self { cluster, ledger, epoch, node, incarnation, build } = self;
        Hello { build, cluster, ledger, epoch, node, incarnation, to, purpose: CalledFor::Known(purpose) }
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
            return Err(
                HelloRefusal::Address.of(to, format!("{address} is not node {to}: {who}; the address is wrong"))
            );
        }
        let (mut sender, mut receiver) = frame::split_for_hello(stream);
        sender.send_bytes(trust.me.hello(to, purpose).encode()).await?;
        let welcome = Welcome::decode(&receiver.receive_bytes().await?)?;
        trust.refusals.record(to, welcome == Welcome::Refused(HelloRefusal::NoMember));
        match welcome {
            Welcome::Refused(refusal) => Err(refusal.of(to, refusal.remedy(trust.me.node, trust.me.build.link, to))),
            Welcome::Welcome { node, .. } if node != to => {
                Err(HelloRefusal::Address.of(to, format!("{address} is node {node}, not {to}: the address is wrong")))
            }
            Welcome::Welcome { version, rules, node, incarnation, name } => {
                let link = trust.me.build.link;
                if !(link.lowest..=link.highest).contains(&version) {
                    return Err(LinkError::Malformed(format!("version {version} of the link was not offered")));
                }
                tracing::debug!(peer = node, version, rules, "link agreed on");
                trust.known_peers.remember(node, incarnation).await?;
                trust.builds.record(node, name);
                let side = Side::Dialled;
                let link = OpenLink { node, incarnation, purpose, side, certified };
                admitted(trust, sender, receiver, version, link)
            }
        }
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// Receives a hello, and welcomes or refuses the caller, all before `deadline`; `membership_of` says whether a number is a
/// member's.
pub async fn answer(
    trust: &Trust,
    membership_of: impl Fn(NodeNumber) -> PeerMembership,
    stream: TcpStream,
    deadline: Instant,
) -> Result<(PeerCaller, Connection), LinkError> {
    let introduce = async {
        stream.set_nodelay(true)?;
        let (stream, certified) = trust.security.accept(stream).await?;
        let (mut sender, mut receiver) = frame::split_for_hello(stream);
        let hello = Hello::decode(&receiver.receive_bytes().await?)?;
        let checked = match check(&trust.me, &hello, &certified) {
            Ok((version, purpose)) => {
                take_in(trust, &membership_of, &hello, purpose).await.map(|()| (version, purpose))
            }
            Err(refused) => Err(refused),
        };
        let (version, purpose) = match checked {
            Ok(agreed) => agreed,
            Err((refusal, reason)) => {
                sender.send_bytes(Welcome::Refused(refusal).encode()).await?;
                return Err(refusal.of(certified.number(), reason));
            }
        };
        let PeerIdentity { node, incarnation, build, .. } = trust.me;
        let welcome = Welcome::Welcome { version, rules: build.rules, node, incarnation, name: build.name };
        sender.send_bytes(welcome.encode()).await?;
        let Hello { node, incarnation, build, .. } = hello;
        tracing::debug!(peer = node, version, rules = build.rules, "link agreed on");
        trust.builds.record(node, build.name);
        let side = Side::Accepted;
        let link = OpenLink { node, incarnation, purpose, side, certified };
        Ok((PeerCaller { node, incarnation, purpose }, admitted(trust, sender, receiver, version, link)?))
    };
    timeout_at(deadline, introduce).await.map_err(|_elapsed| LinkError::TimedOut)?
}

/// Takes a connection in among those that may have to be closed, and looks at its certificate once more. In this order: an
/// earlier change is seen here, and a later one finds the connection to close.
fn admitted(
    trust: &Trust,
    mut sender: Sender,
    mut receiver: Receiver,
    version: LinkVersion,
    link: OpenLink,
) -> Result<Connection, LinkError> {
    let (node, certified) = (link.node, link.certified.clone());
    let held = trust.open.hold(link);
    trust.security.check(&certified).map_err(|refused| LinkError::certificate(Some(node), &refused))?;
    receiver.admit(&mut sender, version, held);
    Ok(Connection { sender, receiver })
}

/// Remembers a caller that is a member. One that joins is looked up alone: where it is interrupted, the next attempt makes
/// another data directory.
async fn take_in(
    trust: &Trust,
    membership_of: &impl Fn(NodeNumber) -> PeerMembership,
    hello: &Hello,
    purpose: Purpose,
) -> Result<(), (HelloRefusal, String)> {
    let (node, incarnation) = (hello.node, hello.incarnation);
    match membership_of(node) {
        PeerMembership::NotMember => {
            return Err((HelloRefusal::NoMember, format!("node {node} is no member of the cluster now: {NO_MEMBER}")));
        }
        PeerMembership::Member => {}
    }
    trust.known_peers.check(node, incarnation).map_err(|reason| (HelloRefusal::Directory, reason))?;
    match purpose {
        Purpose::Join => Ok(()),
        Purpose::Append | Purpose::Control | Purpose::Forward | Purpose::Snapshot => {
            let remembered = trust.known_peers.remember(node, incarnation).await;
            remembered.map_err(|error| (HelloRefusal::Disk, error.to_string()))
        }
    }
}

/// The version of the link and the purpose that a caller gets, or why none.
fn check(
    me: &PeerIdentity,
    hello: &Hello,
    certified: &Certified,
) -> Result<(LinkVersion, Purpose), (HelloRefusal, String)> {
    let (own, theirs) = (me.build.link, hello.build.link);
    let Some(version) = own.common(theirs) else {
        return Err((HelloRefusal::Version(own), no_common_version(hello.node, theirs, me.node, own)));
    };
    if !certified.is(hello.node) || hello.cluster != me.cluster {
        let reason = format!("a peer says it is node {} of cluster {}", hello.node, hello.cluster);
        return Err((HelloRefusal::Certificate, format!("{reason}, and {}", certified.who())));
    }
    if hello.to != me.node {
        let reason = format!("node {} dialled node {}, and this is {}", hello.node, hello.to, me.node);
        return Err((HelloRefusal::Address, format!("{reason}: the address is wrong")));
    }
    if hello.node == me.node {
        return Err((HelloRefusal::Address, format!("two nodes run as node {}: stop one", me.node)));
    }
    // Who joins asks which ledger it is, and can name none.
    let expected = match hello.purpose {
        CalledFor::Known(Purpose::Join) => (Uuid::nil(), 0),
        CalledFor::Known(_) | CalledFor::Unknown(_) => (me.ledger, me.epoch),
    };
    if (hello.ledger, hello.epoch) != expected {
        let reason = format!(
            "node {} serves ledger {} in epoch {}, node {} ledger {} in epoch {}: make the one anew that is not to be kept",
            hello.node, hello.ledger, hello.epoch, me.node, me.ledger, me.epoch
        );
        return Err((HelloRefusal::Ledger, reason));
    }
    match hello.purpose {
        CalledFor::Known(purpose) => Ok((version, purpose)),
        CalledFor::Unknown(byte) => {
            let reason = format!("node {} calls for purpose {byte} of a newer build: run it here too", hello.node);
            Err((HelloRefusal::Purpose, reason))
        }
    }
}
