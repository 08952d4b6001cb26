//! The peer port of real nodes: which connections it accepts, and what an unauthenticated caller learns there: the
//! node's certificate alone.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tests::api::certificates::AnyServer;
use tests::cluster::pki::{make_authority, make_certificate, renew_certificate, revoke, settings};
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::operator::scripts::run;
use tests::{Cluster, Load, Plan, books, eventually};

/// Longest wait of an unauthenticated caller for a node to close the connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection with the certificate of node `id` in this folder, if any.
fn connect(peer: SocketAddr, shows: Option<(&Path, u64)>) -> StreamOwned<ClientConnection, TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring has them");
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer::default()));
    let config = match shows {
        None => config.with_no_client_auth(),
        Some((folder, id)) => {
            let chain = CertificateDer::pem_file_iter(folder.join(format!("node-{id}.pem"))).expect("a certificate");
            let chain = chain.collect::<Result<_, _>>().expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("node-{id}.key"))).expect("a key");
            config.with_client_auth_cert(chain, key).expect("they fit")
        }
    };
    let name = ServerName::try_from("member").expect("a name");
    let socket = TcpStream::connect_timeout(&peer, PATIENCE).expect("the node listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), socket)
}

/// What is first said on a connection, with an unknown data directory.
fn hello(cluster: &str, node: u8, to: u8) -> Vec<u8> {
    hello_of(cluster, node, [0x77; 16], to)
}

/// The same with this one, byte for byte as `docs/format.md` has it: any version of the link, for short calls.
fn hello_of(cluster: &str, node: u8, incarnation: impl AsRef<[u8]>, to: u8) -> Vec<u8> {
    let cluster = hex(&cluster.replace('-', ""));
    let (rules, epoch) = (2_u32, 1_u32);
    let mut body = b"ETBR".to_vec();
    body.extend([0, u8::MAX]);
    body.extend(rules.to_be_bytes());
    // A ledger that was never restored has the id of its cluster.
    body.extend([cluster.clone(), cluster].concat());
    body.extend(epoch.to_be_bytes());
    body.extend(u64::from(node).to_be_bytes());
    body.extend(incarnation.as_ref());
    body.extend(u64::from(to).to_be_bytes());
    body.push(2);
    let mut frame = u32::try_from(body.len()).expect("short").to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// What comes back, until the node closes the connection.
fn answer_to(said: &[u8], peer: SocketAddr, shows: Option<(&Path, u64)>) -> Vec<u8> {
    let mut stream = connect(peer, shows);
    // A node that has closed the connection already takes nothing.
    let _ = stream.write_all(said).and_then(|()| stream.flush());
    let mut received = Vec::new();
    if let Err(error) = stream.read_to_end(&mut received) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the node did not close the connection");
    }
    received
}

fn peer_of(cluster: &Cluster, id: u64) -> SocketAddr {
    let mut peer = cluster.address(id);
    peer.set_port(peer.port() + 20);
    peer
}

#[test]
fn the_peer_port_shows_unauthenticated_callers_nothing_and_no_number_can_be_taken() {
    let cluster = Plan::new("peer-identity").start();
    let (id, pki, peer) = (cluster.id(), cluster.pki(), peer_of(&cluster, 1));
    let others = cluster.folder().join("other-pki");
    make_authority(&others);
    make_certificate(&others, &id, 2);
    make_certificate(&pki, &id, 9);
    let foreign = cluster.folder().join("foreign");
    fs::create_dir(&foreign).expect("a folder");
    for name in ["ca.pem", "ca.key"] {
        fs::copy(pki.join(name), foreign.join(name)).expect("it is copied");
    }
    make_certificate(&foreign, "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10", 2);

    let mut plain = TcpStream::connect(peer).expect("it listens");
    plain.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    plain.write_all(&hello(&id, 9, 1)).expect("it takes bytes");
    let mut received = Vec::new();
    let _ = plain.read_to_end(&mut received);
    assert!(
        received.len() <= 7 && received.first().is_none_or(|first| *first == 0x15),
        "an alert at most: {received:?}"
    );

    for shows in [None, Some((others.as_path(), 2)), Some((foreign.as_path(), 2))] {
        assert!(answer_to(&hello(&id, 2, 1), peer, shows).is_empty(), "{shows:?}");
    }
    // A node's certificate under another number, and a number that is no node's: refused by a number, and no more.
    for (shows, says) in [(3, 2), (9, 9), (9, 2)] {
        let received = answer_to(&hello(&id, says, 1), peer, Some((&pki, shows)));
        assert!((1..=8).contains(&received.len()), "node {shows} says {says}: {received:?}");
    }
    let log = cluster.node(1).log_tail(200);
    for said in ["another authority", "names no node of this cluster", "node 9 is no member of the cluster now"] {
        assert!(log.contains(said), "the log names {said:?}: {log}");
    }

    // The nodes are unharmed, after restarts too: no other caller took their numbers.
    for id in cluster.ids() {
        cluster.node(id).terminate(Duration::from_secs(10));
        cluster.start_ready(id);
    }
    cluster.seller_with(1_000);
    books::check(&cluster);
}

#[test]
fn authorities_and_certificates_change_under_load_without_a_failed_call() {
    let _alone = alone();
    let cluster = Plan::new("rotation").start();
    let (id, pki) = (cluster.id(), cluster.pki());
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(10_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 21);
    load.wait_for_more(200);
    let term = |id| cluster.status(id).expect("a status")["term"].as_u64();
    let before = term(1);

    let old = cluster.folder().join("old-pki");
    make_authority(&cluster.folder().join("new-pki"));
    fs::create_dir(&old).expect("a folder");
    for name in ["ca.pem", "node-3.pem", "node-3.key"] {
        fs::copy(pki.join(name), old.join(name)).expect("it is copied");
    }
    let new_ca = fs::read_to_string(cluster.folder().join("new-pki/ca.pem")).expect("an authority");
    let old_ca = fs::read_to_string(old.join("ca.pem")).expect("an authority");
    put(&pki.join("ca.pem"), &format!("{old_ca}{new_ca}"));
    wait_for_changes(&cluster, 1);
    let issue = cluster.folder().join("new-pki");
    for node in cluster.ids() {
        make_certificate(&issue, &id, node);
        for kind in ["key", "pem"] {
            let name = format!("node-{node}.{kind}");
            put(&pki.join(&name), &fs::read_to_string(issue.join(&name)).expect("a certificate"));
        }
    }
    wait_for_changes(&cluster, 2);
    put(&pki.join("ca.pem"), &new_ca);
    wait_for_changes(&cluster, 3);
    load.wait_for_more(200);

    let received = answer_to(&hello(&id, 3, 1), peer_of(&cluster, 1), Some((&old, 3)));
    assert!(received.is_empty(), "the old authority is gone: {received:?}");
    let result = load.finish();
    assert!(result.settled.iter().all(|charge| charge.attempts == 1), "no call failed");
    assert_eq!(term(1), before, "leadership did not change");
    books::prove(&cluster, &result);
}

#[test]
fn a_stolen_certificate_is_revoked_and_its_node_continues_with_another() {
    let _alone = alone();
    let cluster = Plan::new("revocation").revocation_list().start();
    let (id, pki, stolen) = (cluster.id(), cluster.pki(), cluster.folder().join("stolen"));
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(10_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 22);
    load.wait_for_more(100);
    fs::create_dir(&stolen).expect("a folder");
    for name in ["node-3.pem", "node-3.key"] {
        fs::copy(pki.join(name), stolen.join(name)).expect("it is copied");
    }
    // The thief knows everything that node 3 does, and is let in.
    let identity = fs::read(cluster.node(3).data_dir.join("identity.json")).expect("an identity");
    let identity: serde_json::Value = serde_json::from_slice(&identity).expect("JSON");
    let incarnation = identity["identity"]["incarnation"].as_str().expect("a UUID").replace('-', "");
    let hello = hello_of(&id, 3, hex(&incarnation), 1);
    let mut thief = connect(peer_of(&cluster, 1), Some((&stolen, 3)));
    thief.write_all(&hello).and_then(|()| thief.flush()).expect("it is sent");
    let mut welcome = [0; 4];
    thief.read_exact(&mut welcome).expect("it is welcomed");

    renew_certificate(&pki, &id, 3);
    wait_for_changes_of(&cluster, 3, 1);
    revoke(&pki, 3, &["--replaced"]);
    for (node, changes) in [(1, 1), (2, 1), (3, 2)] {
        wait_for_changes_of(&cluster, node, changes);
    }
    let mut rest = Vec::new();
    let closed = thief.read_to_end(&mut rest);
    let is_open = closed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!is_open, "its connection is closed, long before an idle one would be");
    assert!(answer_to(&hello, peer_of(&cluster, 1), Some((&stolen, 3))).is_empty());
    eventually("a line of the log", || cluster.node(1).log_tail(500).contains("the certificate is revoked"));
    load.wait_for_more(200);
    let result = load.finish();
    books::prove(&cluster, &result);

    // A revoked certificate stays revoked where the file breaks, and a node does not start with a broken one.
    let list = fs::read_to_string(pki.join("crl.pem")).expect("a list");
    put(&pki.join("crl.pem"), &list[..list.len() / 2]);
    eventually("a line about the broken list", || {
        let log = cluster.node(1).log_tail(500);
        log.contains("changed certificate files cannot be used") && log.contains("crl.pem")
    });
    assert!(answer_to(&hello, peer_of(&cluster, 1), Some((&stolen, 3))).is_empty());
    put(&pki.join("crl.pem"), &list);
    cluster.node(1).terminate(Duration::from_secs(10));
    cluster.start_ready(1);
    assert!(answer_to(&hello, peer_of(&cluster, 1), Some((&stolen, 3))).is_empty());
    books::check(&cluster);
}

/// Puts a file in place whole.
fn put(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).and_then(|()| fs::rename(&new, path)).expect("it is put in place");
}

/// Waits until every node has taken changed files in so often, and closed what no longer counts.
fn wait_for_changes(cluster: &Cluster, count: usize) {
    for id in cluster.ids() {
        wait_for_changes_of(cluster, id, count);
    }
}

fn wait_for_changes_of(cluster: &Cluster, id: u64, count: usize) {
    eventually(&format!("node {id} to take in change {count}"), || {
        let log = cluster.node(id).log_tail(10_000);
        log.matches("new connections to peers use the changed certificate files").count() >= count
    });
}

#[test]
fn a_node_with_certificates_that_do_not_fit_does_not_start() {
    let cluster = Plan::new("unfit").init(None);
    let (id, pki, unfit) = (cluster.id(), cluster.pki(), cluster.folder().join("unfit"));
    make_authority(&unfit);
    make_certificate(&unfit, &id, 1);
    make_certificate(&pki, "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10", 7);
    let file = |folder: &Path, name: &str| folder.join(name).to_str().expect("a path of our own").to_owned();
    let own = settings(&pki, 1).map(|(_, path)| path);
    let [ca, cert, key] = &own;
    revoke(&unfit, 1, &[]);
    let lists = cluster.folder().join("lists");
    fs::create_dir(&lists).expect("a folder");
    for name in ["ca.pem", "ca.key", "node-1.pem"] {
        fs::copy(pki.join(name), lists.join(name)).expect("it is copied");
    }
    revoke(&lists, 1, &[]);
    let cases = [
        (None, Some(cert.clone()), Some(key.clone()), "--peer-ca is missing"),
        (Some(ca.clone()), None, Some(key.clone()), "--peer-cert is missing"),
        (Some(ca.clone()), Some(cert.clone()), None, "--peer-key is missing"),
        (Some(ca.clone()), Some(file(&pki, "node-2.pem")), Some(file(&pki, "node-2.key")), "of node 2, not of node 1"),
        (Some(ca.clone()), Some(file(&pki, "node-7.pem")), Some(file(&pki, "node-7.key")), "no node of this cluster"),
        (Some(ca.clone()), Some(file(&unfit, "node-1.pem")), Some(file(&unfit, "node-1.key")), "another authority"),
        (Some(ca.clone()), Some(cert.clone()), Some(file(&pki, "node-2.key")), "does not fit"),
        (Some(file(&pki, "gone.pem")), Some(cert.clone()), Some(key.clone()), "gone.pem"),
    ];
    let cases = cases.map(|(ca, cert, key, why)| (ca, cert, key, None, why));
    let with_list = |list: String, why| (Some(ca.clone()), Some(cert.clone()), Some(key.clone()), Some(list), why);
    let lists = [
        with_list(file(&pki, "crl.pem"), "cannot read"),
        with_list(file(&pki, "ca.pem"), "there is no revocation list in"),
        with_list(file(&unfit, "crl.pem"), "of no authority that is trusted here"),
        with_list(file(&lists, "crl.pem"), "--peer-cert does not fit: the certificate is revoked"),
    ];
    for (ca, cert, key, list, why) in cases.into_iter().chain(lists) {
        let mut command = clean_command(&programs().node);
        command.arg("run").arg("--data-dir").arg(&cluster.node(1).data_dir);
        for (name, value) in [("--peer-ca", ca), ("--peer-cert", cert), ("--peer-key", key), ("--peer-crl", list)] {
            command.args(value.iter().flat_map(|value| [name, value]));
        }
        let ended = run(&mut command);
        assert_eq!((ended.code, ended.err.trim_end().lines().count()), (Some(2), 1), "{why}: {}", ended.err);
        assert!(ended.err.contains(why), "{why}: {}", ended.err);
    }
}
