//! The bytes of a connection to the API.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::ledger_of_a_few::genesis;
use crate::http::{EmbeddedServer, Limits};
use crate::pki::{Authority, Lifetime, Subject, in_memory};
use crate::raft::{Cluster, ClusterSettings, Consistency, PeerIdentity, PeerSecurity};
use crate::runtime::{Clock, Entropy};
use crate::storage::NodeDisks;
use crate::storage::model::ModelDisks;
use crate::storage::{Disks, NodeAddresses};

/// Longest time for the answer to a connection on which all was sent.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest wait for the first leader. Source: many elections on a busy machine.
const START: Duration = Duration::from_secs(30);
/// Most bytes of answers that are read.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of one connection to the API of a cluster of one. Whatever they are, the connection ends, no answer shows a
/// defect, and each says which node gave it. The key of its admin is [`super::admin_key`].
pub(crate) fn http(bytes: &[u8]) {
    let server = server();
    let bytes = bytes.to_vec();
    let answers = server.runtime.block_on(async {
        let (client, stream) = duplex(64 * 1024);
        let serving = tokio::spawn(server.gate.clone().serve(stream));
        let (reader, mut writer) = tokio::io::split(client);
        let writing = tokio::spawn(async move {
            // The node may have closed the connection by now, as it does after a head that it cannot read.
            if writer.write_all(&bytes).await.is_ok() {
                writer.shutdown().await.ok();
            }
        });
        let mut answers = Vec::new();
        let read = timeout(ANSWER, reader.take(ANSWER_BYTES).read_to_end(&mut answers)).await;
        read.expect("a connection on which all was sent ends").expect("reading from memory does not fail");
        writing.await.expect("writing does not panic");
        serving.await.expect("serving does not panic");
        answers
    });
    if answers.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(&answers);
    // In the version that was asked in.
    let status = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "));
    assert!(status.is_some_and(|status| !status.starts_with("500")), "{text}");
    // A 100 Continue is no answer yet.
    let answer = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    assert!(answer.is_empty() || head.contains("\r\netebar-node: 1"), "{text}");
}

/// Runs `test` on the runtime of the node that [`http`] asks.
#[cfg(test)]
pub(crate) fn at_the_node<T, F: Future<Output = T>>(test: impl FnOnce(EmbeddedServer) -> F) -> T {
    let server = server();
    server.runtime.block_on(test(server.gate.clone()))
}

struct Server {
    runtime: tokio::runtime::Runtime,
    gate: EmbeddedServer,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let gate = runtime.block_on(async {
            let disks = ModelDisks::default();
            let history = disks.open("history").expect("a disk in memory opens");
            let disks = NodeDisks { log: Arc::new(ModelDisks::default()), history };
            disks.create().await.expect("a new node");
            let cluster = Cluster::start(settings(), disks, Clock::system()).await.expect("a node starts");
            wait_for_genesis(&cluster).await;
            EmbeddedServer::new(cluster, Limits::default(), Entropy::system()).expect("there is entropy")
        });
        Server { runtime, gate }
    })
}

/// Waits, entry by entry, until the ledger is bootstrapped: its first leader proposes the genesis.
async fn wait_for_genesis(cluster: &Cluster) {
    loop {
        let applied = cluster.applied();
        if cluster.replica().state.genesis().is_some() {
            return;
        }
        let next = cluster.read(Consistency::Local, Some(applied + 1), Instant::now() + START).await;
        next.expect("a cluster of one elects itself and bootstraps its ledger");
    }
}

fn settings() -> ClusterSettings {
    let member = NodeAddresses { api: "127.0.0.1:1".to_owned(), peer: "127.0.0.1:2".to_owned() };
    ClusterSettings {
        identity: PeerIdentity::new(Uuid::from_u128(7), 1, Uuid::from_u128(8)),
        members: [(1, member)].into(),
        members_index: None,
        genesis: genesis(),
        peer_listen: "127.0.0.1:0".to_owned(),
        peer_security: security(),
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        log_bytes: 64 << 20,
        waiting_max: 16_384,
        table_seed: ledger::TableSeed([1, 2]),
        trust_clock: false,
    }
}

/// A certificate for the one node.
fn security() -> PeerSecurity {
    let (cluster, lifetime) = (Uuid::from_u128(7), Lifetime::for_days(1, Clock::system().now_ms()));
    let (authority, _key) = Authority::generate(lifetime).expect("there is randomness");
    let issued = authority.issue(&Subject::Node { cluster, node: 1, hosts: Vec::new() }, lifetime);
    let read = in_memory(&issued.expect("there is randomness"), &[&authority]);
    PeerSecurity::fixed(&read, cluster, 1).expect("its own certificate fits")
}
