//! How a node that joins asks a member of the cluster what its data directory has to begin with.
//!
//! Bounds: [`SEED`] for each seed, [`PATIENCE`] for rounds over all of them, `INTRODUCTION_BYTES` for an answer. Invariant: an
//! answer is taken from nobody but a holder of a certificate of another node of the cluster.

use std::time::Duration;

use ledger::NodeNumber;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::PeerIdentity;
use super::bytes::Welcome;
use crate::raft::peers::link::error::{HelloRefusal, LinkError};
use crate::raft::peers::link::frame;
use crate::raft::peers::link::message::Purpose;
use crate::raft::peers::link::message::join::{INTRODUCTION_BYTES, Introduction, JoinAnswer};
use crate::raft::peers::link::trust::transport::PeerSecurity;
use crate::runtime::net::TcpStream;

/// Longest time for one seed: connecting, both hellos, and what it waits for itself.
const SEED: Duration = Duration::from_secs(10);
/// Longest time for connecting alone, so that an address that swallows packets takes little of it.
const CONNECT: Duration = Duration::from_secs(3);
/// How long seeds are asked again that may know more soon. Source: a follower learns of a new member with the leader's next
/// message, and an election takes a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a node cannot join. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It was not added, or was removed.
    #[error(
        "node {node} is no member of cluster {cluster}: add it first with `etebar members add`, which gives the number; one that \
         was removed is added anew"
    )]
    NoMember {
        /// Its number.
        node: NodeNumber,
        /// The cluster's id.
        cluster: Uuid,
    },
    /// Its number belongs to another data directory.
    #[error(
        "number {node} was used: the cluster knows it with another data directory; start that one, or, if it is lost, remove \
         the number with `etebar members remove {node}` and add a new member with `etebar members add`"
    )]
    NumberUsed {
        /// Its number.
        node: NodeNumber,
    },
    /// None of the seeds could be asked, or none could answer; each with its reason.
    #[error("no seed introduced this node: {}", listed(.0))]
    NoSeed(Vec<(String, String)>),
    /// What a seed answered is not for this node.
    #[error("{0}")]
    Unfit(String),
}

fn listed(seeds: &[(String, String)]) -> String {
    seeds.iter().map(|(seed, reason)| format!("{seed}: {reason}")).collect::<Vec<_>>().join("; ")
}

/// What became of asking one seed.
enum SeedAnswer {
    Introduced(Introduction),
    NoMember,
    NumberUsed,
    /// Another one may know more, or this one soon.
    NotNow(String),
    /// Asking it again gives the same.
    Never(String),
}

/// Asks the seeds one after the other until one introduces its cluster. `me` names no ledger: it has the nil UUID and epoch 0
/// in its place.
///
/// # Errors
/// Where none does: see [`JoinError`].
pub async fn ask_seeds(security: &PeerSecurity, me: PeerIdentity, seeds: &[String]) -> Result<Introduction, JoinError> {
    let begun = Instant::now();
    loop {
        let (mut reasons, mut is_no_member, mut may_change) = (Vec::new(), false, false);
        for seed in seeds {
            let reason = match ask(security, me, seed).await {
                SeedAnswer::Introduced(introduction) => {
                    let checked = introduction.check(me.node, me.build.rules);
                    return checked.map(|()| introduction).map_err(JoinError::Unfit);
                }
                SeedAnswer::NumberUsed => return Err(JoinError::NumberUsed { node: me.node }),
                SeedAnswer::NoMember => {
                    (is_no_member, may_change) = (true, true);
                    "this node is no member there".to_owned()
                }
                SeedAnswer::NotNow(reason) => {
                    may_change = true;
                    reason
                }
                SeedAnswer::Never(reason) => reason,
            };
            reasons.push((seed.clone(), reason));
        }
        if !may_change || begun.elapsed() >= PATIENCE {
            return Err(if is_no_member {
                JoinError::NoMember { node: me.node, cluster: me.cluster }
            } else {
                JoinError::NoSeed(reasons)
            });
        }
        sleep(PAUSE).await;
    }
}

/// Asks one seed, within [`SEED`].
async fn ask(security: &PeerSecurity, me: PeerIdentity, seed: &str) -> SeedAnswer {
    let asked = timeout_at(Instant::now() + SEED, introduced_by(security, me, seed)).await;
    match asked.unwrap_or(Err(LinkError::TimedOut)) {
        Ok(answer) => answer,
        Err(error) => SeedAnswer::Never(error.to_string()),
    }
}

async fn introduced_by(security: &PeerSecurity, me: PeerIdentity, seed: &str) -> Result<SeedAnswer, LinkError> {
    let connecting = timeout_at(Instant::now() + CONNECT, TcpStream::connect(seed));
    let stream = connecting.await.map_err(|_elapsed| LinkError::TimedOut)??;
    stream.set_nodelay(true)?;
    let (stream, certified) = security.connect(stream).await?;
    // Which member answers there is what its certificate says.
    let Some(to) = certified.number() else {
        return Ok(SeedAnswer::Never("it proved no number".to_owned()));
    };
    if to == me.node {
        return Ok(SeedAnswer::Never(format!(
            "it is node {to} itself, which runs already: seeds are the peer addresses of other members"
        )));
    }
    let (mut sender, mut receiver) = frame::split_for_hello(stream);
    sender.send_bytes(me.hello(to, Purpose::Join).encode()).await?;
    match Welcome::decode(&receiver.receive_bytes().await?)? {
        Welcome::Refused(refusal) => Ok(refused(refusal, me, to)),
        Welcome::Welcome { version, node, .. } => {
            let link = me.build.link;
            if node != to || !(link.lowest..=link.highest).contains(&version) {
                return Err(LinkError::Malformed(format!("node {node} answers with version {version} for node {to}")));
            }
            receiver.expect(version, INTRODUCTION_BYTES);
            Ok(match receiver.receive::<JoinAnswer>().await? {
                JoinAnswer::Introduced(introduction) => SeedAnswer::Introduced(introduction),
                JoinAnswer::NoMember => SeedAnswer::NoMember,
                JoinAnswer::NumberUsed => SeedAnswer::NumberUsed,
                JoinAnswer::NotNow(reason) => SeedAnswer::NotNow(format!("node {to} cannot say now: {reason}")),
            })
        }
    }
}

/// What a refused hello means for a node that joins.
fn refused(refusal: HelloRefusal, me: PeerIdentity, to: NodeNumber) -> SeedAnswer {
    match refusal {
        HelloRefusal::NoMember => SeedAnswer::NoMember,
        HelloRefusal::Directory => SeedAnswer::NumberUsed,
        // One that does not know this purpose looks at the ledger first, and finds none.
        HelloRefusal::Purpose | HelloRefusal::Ledger => SeedAnswer::Never(format!(
            "node {to} runs an older build, which lets no node join: run the newer one there first"
        )),
        HelloRefusal::Version(_)
        | HelloRefusal::Certificate
        | HelloRefusal::Address
        | HelloRefusal::Disk
        | HelloRefusal::Other(_) => SeedAnswer::Never(refusal.remedy(me.node, me.build.link, to)),
    }
}
