//! A node that joins: what it is told, and why it is refused.

use super::*;
use crate::raft::peers::link::error::HelloRefusal;
use crate::raft::peers::link::frame::split_for_hello;
use crate::raft::peers::link::hello::bytes::{CalledFor, Hello, Welcome};
use crate::raft::peers::link::hello::join::{JoinError, ask_seeds};

/// A node of that number without a ledger.
fn joining(node: NodeNumber) -> PeerIdentity {
    PeerIdentity { ledger: Uuid::nil(), epoch: 0, ..identity(node) }
}

/// What these seeds say to a node of that number.
async fn ask(node: NodeNumber, seeds: &[&Peer]) -> Result<Introduction, JoinError> {
    let seeds: Vec<String> = seeds.iter().map(|seed| seed.address.to_string()).collect();
    timeout(SOON, ask_seeds(&security(Uuid::from_u128(1), node), joining(node), &seeds)).await.expect("it is bounded")
}

/// Where nobody listens.
async fn nobody() -> Peer {
    let (serving, peer) = parrot(KnownPeers::default()).await;
    serving.abort();
    serving.await.unwrap_err();
    peer
}

#[tokio::test]
async fn a_member_is_introduced_by_the_first_seed_that_can_and_remembered_by_none() {
    let known = KnownPeers::default();
    let (_serving, seed) = parrot(known.clone()).await;
    assert_eq!(ask(THIRD, &[&nobody().await, &seed]).await.unwrap(), introduction());
    // Another data directory under the number: the first attempt came to nothing.
    let again = PeerIdentity { incarnation: Uuid::from_u128(99), ..joining(THIRD) };
    let asked = ask_seeds(&security(Uuid::from_u128(1), THIRD), again, &[seed.address.to_string()]).await;
    assert_eq!(asked.unwrap(), introduction());
    known.add(THIRD, Uuid::from_u128(77));
    assert!(matches!(ask(THIRD, &[&seed]).await, Err(JoinError::NumberUsed { node: THIRD })));
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_in_one_line() {
    let (_serving, seed) = parrot(KnownPeers::default()).await;
    let said = |asked: Result<Introduction, JoinError>| {
        let said = asked.unwrap_err().to_string();
        assert!(!said.contains('\n'), "{said}");
        said
    };
    let not_added = said(ask(NON_MEMBER, &[&seed]).await);
    assert!(not_added.contains("node 9 is no member of cluster") && not_added.contains("members add"), "{not_added}");
    let itself = said(ask(2, &[&seed]).await);
    assert!(itself.contains(&*seed.address) && itself.contains("peer addresses of other members"), "{itself}");
    let unreachable = nobody().await;
    let none = said(ask(4, &[&unreachable, &seed]).await);
    assert!(
        none.contains(&*unreachable.address) && none.contains("cannot say now: not yet"),
        "each with its reason: {none}"
    );
    let foreign = security(Uuid::from_u128(9), 4);
    let me = PeerIdentity { cluster: Uuid::from_u128(9), ..joining(4) };
    let foreign = said(ask_seeds(&foreign, me, &[seed.address.to_string()]).await);
    assert!(foreign.contains("names no node of this cluster"), "{foreign}");
}

/// What node 2 answers to this hello.
async fn answer_to(seed: &Peer, hello: Hello) -> Welcome {
    let stream = crate::runtime::net::TcpStream::connect(&*seed.address).await.unwrap();
    let (stream, _certified) = security(Uuid::from_u128(1), hello.node).connect(stream).await.unwrap();
    let (mut sender, mut receiver) = split_for_hello(stream);
    sender.send_bytes(hello.encode()).await.unwrap();
    Welcome::decode(&receiver.receive_bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn only_a_node_that_joins_may_name_no_ledger() {
    let (_serving, seed) = parrot(KnownPeers::default()).await;
    for purpose in [Purpose::Append, Purpose::Control, Purpose::Forward, Purpose::Snapshot] {
        let answer = answer_to(&seed, joining(THIRD).hello(2, purpose)).await;
        assert_eq!(answer, Welcome::Refused(HelloRefusal::Ledger), "{purpose:?}");
        assert!(matches!(answer_to(&seed, identity(THIRD).hello(2, purpose)).await, Welcome::Welcome { .. }));
    }
    assert!(matches!(answer_to(&seed, joining(THIRD).hello(2, Purpose::Join)).await, Welcome::Welcome { .. }));
    let with_ledger = identity(THIRD).hello(2, Purpose::Join);
    assert_eq!(answer_to(&seed, with_ledger).await, Welcome::Refused(HelloRefusal::Ledger));
}

#[tokio::test]
async fn an_older_build_is_named_as_such() {
    for answer in [HelloRefusal::Ledger, HelloRefusal::Purpose] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let me = trust(identity(2), KnownPeers::default());
        let older = async move {
            let (stream, _address) = listener.accept().await.unwrap();
            let (stream, _certified) = me.security.accept(stream).await.unwrap();
            let (mut sender, mut receiver) = split_for_hello(stream);
            let hello = Hello::decode(&receiver.receive_bytes().await.unwrap()).unwrap();
            assert_eq!((hello.purpose, hello.to), (CalledFor::Known(Purpose::Join), 2));
            sender.send_bytes(Welcome::Refused(answer).encode()).await.unwrap();
            drop(receiver.receive_bytes().await);
        };
        tokio::spawn(older);
        let asked = ask_seeds(&security(Uuid::from_u128(1), 4), joining(4), &[address]).await;
        let said = asked.unwrap_err().to_string();
        assert!(
            said.contains("node 2 runs an older build") && said.contains("run the newer one there first"),
            "{said}"
        );
    }
}
