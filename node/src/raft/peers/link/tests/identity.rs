//! Who is admitted: certificates and numbers, what an unauthenticated caller learns, and how little it can occupy.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, HandshakeKind};
use tests::api::certificates::AnyServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::pki::{Issued, revoked_in_memory};
use crate::raft::peers::link::frame::HELLO_BYTES;
use crate::raft::peers::link::message::Numbered;
use crate::raft::peers::link::trust::follow::close_unproven;
use crate::raft::peers::link::trust::open::PER_PURPOSE;
use crate::raft::peers::link::trust::pending::PLACES;
use crate::tls;

/// A TLS client that presents this certificate, if any.
fn client_with(shows: Option<&Credentials>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer::default()));
    let config = match shows {
        Some(read) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(read.identity.clone()))),
        None => config.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn dial(connector: &TlsConnector, peer: &Peer) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(&*peer.address).await?;
    connector.connect(ServerName::try_from("peer").unwrap(), stream).await
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

fn hello_of(me: PeerIdentity) -> Vec<u8> {
    frame(&me.hello(2, Purpose::Control).encode())
}

/// Everything that comes back for `said`, until the peer closes the connection; whether that was with an alert.
async fn answer_to(said: &[u8], shows: Option<&Credentials>, peer: &Peer) -> (Vec<u8>, bool) {
    let talk = async {
        let mut stream = match dial(&client_with(shows), peer).await {
            Ok(stream) => stream,
            Err(_refused) => return (Vec::new(), true),
        };
        // The peer may have closed the connection already.
        drop(stream.write_all(said).await);
        drop(stream.flush().await);
        let mut received = Vec::new();
        let ended = stream.read_to_end(&mut received).await;
        (received, ended.is_err())
    };
    timeout(SOON, talk).await.expect("the node closes a refused connection")
}

/// What a node with that certificate reads from its files; it trusts the authority of all.
fn certificate(by: &Authority, cluster: u128, node: NodeNumber) -> Credentials {
    files(by, &[authority()], Uuid::from_u128(cluster), node, for_a_day())
}

#[tokio::test]
async fn a_caller_without_a_certificate_of_the_cluster_gets_no_answer() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let hello = hello_of(identity(1));
    let over = Lifetime { from: 1_000, until: 2_000 };
    let operator = Subject::Client { cluster: Uuid::from_u128(1), name: "sara".to_owned() };
    let operator: Issued = authority().issue(&operator, for_a_day()).unwrap();
    let unauthenticated = [
        None,
        Some(certificate(&new_authority(), 1, 1)),
        Some(certificate(authority(), 9, 1)),
        Some(files(authority(), &[authority()], Uuid::from_u128(1), 1, over)),
        Some(in_memory(&operator, &[authority()])),
    ];
    for (place, shows) in unauthenticated.iter().enumerate() {
        assert_eq!(answer_to(&hello, shows.as_ref(), &peer).await, (Vec::new(), true), "caller {place}");
    }
    let mut known = dial(&client_with(Some(&certificate(authority(), 1, 1))), &peer).await.unwrap();
    known.write_all(&hello).await.unwrap();
    assert!(known.read_u32().await.is_ok_and(|length| length > 0), "a node is answered");
}

#[tokio::test]
async fn a_connection_is_used_only_where_the_peer_proves_its_number() {
    let other = new_authority();
    let impostors = [
        (certificate(authority(), 1, 3), 3),
        (files(&other, &[&other, authority()], Uuid::from_u128(1), 2, for_a_day()), 2),
    ];
    for (shows, node) in impostors {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let security = PeerSecurity::fixed(&shows, Uuid::from_u128(1), node).unwrap();
        let impostor = Trust::new(identity(2), security, KnownPeers::default());
        tokio::spawn(serve(listener, impostor, Arc::new(Parrot)));
        let me = trust(identity(1), KnownPeers::default());
        let why = refusal(&super::peer(me, &address)).await;
        assert!(why.contains("the address is wrong") || why.contains("another authority"), "{why}");
    }
}

#[tokio::test]
async fn a_certificate_is_valid_for_its_own_number_alone() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let as_three = PeerIdentity { node: 3, ..identity(1) };
    let thief = Trust::new(as_three, security(Uuid::from_u128(1), 1), KnownPeers::default());
    assert!(refusal(&Peer { trust: thief, ..peer.clone() }).await.contains("as that of node 3"));
}

#[tokio::test]
async fn nothing_is_stored_about_a_number_that_is_not_a_members() {
    let (disks, mut dice) = (ModelDisks::default(), Dice(1));
    History::create(&*disks.open("history").unwrap()).await.unwrap();
    let history = Arc::new(History::open(disks.open("history").unwrap()).unwrap());
    let (_serving, peer) = parrot(KnownPeers::kept_in(history.clone()).unwrap()).await;
    assert!(refusal(&by(identity(NON_MEMBER), &peer)).await.contains("cannot come back under its number"));
    assert!(history.known_peers().unwrap().is_empty());
    drop(by(identity(1), &peer).dial(Purpose::Control, Instant::now() + SOON).await.unwrap());
    disks.cut(&mut dice);
    let history = History::open(disks.open("history").unwrap()).unwrap();
    assert_eq!(history.known_peers().unwrap().into_iter().collect::<Vec<_>>(), [(1, Uuid::from_u128(1))]);
}

#[tokio::test]
async fn a_refusal_names_nothing() {
    let known = KnownPeers::default();
    known.add(1, Uuid::from_u128(0x1234_5678_9abc));
    let (_serving, peer) = parrot(known).await;
    for me in
        [identity(NON_MEMBER), identity(1), identity(2), PeerIdentity { cluster: Uuid::from_u128(9), ..identity(3) }]
    {
        let (received, _) = answer_to(&hello_of(me), Some(&certificate(authority(), 1, me.node)), &peer).await;
        assert!((1..=8).contains(&received.len()), "a length and a reason by number: {received:?}");
    }
}

#[tokio::test]
async fn before_its_hello_a_peer_sends_a_kilobyte_at_most() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let shows = certificate(authority(), 1, 1);
    // The length alone is enough: the node does not wait for the announced bytes.
    let long = u32::try_from(HELLO_BYTES + 1).unwrap().to_be_bytes();
    assert!(answer_to(&long, Some(&shows), &peer).await.0.is_empty());
    assert!(answer_to(&frame(&[1; HELLO_BYTES]), Some(&shows), &peer).await.0.is_empty(), "it is no hello");
}

#[tokio::test]
async fn no_session_is_resumed() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let connector = client_with(Some(&certificate(authority(), 1, 1)));
    for _ in 0..2 {
        let mut stream = dial(&connector, &peer).await.unwrap();
        stream.write_all(&hello_of(identity(1))).await.unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let (_, tls) = stream.get_ref();
        assert_eq!((tls.tls13_tickets_received(), tls.handshake_kind()), (0, Some(HandshakeKind::Full)));
    }
}

#[tokio::test]
async fn callers_that_send_nothing_block_no_node() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let mut crowd = Vec::new();
    for _ in 0..3 {
        for _ in 0..PLACES {
            crowd.push(TcpStream::connect(&*peer.address).await.unwrap());
        }
        drop(peer.dial(Purpose::Control, Instant::now() + SOON).await.expect("a node that dials again is let in"));
    }
    let mut gone = [0];
    let first = timeout(SOON, crowd[0].read(&mut gone)).await.expect("the first of the crowd went");
    assert!(matches!(first, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_node_that_dials_without_end_loses_its_oldest_connections() {
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let mut links = Vec::new();
    for _ in 0..=PER_PURPOSE {
        links.push(peer.dial(Purpose::Control, Instant::now() + SOON).await.unwrap());
    }
    let oldest = timeout(SOON, links[0].receiver.receive::<Numbered<Response>>()).await.expect("it is closed");
    assert!(matches!(oldest, Err(LinkError::Closed)), "{oldest:?}");
    let newest = links.last_mut().unwrap();
    newest.sender.send(&Numbered { id: 1, body: Request::Ping }).await.unwrap();
    assert!(matches!(newest.receiver.receive().await, Ok(Numbered { id: 1, body: Response::Pong })));
}

#[tokio::test]
async fn two_authorities_count_during_a_rotation_and_the_old_one_not_after_it() {
    let (cluster, new) = (Uuid::from_u128(1), new_authority());
    let (listener, me) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), trust(identity(2), KnownPeers::default()));
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, me.clone(), Arc::new(Parrot)));
    let old_peer = super::peer(trust(identity(1), KnownPeers::default()), &address);
    let mut link = old_peer.dial(Purpose::Control, Instant::now() + SOON).await.unwrap();

    let both = files(authority(), &[authority(), &new], cluster, 2, for_a_day());
    me.security.replace(&both).unwrap();
    assert_eq!(close_unproven(&me), 0, "no connection is lost");
    let renewed = files(&new, &[authority(), &new], cluster, 3, for_a_day());
    let renewed = Trust::new(identity(3), PeerSecurity::fixed(&renewed, cluster, 3).unwrap(), KnownPeers::default());
    let new_peer = super::peer(renewed, &address);
    let mut new_link = new_peer.dial(Purpose::Control, Instant::now() + SOON).await.expect("the new authority counts");
    assert!(old_peer.dial(Purpose::Control, Instant::now() + SOON).await.is_ok(), "and the old one still does");

    me.security.replace(&files(&new, &[&new], cluster, 2, for_a_day())).unwrap();
    assert!(close_unproven(&me) > 0);
    let closed = timeout(SOON, link.receiver.receive::<Numbered<Response>>()).await.expect("it is closed");
    assert!(matches!(closed, Err(LinkError::Closed)), "{closed:?}");
    assert!(old_peer.dial(Purpose::Control, Instant::now() + SOON).await.is_err(), "it gets in no more");
    new_link.sender.send(&Numbered { id: 1, body: Request::Ping }).await.unwrap();
    assert!(matches!(new_link.receiver.receive().await, Ok(Numbered { id: 1, body: Response::Pong })));
}

#[tokio::test]
async fn credentials_that_do_not_fit_replace_none_that_do() {
    let (cluster, other) = (Uuid::from_u128(1), new_authority());
    let security = security(cluster, 1);
    let over = Lifetime { from: 1_000, until: 2_000 };
    let unfit = [
        (certificate(authority(), 1, 2), "of node 2, not of node 1"),
        (certificate(authority(), 9, 1), "names no node of this cluster"),
        (certificate(&other, 1, 1), "another authority"),
        (files(authority(), &[authority()], cluster, 1, over), "expired at 1970-01-01T00:33:20Z"),
    ];
    for (read, why) in unfit {
        let refused = security.replace(&read).unwrap_err().to_string();
        assert!(refused.contains(why) && !refused.contains('\n'), "{refused}");
        assert!(PeerSecurity::fixed(&read, cluster, 1).is_err());
    }
    let (_serving, peer) = parrot(KnownPeers::default()).await;
    let me = Trust::new(identity(1), security, KnownPeers::default());
    assert!(Peer { trust: me, ..peer }.dial(Purpose::Control, Instant::now() + SOON).await.is_ok());
}

/// A day from now, and a time that is over, in seconds since the Unix epoch.
fn soon_and_over() -> (u64, u64) {
    (Clock::system().now_ms() / 1_000 + 86_400, 2_000)
}

/// What node 2 reads beside a list that has these certificates.
fn with_list(own: &Credentials, revoked: &[&Credentials], until: u64) -> Credentials {
    with_numbered_list(own, revoked, until, 1)
}

/// The same, where the list has this number.
fn with_numbered_list(own: &Credentials, revoked: &[&Credentials], until: u64, number: u64) -> Credentials {
    Credentials { revoked: Some(revoked_in_memory(authority(), revoked, until, number).into()), ..own.clone() }
}

#[tokio::test]
async fn an_older_revocation_list_does_not_replace_a_newer_one() {
    let (cluster, (until, _)) = (Uuid::from_u128(1), soon_and_over());
    let (own, stolen) = (certificate(authority(), 1, 2), certificate(authority(), 1, 1));
    let me = PeerSecurity::fixed(&with_numbered_list(&own, &[], until, 255), cluster, 2).unwrap();
    let newer = with_numbered_list(&own, &[&stolen], until, 256);
    me.replace(&newer).unwrap();
    for older in [1, 2, 255] {
        let refused = me.replace(&with_numbered_list(&own, &[], until, older)).unwrap_err().to_string();
        assert!(refused.contains("--peer-crl") && refused.contains("older than the one in use"), "{refused}");
    }
    me.replace(&newer).expect("it is read again with a changed certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let me = Trust::new(identity(2), me, KnownPeers::default());
    tokio::spawn(serve(listener, me.clone(), Arc::new(Parrot)));
    let thief = PeerSecurity::fixed(&stolen, cluster, 1).unwrap();
    let thief = super::peer(Trust::new(identity(1), thief, KnownPeers::default()), &address);
    assert_eq!(answer_to(&hello_of(identity(1)), Some(&stolen), &thief).await, (Vec::new(), true));
    me.security.replace(&with_numbered_list(&own, &[], until, 1_000)).expect("a newer one may take it off");
    assert!(thief.dial(Purpose::Control, Instant::now() + SOON).await.is_ok());
}

#[tokio::test]
async fn a_revoked_node_loses_its_connections_and_gets_no_new_one() {
    let cluster = Uuid::from_u128(1);
    let own = certificate(authority(), 1, 2);
    let me = Trust::new(identity(2), PeerSecurity::fixed(&own, cluster, 2).unwrap(), KnownPeers::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, me.clone(), Arc::new(Parrot)));
    let dialler = |shows: &Credentials, node| {
        let security = PeerSecurity::fixed(shows, cluster, node).unwrap();
        super::peer(Trust::new(identity(node), security, KnownPeers::default()), &address)
    };
    let (stolen, other) = (certificate(authority(), 1, 1), certificate(authority(), 1, 3));
    let (thief, third) = (dialler(&stolen, 1), dialler(&other, 3));
    let dial = async |peer: &Peer| peer.dial(Purpose::Control, Instant::now() + SOON).await;
    let (mut open, mut kept) = (dial(&thief).await.unwrap(), dial(&third).await.unwrap());

    let (until, over) = soon_and_over();
    me.security.replace(&with_list(&own, &[&stolen], until)).unwrap();
    assert_eq!(close_unproven(&me), 1);
    let closed = timeout(SOON, open.receiver.receive::<Numbered<Response>>()).await.expect("it is closed");
    assert!(matches!(closed, Err(LinkError::Closed)), "{closed:?}");
    assert!(dial(&thief).await.is_err());
    assert_eq!(answer_to(&hello_of(identity(1)), Some(&stolen), &thief).await, (Vec::new(), true));
    assert!(dial(&dialler(&certificate(authority(), 1, 1), 1)).await.is_ok(), "with a new certificate it is let in");
    kept.sender.send(&Numbered { id: 1, body: Request::Ping }).await.unwrap();
    assert!(matches!(kept.receiver.receive().await, Ok(Numbered { id: 1, body: Response::Pong })));

    // A list that has ended, or a file that is gone, does not make a revoked certificate valid again.
    let refused = me.security.replace(&with_list(&own, &[&stolen], over)).unwrap_err().to_string();
    assert!(refused.contains("--peer-crl") && refused.contains("ended at 1970-01-01T00:33:20Z"), "{refused}");
    assert!(refused.contains("pki revoke") && !refused.contains('\n'), "{refused}");
    assert!(dial(&thief).await.is_err());
    assert!(PeerSecurity::fixed(&with_list(&own, &[], over), cluster, 2).is_err(), "no node starts with it");
}

#[tokio::test]
async fn a_revoked_node_does_not_start_and_still_refuses_other_revoked_nodes() {
    let (cluster, (until, _)) = (Uuid::from_u128(1), soon_and_over());
    let (own, stolen) = (certificate(authority(), 1, 2), certificate(authority(), 1, 1));
    let list = with_list(&own, &[&own, &stolen], until);
    let refused = PeerSecurity::fixed(&list, cluster, 2).unwrap_err().to_string();
    assert!(refused.contains("--peer-cert") && refused.contains("revoked"), "{refused}");
    let me = PeerSecurity::fixed(&own, cluster, 2).unwrap();
    me.replace(&list).unwrap();
    assert!(me.is_revoked());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, Trust::new(identity(2), me, KnownPeers::default()), Arc::new(Parrot)));
    let thief = super::peer(trust(identity(1), KnownPeers::default()), &address);
    assert_eq!(answer_to(&hello_of(identity(1)), Some(&stolen), &thief).await, (Vec::new(), true));
}

#[tokio::test]
async fn what_changes_during_a_handshake_counts_for_its_connection() {
    let (cluster, new) = (Uuid::from_u128(1), new_authority());
    for changes_at_the_dialled in [true, false] {
        let (me, dialling) = (trust(identity(2), KnownPeers::default()), trust(identity(1), KnownPeers::default()));
        let (changed, node) = if changes_at_the_dialled { (&me, 2) } else { (&dialling, 1) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = super::peer(dialling.clone(), &listener.local_addr().unwrap().to_string());
        let until = Instant::now() + SOON;
        let accepted = async {
            let (stream, _address) = listener.accept().await.unwrap();
            // Sent between the handshake and the time from which the connection can be found and closed.
            let standing = |_| {
                changed.security.replace(&files(&new, &[&new], cluster, node, for_a_day())).unwrap();
                assert_eq!(close_unproven(changed), 0, "it is not there yet");
                PeerMembership::Member
            };
            answer(&me, standing, stream, until).await
        };
        let (dialled, accepted) = tokio::join!(peer.dial(Purpose::Control, until), accepted);
        let refused = if changes_at_the_dialled { accepted.map(|_| ()) } else { dialled.map(|_| ()) };
        assert!(matches!(&refused, Err(LinkError::Refused(why)) if why.kind == "authority"), "{refused:?}");
        assert_eq!(changed.open.keep(|_| false), 0, "none is left open");
    }
}

#[tokio::test]
async fn a_sender_learns_that_its_connection_is_closed_without_receiving() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (me, other) = (trust(identity(1), KnownPeers::default()), trust(identity(2), KnownPeers::default()));
    let peer = super::peer(me.clone(), &listener.local_addr().unwrap().to_string());
    let until = Instant::now() + SOON;
    let accepted = async {
        let (stream, _address) = listener.accept().await.unwrap();
        answer(&other, |_| PeerMembership::Member, stream, until).await.unwrap()
    };
    let (dialled, _receives_nothing) = tokio::join!(peer.dial(Purpose::Snapshot, until), accepted);
    let mut link = dialled.unwrap();
    let page = vec![7_u8; 1 << 20];
    let (blocked, is_blocked) = oneshot::channel();
    let sending = async {
        let mut blocked = Some(blocked);
        loop {
            let mut send = pin!(link.sender.send(&page));
            let sent = poll_fn(|context| {
                let polled = send.as_mut().poll(context);
                // The receiver takes nothing, and the buffers on the way are full.
                if polled.is_pending()
                    && let Some(blocked) = blocked.take()
                {
                    blocked.send(()).unwrap();
                }
                polled
            });
            if let Err(error) = sent.await {
                return error;
            }
        }
    };
    let closing = async {
        is_blocked.await.unwrap();
        assert_eq!(me.open.keep(|_| false), 1);
    };
    let (ended, ()) = timeout(SOON, async { tokio::join!(sending, closing) }).await.expect("it does not wait on");
    assert!(matches!(ended, LinkError::Closed), "{ended}");
}
