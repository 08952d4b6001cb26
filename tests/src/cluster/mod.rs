//! A cluster of real processes, made as an operator makes one: `keygen`, `init` a node, `pki` for certificates, `run`.
//!
//! A [`plan::Plan`] makes one; a [`Node`] is one of its processes.

pub mod node;
pub mod pki;
pub mod plan;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::api::caller::{Caller, Seller};
use crate::api::http::{Connection, Request};
use crate::machine::place::{Folder, Ports};
use crate::machine::programs::{self, programs};
use crate::machine::turns::Turn;
use crate::wait::{self, until};
use node::Node;

/// A cluster: its nodes, its admin key, its folder.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: processes first, then their folder, then the right to run.
    nodes: Vec<Node>,
    /// The key of its first admin.
    pub admin_key: String,
    /// What `init` is given of it.
    pub admin_key_hash: String,
    id: String,
    folder: Folder,
    ports: Ports,
    _turn: Option<Turn>,
}

impl Cluster {
    /// The numbers of its nodes, in order.
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// The nodes that run and are not paused.
    pub fn running(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|node| node.runs() && !node.is_paused());
        running.map(|node| node.id).collect()
    }

    /// The node of that number; panics where there is none.
    #[track_caller]
    pub fn node(&self, id: u64) -> &Node {
        self.nodes.iter().find(|node| node.id == id).expect("a node of this cluster")
    }

    /// The folder that holds its logs, its certificates and, unless planned otherwise, its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where that node listens for its peers.
    pub fn peer_port(&self, id: u64) -> u16 {
        self.ports.peer(id)
    }

    /// Where that node serves operators.
    pub fn ops(&self, id: u64) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.ops(id)))
    }

    /// A port of its block that none of its nodes uses.
    pub fn spare_port(&self) -> u16 {
        self.ports.peer(0)
    }

    /// Where that node's API listens.
    pub fn address(&self, id: u64) -> SocketAddr {
        self.node(id).api
    }

    /// All addresses as `--server` takes them.
    pub fn servers(&self) -> String {
        self.nodes.iter().map(|node| format!("http://{}", node.api)).collect::<Vec<_>>().join(",")
    }

    /// Starts every node that does not run, and waits until all are ready.
    #[track_caller]
    pub fn start_all(&self) {
        self.nodes.iter().filter(|node| !node.runs()).for_each(Node::launch);
        self.wait_ready(&self.ids());
    }

    /// Starts one node and waits until it is ready.
    #[track_caller]
    pub fn start_ready(&self, id: u64) {
        self.node(id).start();
        self.wait_ready(&[id]);
    }

    /// Waits until each of these nodes is ready; panics where one ends instead.
    #[track_caller]
    pub fn wait_ready(&self, ids: &[u64]) {
        for id in ids {
            let node = self.node(*id);
            let mut said = String::new();
            until(2 * wait::PATIENCE, &format!("node {id} to be ready"), || {
                assert!(node.runs(), "node {id} ended:\n{}", node.log_tail(20));
                let answer = node.quick("/readyz")?;
                if answer.status != 200 && said != answer.text() {
                    said = answer.text();
                    eprintln!("node {id} is not ready: {said}");
                }
                (answer.status == 200).then_some(())
            });
        }
    }

    /// Kills all nodes, all at once.
    pub fn kill_all(&self) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            node.signal(Signal::KILL);
        }
        self.nodes.iter().for_each(Node::kill);
    }

    /// The leader: the node that says so itself, in the highest term of those that answer. Waits for one.
    #[track_caller]
    pub fn leader(&self) -> u64 {
        until(wait::PATIENCE, "a leader", || self.leader_now())
    }

    /// A leader other than `old`. Waits for one.
    #[track_caller]
    pub fn leader_after(&self, old: u64) -> u64 {
        until(wait::PATIENCE, "another leader", || self.leader_now().filter(|leader| *leader != old))
    }

    /// The leader of now, if any.
    pub fn leader_now(&self) -> Option<u64> {
        let claims = self.running().into_iter().filter_map(|id| {
            let status = self.status(id)?;
            (status["leader"].as_u64()? == id).then_some((status["term"].as_u64()?, id))
        });
        claims.max().map(|(_, id)| id)
    }

    /// The ids of all that do not lead now.
    #[track_caller]
    pub fn followers(&self) -> Vec<u64> {
        let leader = self.leader();
        self.ids().into_iter().filter(|id| *id != leader).collect()
    }

    /// `GET /v1/cluster` as that node sees it, without patience.
    pub fn status(&self, id: u64) -> Option<Value> {
        let wait = std::time::Duration::from_secs(1);
        let request = Request::get("/v1/cluster?consistency=local").bearer(&self.admin_key);
        let answer = Connection::open(self.address(id), wait).ok()?.send(&request).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Its id, a UUID as text.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// The folder of its authority and certificates.
    pub fn pki(&self) -> PathBuf {
        self.folder().join("pki")
    }

    /// The admin, calling that node.
    pub fn admin(&self, id: u64) -> Caller {
        self.caller(id, &self.admin_key)
    }

    /// A caller with that key, at that node.
    pub fn caller(&self, id: u64, key: &str) -> Caller {
        Caller { address: self.address(id), key: key.to_owned() }
    }

    /// The digest of everything that node decided up to `applied`; waits until it is there.
    #[track_caller]
    pub fn digest_at(&self, id: u64, applied: u64) -> String {
        until(wait::PATIENCE, &format!("node {id} to reach {applied}"), || {
            let answer = self.admin(id).try_get(&format!("/v1/cluster/digest?applied={applied}")).ok()?;
            if answer.status == 503 {
                return None;
            }
            Some(answer.expect(200).json()["digest"].as_str().expect("a digest").to_owned())
        })
    }

    /// A seller with that much credit, requested by it and approved by the admin.
    #[track_caller]
    pub fn seller_with(&self, credit: i64) -> Seller {
        let node = self.running()[0];
        let admin = self.admin(node);
        let seller = admin.new_seller("seller");
        if credit > 0 {
            let request = self.caller(node, &seller.key).request_credit(credit);
            admin.approve(&request).expect(200);
        }
        seller
    }

    /// That seller, calling that node.
    pub fn seller(&self, id: u64, seller: &Seller) -> Caller {
        self.caller(id, &seller.key)
    }

    fn init_all(&self) {
        pki::make_authority(&self.pki());
        for node in &self.nodes {
            self.init(node.id);
            pki::make_certificate_for(&self.pki(), &self.id, node.id, &node.api.ip().to_string());
        }
    }

    /// Makes the data directory of a node, which must be absent or empty.
    #[track_caller]
    pub fn init(&self, id: u64) {
        let node = self.node(id);
        let mut command = programs::clean_command(&programs().node);
        command.arg("init").arg("--data-dir").arg(&node.data_dir).args(["--id", &id.to_string()]);
        command.args(["--cluster-id", &self.id, "--admin-key-hash", &self.admin_key_hash]);
        for other in &self.nodes {
            let (api, peer) = (other.api, self.ports.peer(other.id));
            command.args(["--member", &format!("{}={api}/{}:{peer}", other.id, api.ip())]);
        }
        let settings = node.settings.iter().filter(|(name, _)| name.starts_with("ETEBAR_"));
        let output = command.envs(settings.cloned()).output().expect("init starts");
        assert!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
    }
}
