//! The link over loopback, with a peer that answers as a test sets it.

mod golden;
mod identity;
mod join;
mod versions;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use ledger::NodeNumber;
use openraft::alias::LeaderIdOf;
use openraft::raft::{AppendEntriesRequest, StreamAppendError};
use openraft::vote::RaftLeaderIdExt;
use openraft::{LogId, Vote};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::append::AppendLink;
use super::call::{CallError, Calls, Peer};
use super::error::LinkError;
use super::hello::{Connection, PeerCaller, PeerIdentity, PeerMembership, Trust, answer};
use super::message::Purpose;
use super::message::join::{IntroducedMember, Introduction, JoinAnswer};
use super::message::raft::{Append, Appended};
use super::message::{Request, Response};
use super::serve::{Serve, serve};
use super::trust::known_peers::KnownPeers;
use super::trust::transport::PeerSecurity;
use crate::pki::{Authority, Lifetime, Subject, in_memory};
use crate::runtime::Clock;
use crate::runtime::net::TcpListener;
use crate::storage::model::{Dice, ModelDisks};
use crate::storage::{Disks, History, TypeConfig};
use crate::tls::Credentials;

/// A request after this index is answered slowly.
const SLOW: u64 = 99;
const SOON: Duration = Duration::from_secs(20);

/// A number that is not a member.
pub(super) const NON_MEMBER: NodeNumber = 9;

/// Answers positions with what it is asked to wait, never a wait of 0, and the third append with a higher vote.
pub(super) struct Parrot;

impl Serve for Parrot {
    fn membership_of(&self, node: NodeNumber) -> PeerMembership {
        if node == NON_MEMBER { PeerMembership::NotMember } else { PeerMembership::Member }
    }

    async fn call(&self, _from: PeerCaller, request: Request) -> Response {
        match request {
            Request::ReadPosition { wait_ms: 0 } => std::future::pending().await,
            Request::ReadPosition { wait_ms } => Response::ReadPosition(Some(wait_ms)),
            Request::Forward { .. } => Response::Declined("no trace".to_owned()),
            Request::ForwardTraced { trace, .. } => Response::Declined(format!("trace {trace}")),
            _ => Response::Pong,
        }
    }

    fn append<S>(
        self: &Arc<Self>,
        _from: PeerCaller,
        requests: S,
    ) -> impl Stream<Item = Result<Appended, String>> + Send
    where
        S: Stream<Item = Append> + Send + 'static,
    {
        requests.enumerate().then(|(place, request)| async move {
            if request.prev_log_id.is_some_and(|previous| previous.index == SLOW) {
                sleep(Duration::from_millis(200)).await;
            }
            match place {
                2 => Ok(Err(StreamAppendError::HigherVote(request.vote))),
                _ => Ok(Ok(request.prev_log_id)),
            }
        })
    }

    async fn introduce(&self, to: PeerCaller) -> JoinAnswer {
        if to.node == THIRD { JoinAnswer::Introduced(introduction()) } else { JoinAnswer::NotNow("not yet".to_owned()) }
    }

    async fn snapshot(&self, _from: PeerCaller, _connection: Connection) -> Result<(), LinkError> {
        Ok(())
    }
}

/// The number of a node that is introduced.
const THIRD: NodeNumber = 3;

/// What it is told.
fn introduction() -> Introduction {
    let member = |node: NodeNumber| IntroducedMember { node, api: format!("a:{node}"), peer: format!("b:{node}") };
    Introduction {
        ledger: Uuid::from_u128(1),
        epoch: 2,
        rules: 2,
        currency: "IRT".to_owned(),
        places: 0,
        key_window_ms: 86_400_000,
        keys_max: 40_000_000,
        admin_key_hash: [7; 32],
        members_index: 300,
        members: [1, 2, THIRD].map(member).to_vec(),
    }
}

pub(super) fn identity(node: NodeNumber) -> PeerIdentity {
    PeerIdentity::new(Uuid::from_u128(1), node, Uuid::from_u128(u128::from(node)))
}

/// The authority of all nodes in these tests.
pub(super) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(new_authority)
}

pub(super) fn new_authority() -> Authority {
    Authority::generate(for_a_day()).unwrap().0
}

pub(super) fn for_a_day() -> Lifetime {
    Lifetime::for_days(1, Clock::system().now_ms())
}

/// What a node of that cluster reads from its files: its certificate by one authority, beside the `trusted` ones.
pub(super) fn files(
    by: &Authority,
    trusted: &[&Authority],
    cluster: Uuid,
    node: NodeNumber,
    lifetime: Lifetime,
) -> Credentials {
    in_memory(&by.issue(&Subject::Node { cluster, node, hosts: Vec::new() }, lifetime).unwrap(), trusted)
}

/// What a node of that cluster proves its number with.
pub(in crate::raft) fn security(cluster: Uuid, node: NodeNumber) -> PeerSecurity {
    PeerSecurity::fixed(&files(authority(), &[authority()], cluster, node, for_a_day()), cluster, node).unwrap()
}

/// A node that knows these peers.
pub(super) fn trust(me: PeerIdentity, known_peers: KnownPeers) -> Trust {
    Trust::new(me, security(me.cluster, me.node), known_peers)
}

/// How `me` reaches node 2 there.
pub(super) fn peer(me: Trust, address: &str) -> Peer {
    Peer { trust: me, node: 2, address: address.into() }
}

/// A peer that is node 2, and how node 1 reaches it.
async fn parrot(known_peers: KnownPeers) -> (tokio::task::JoinHandle<()>, Peer) {
    parrot_as(identity(2), known_peers).await
}

async fn parrot_as(me: PeerIdentity, known_peers: KnownPeers) -> (tokio::task::JoinHandle<()>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(serve(listener, trust(me, known_peers), Arc::new(Parrot)));
    (serving, peer(trust(identity(1), KnownPeers::default()), &address))
}

/// The same address, dialled by another.
fn by(me: PeerIdentity, other: &Peer) -> Peer {
    Peer { trust: trust(me, KnownPeers::default()), ..other.clone() }
}

/// Both ends of a snapshot connection, the sender's first.
pub(in crate::raft) async fn connected() -> (Connection, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = peer(trust(identity(1), KnownPeers::default()), &address);
    let (until, me) = (Instant::now() + SOON, trust(identity(2), KnownPeers::default()));
    let accepted = async {
        let (stream, _address) = listener.accept().await.unwrap();
        answer(&me, |_| PeerMembership::Member, stream, until).await.unwrap().1
    };
    let (dialled, accepted) = tokio::join!(peer.dial(Purpose::Snapshot, until), accepted);
    (dialled.unwrap(), accepted)
}

async fn refusal(peer: &Peer) -> String {
    let Err(LinkError::Refused(reason)) = peer.dial(Purpose::Control, Instant::now() + SOON).await else {
        panic!("it was not refused");
    };
    reason.to_string()
}

#[tokio::test]
async fn a_caller_is_refused_where_it_dials_another_node_or_is_no_member() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    assert!(refusal(&Peer { node: 3, ..peer.clone() }).await.contains("the address is wrong"));
    assert!(refusal(&by(identity(2), &peer)).await.contains("the address is wrong"), "two nodes run as node 2");
    assert!(refusal(&by(identity(NON_MEMBER), &peer)).await.contains("cannot come back under its number"));
}

#[tokio::test]
async fn a_new_data_directory_under_a_known_number_is_refused_by_both_sides() {
    let known = KnownPeers::default();
    known.add(1, Uuid::from_u128(1));
    let (_serving, peer) = parrot(known).await;
    let wiped = PeerIdentity { incarnation: Uuid::from_u128(77), ..identity(1) };
    assert!(refusal(&by(wiped, &peer)).await.contains("start node 1 with that one"));

    let known_peers = KnownPeers::default();
    known_peers.add(2, Uuid::from_u128(78));
    assert!(
        refusal(&Peer { trust: trust(identity(1), known_peers), ..peer }).await.contains("start it with the former")
    );
}

#[tokio::test]
async fn a_known_peer_survives_a_power_cut_before_the_log_binds_it() {
    let (disks, mut dice) = (ModelDisks::default(), Dice(1));
    let disk = disks.open("history").unwrap();
    History::create(&*disk).await.unwrap();
    let known = || KnownPeers::kept_in(Arc::new(History::open(disks.open("history").unwrap()).unwrap())).unwrap();
    let wiped = PeerIdentity { incarnation: Uuid::from_u128(77), ..identity(1) };

    let (_serving, peer) = parrot(known()).await;
    assert!(peer.dial(Purpose::Control, Instant::now() + SOON).await.is_ok());
    assert!(refusal(&by(wiped, &peer)).await.contains("start node 1 with that one"));
    disks.cut(&mut dice);
    let (_serving, peer) = parrot(known()).await;
    assert!(refusal(&by(wiped, &peer)).await.contains("start node 1 with that one"));
    assert!(peer.dial(Purpose::Control, Instant::now() + SOON).await.is_ok());
}

#[tokio::test]
async fn a_call_that_waits_does_not_stand_in_front_of_others() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let calls = Calls::open(peer, Purpose::Control);
    let waiting = calls.call(Request::ReadPosition { wait_ms: 0 }, Instant::now() + Duration::from_millis(300));
    let others = stream::iter(1..=1_000_u64).map(|wait_ms| {
        let calls = calls.clone();
        async move { (wait_ms, calls.call(Request::ReadPosition { wait_ms }, Instant::now() + SOON).await.unwrap()) }
    });
    let others = others.buffer_unordered(100).for_each(|(asked, answer)| async move {
        assert!(matches!(answer, Response::ReadPosition(Some(position)) if position == asked), "its own answer");
    });
    let (waited, ()) = tokio::join!(waiting, others);
    assert!(matches!(waited, Err(CallError::NoAnswer)));
}

#[tokio::test]
async fn a_call_to_an_unreachable_peer_is_certainly_not_sent() {
    let (serving, peer) = parrot(KnownPeers::default()).await;
    serving.abort();
    serving.await.unwrap_err();
    let calls = Calls::open(peer, Purpose::Forward);
    let answer = calls.call(Request::Ping, Instant::now() + SOON).await;
    assert!(matches!(answer, Err(CallError::NotSent(_))), "{answer:?}");
}

fn request_after(index: u64) -> Append {
    let leader = <LeaderIdOf<TypeConfig>>::new_committed(3, 1);
    AppendEntriesRequest { prev_log_id: Some(LogId::new(leader, index)), ..request() }
}

fn request() -> Append {
    AppendEntriesRequest { vote: Vote::new_committed(3, 1), prev_log_id: None, entries: vec![], leader_commit: None }
}

async fn answers(link: &mut AppendLink, requests: usize) -> Vec<Result<Appended, LinkError>> {
    let input = stream::iter((0..requests).map(|_| request()));
    timeout(SOON, link.session(input, SOON, SOON).collect()).await.expect("a session ends with its input")
}

#[tokio::test]
async fn a_session_answers_all_its_input_and_ends() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let mut link = AppendLink::new(peer);
    assert_eq!(answers(&mut link, 0).await.len(), 0);
    assert!(matches!(answers(&mut link, 2).await[..], [Ok(Ok(None)), Ok(Ok(None))]));
}

#[tokio::test]
async fn a_higher_vote_ends_the_session_and_its_connection() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let mut link = AppendLink::new(peer);
    let ended = answers(&mut link, 5).await;
    assert!(matches!(ended[..], [Ok(Ok(_)), Ok(Ok(_)), Ok(Err(StreamAppendError::HigherVote(_)))]), "{ended:?}");
    // A new connection counts anew.
    assert!(matches!(answers(&mut link, 2).await[..], [Ok(Ok(None)), Ok(Ok(None))]));
}

#[tokio::test]
async fn a_session_dropped_early_leaves_no_answer_to_the_next() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let mut link = AppendLink::new(peer);
    {
        let input = stream::iter([request_after(SLOW)]).chain(stream::pending());
        let mut dropped = std::pin::pin!(link.session(input, SOON, SOON));
        timeout(Duration::from_millis(50), dropped.next()).await.expect_err("its answer takes longer");
    }
    let input = stream::iter([request_after(5)]);
    let own: Vec<_> = timeout(SOON, link.session(input, SOON, SOON).collect()).await.unwrap();
    assert!(matches!(own[..], [Ok(Ok(Some(matched)))] if matched.index == 5), "{own:?}");
}

#[tokio::test]
async fn a_session_with_an_unreachable_peer_takes_its_input_before_it_dials() {
    let (serving, peer) = parrot(KnownPeers::default()).await;
    serving.abort();
    serving.await.unwrap_err();
    let mut link = AppendLink::new(peer);
    let taken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let input = stream::iter([()]).map(|()| {
        taken.store(true, std::sync::atomic::Ordering::SeqCst);
        request()
    });
    let ended: Vec<_> = link.session(input, SOON, SOON).collect().await;
    assert!(matches!(ended[..], [Err(_)]), "{ended:?}");
    assert!(taken.load(std::sync::atomic::Ordering::SeqCst), "openraft's back-off sleeps inside the input");
}
