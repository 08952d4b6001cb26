//! A node with its HTTP API on a loopback port, and a plain HTTP/1.1 caller that shows every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use etebar_node::http::{App, Limits, secret, serve};
use etebar_node::raft::{Cluster, ClusterSettings, PeerIdentity};
use etebar_node::runtime::{Clock, Entropy};
use etebar_node::storage::NodeAddresses;
use etebar_node::storage::NodeDisks;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The first admin key of every node of this kit.
pub(crate) const ADMIN: &str = "etb_admin_kit";

/// A node that stops when the value is dropped.
pub(crate) struct Node {
    pub address: SocketAddr,
    stopping: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An answer, as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with(&Limits::default(), 0)
    }

    pub(crate) fn with(limits: &Limits, decimals: u8) -> Self {
        let limits = *limits;
        let (ready, address) = std::sync::mpsc::channel();
        let stopping = CancellationToken::new();
        let stop = stopping.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let folder = tempfile::tempdir().unwrap();
                let cluster = cluster(folder.path(), decimals).await;
                let app = App::new(cluster.clone(), limits, Entropy::system(), folder.path().to_owned()).unwrap();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                serve(app, listener, stop).await;
                cluster.shutdown().await;
            });
        });
        Self { address: address.recv().unwrap(), stopping, thread: Some(thread) }
    }

    /// Asks the node to stop; it ends in its own time.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends these bytes, and reads until the node closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: kit\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        parse(&self.raw(format!("{head}\r\n{body}").as_bytes()))
    }

    #[track_caller]
    pub(crate) fn get(&self, key: &str, path: &str) -> Reply {
        self.call("GET", path, &[("authorization", &format!("Bearer {key}"))], "")
    }

    /// Posts JSON, under an idempotency key unless it is empty.
    #[track_caller]
    pub(crate) fn post(&self, key: &str, path: &str, idempotency_key: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        if !idempotency_key.is_empty() {
            headers.push(("idempotency-key", idempotency_key));
        }
        self.call("POST", path, &headers, &body.to_string())
    }

    /// A new seller with a key, by id and key.
    #[track_caller]
    pub(crate) fn seller(&self, name: &str) -> (String, String) {
        let seller = self.post(ADMIN, "/v1/sellers", "", &json!({ "name": name })).json();
        let id = text(&seller, "id");
        let body = json!({ "role": "seller", "name": name, "seller_id": id });
        let key = self.post(ADMIN, "/v1/keys", "", &body).json();
        (id, text(&key, "key"))
    }

    /// A new seller with this much credit.
    #[track_caller]
    pub(crate) fn seller_with(&self, name: &str, credit: &str) -> (String, String) {
        let (id, key) = self.seller(name);
        let path = format!("/v1/sellers/{id}/adjustments");
        let reply = self.post(ADMIN, &path, &format!("credit-{id}"), &json!({ "amount": credit, "reason": "a gift" }));
        assert_eq!(reply.status, 201, "{reply:?}");
        (id, key)
    }

    #[track_caller]
    pub(crate) fn charge(&self, key: &str, idempotency_key: &str, amount: &str) -> Reply {
        let body = json!({ "phone": "09123456789", "amount": amount });
        self.post(key, "/v1/charges", idempotency_key, &body)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the node ends without a panic");
        }
    }
}

/// A cluster of one, on its data in `folder`.
async fn cluster(folder: &Path, decimals: u8) -> Cluster {
    let id = uuid::Uuid::from_u128(7);
    for name in NodeDisks::FOLDERS {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    NodeDisks::open(folder).unwrap().create().await.unwrap();
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let settings = ClusterSettings {
        identity: PeerIdentity::new(id, 1, id),
        members: [(1, NodeAddresses { api: String::new(), peer: peer.clone() })].into(),
        members_index: None,
        genesis: ledger::Genesis {
            ledger: id,
            epoch: 1,
            currency: ledger::Name::new("IRT").unwrap(),
            decimals,
            key_window_ms: 86_400_000,
            keys_max: 40_000_000,
            rules: ledger::RULES_VERSION,
            admin_key: secret::hash(ADMIN),
        },
        peer_listen: peer,
        peer_security: super::pki::Pki::new().security(id, 1),
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(100),
        election_max: Duration::from_millis(200),
        log_bytes: 64 * 1024 * 1024,
        waiting_max: 16_384,
        table_seed: ledger::TableSeed([1, 2]),
        trust_clock: false,
    };
    let disks = NodeDisks::open(folder).unwrap();
    let cluster = Cluster::start(settings, disks, Clock::system()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !cluster.readiness().recovered {
        assert!(Instant::now() < deadline, "a cluster of one gets ready");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster
}

/// A node of an object, as text.
#[track_caller]
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}")).to_owned()
}

/// Reads the first answer in `text`.
#[track_caller]
pub(crate) fn parse(text: &str) -> Reply {
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse().unwrap());
    let body = &rest[..length.unwrap_or(rest.len()).min(rest.len())];
    Reply { status: status.unwrap(), headers, body: body.to_owned() }
}
