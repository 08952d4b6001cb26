//! Builds of different versions: what they agree on, and what they say where they cannot.

use super::*;
use crate::raft::peers::link::error::HelloRefusal;
use crate::raft::peers::link::frame::split_for_hello;
use crate::raft::peers::link::hello::bytes::{CalledFor, Hello, Welcome};
use crate::raft::peers::link::hello::version::{Build, BuildName, LinkSpan};
use crate::runtime::log::trace_context::TraceContext;

/// A node whose build speaks these versions of the link.
fn speaking(node: NodeNumber, lowest: u8, highest: u8) -> PeerIdentity {
    let name = BuildName::new(b"0.9.0+feed").unwrap();
    PeerIdentity { build: Build { link: LinkSpan { lowest, highest }, rules: 9, name }, ..identity(node) }
}

/// Node 2 as that build, and how node 1 as this one reaches it.
async fn pair(answering: PeerIdentity, dialling: PeerIdentity) -> (tokio::task::JoinHandle<()>, Peer) {
    let (serving, peer) = parrot_as(answering, KnownPeers::default()).await;
    (serving, by(dialling, &peer))
}

#[tokio::test]
async fn builds_with_a_version_in_common_talk_whichever_dials() {
    for (answering, dialling) in [((4, 4), (4, 5)), ((4, 5), (4, 4)), ((3, 7), (5, 9))] {
        let (old, new) = (speaking(2, answering.0, answering.1), speaking(1, dialling.0, dialling.1));
        let (_serving, peer) = pair(old, new).await;
        let answer = Calls::open(peer, Purpose::Control).call(Request::Ping, Instant::now() + SOON).await;
        assert!(matches!(answer, Ok(Response::Pong)), "{answering:?} and {dialling:?}: {answer:?}");
    }
}

#[tokio::test]
async fn builds_without_one_name_both_spans_and_the_remedy() {
    for (answering, dialling, older) in [((4, 4), (5, 6), 2), ((5, 6), (4, 4), 1)] {
        let (old, new) = (speaking(2, answering.0, answering.1), speaking(1, dialling.0, dialling.1));
        let (_serving, peer) = pair(old, new).await;
        let why = refusal(&peer).await;
        assert!(why.contains("version 4 of") || why.contains("version 4:"), "{why}");
        assert!(why.contains("version 5 to 6") && why.contains(&format!("run a build on node {older}")), "{why}");
        assert!(!why.contains('\n'), "{why}");
    }
}

#[tokio::test]
async fn a_node_of_another_ledger_or_epoch_is_refused() {
    let others = [PeerIdentity { ledger: Uuid::from_u128(5), ..identity(1) }, PeerIdentity { epoch: 2, ..identity(1) }];
    for other in others {
        let (_serving, peer) = pair(identity(2), other).await;
        assert!(refusal(&peer).await.contains("another ledger than node 1"));
    }
}

#[tokio::test]
async fn a_purpose_of_a_newer_build_is_refused_by_name() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let stream = crate::runtime::net::TcpStream::connect(&*peer.address).await.unwrap();
    let (stream, _certified) = peer.trust.security.connect(stream).await.unwrap();
    let (mut sender, mut receiver) = split_for_hello(stream);
    let hello = Hello { purpose: CalledFor::Unknown(99), ..identity(1).hello(2, Purpose::Control) };
    sender.send_bytes(hello.encode()).await.unwrap();
    let answer = Welcome::decode(&receiver.receive_bytes().await.unwrap()).unwrap();
    assert_eq!(answer, Welcome::Refused(HelloRefusal::Purpose));
}

#[tokio::test]
async fn a_call_that_an_older_build_does_not_know_is_not_sent_to_it() {
    let ask = async |highest| {
        let (_serving, peer) = pair(speaking(2, 4, highest), identity(1)).await;
        let request = Request::HandOver { to: 3, wait_ms: 1 };
        Calls::open(peer, Purpose::Control).call(request, Instant::now() + SOON).await
    };
    assert!(matches!(ask(4).await, Err(CallError::OlderBuild)));
    assert!(matches!(ask(5).await, Ok(Response::Pong)));
}

#[tokio::test]
async fn an_older_build_gets_forwarded_commands_without_their_trace() {
    let header: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = TraceContext::parse([header].into_iter());
    let ask = async |highest| {
        let (_serving, peer) = pair(speaking(2, 4, highest), identity(1)).await;
        let request = Request::forward(Vec::new().into(), 1, trace);
        match Calls::open(peer, Purpose::Forward).call(request, Instant::now() + SOON).await {
            Ok(Response::Declined(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((ask(4).await, ask(5).await), ("no trace".to_owned(), "no trace".to_owned()));
    assert_eq!(ask(6).await, "trace 4bf92f3577b34da6a3ce929d0e0e4736");
}
