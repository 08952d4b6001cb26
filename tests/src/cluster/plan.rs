//! What a cluster shall be, and its making: folder, ports, settings, data directories, certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::node::Node;
use super::{Cluster, pki};
use crate::faults::{clocks, failing_disk, network};
use crate::machine::place::{Folder, Ports};
use crate::machine::programs::{self, programs};
use crate::machine::turns::Turn;

/// What a cluster shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    name: String,
    nodes: u64,
    settings: Vec<(String, String)>,
    place: Option<PathBuf>,
    data: Vec<PathBuf>,
    extras: Vec<Extra>,
}

/// What the nodes of a cluster have beyond the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    DiskFaults,
    Clocks,
    Network,
    RevocationList,
}

impl Plan {
    /// Three nodes with the default settings; the name is for its folder.
    pub fn new(name: &str) -> Plan {
        Plan {
            name: name.to_owned(),
            nodes: 3,
            settings: Vec::new(),
            place: None,
            data: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// With so many nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: u64) -> Plan {
        self.nodes = nodes;
        self
    }

    /// A setting of `init` and `run`, as an environment variable.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Plan {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Lets the disks of its nodes be made to fail, with [`Node::set_disk_fault`].
    #[must_use]
    pub fn disk_faults(self) -> Plan {
        self.with(Extra::DiskFaults)
    }

    /// Lets the clocks of its nodes be set, with [`Node::set_clock`].
    #[must_use]
    pub fn clocks(self) -> Plan {
        self.with(Extra::Clocks)
    }

    /// Has its nodes read the authority's revocation list, on which there is node 9 alone, which does not exist.
    #[must_use]
    pub fn revocation_list(self) -> Plan {
        self.with(Extra::RevocationList)
    }

    /// Puts the data directories below this folder; logs stay in the cluster's own.
    #[must_use]
    pub fn data_below(mut self, folder: &Path) -> Plan {
        self.data = vec![folder.to_owned()];
        self
    }

    /// Puts the data directory of each node below a folder of its own, in their order.
    #[must_use]
    pub fn data_below_each(mut self, folders: Vec<PathBuf>) -> Plan {
        self.data = folders;
        self
    }

    /// Puts the cluster's folder below this one, not below the target folder.
    #[must_use]
    pub fn below(mut self, place: &Path) -> Plan {
        self.place = Some(place.to_owned());
        self
    }

    /// Runs each node in its network namespace of a [`Network`](crate::faults::network::Network) that was made before.
    #[must_use]
    pub fn in_network(self) -> Plan {
        self.with(Extra::Network)
    }

    fn with(mut self, extra: Extra) -> Plan {
        self.extras.push(extra);
        self
    }

    fn has(&self, extra: Extra) -> bool {
        self.extras.contains(&extra)
    }

    /// Makes it, starts all nodes and waits until each is ready.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let cluster = self.init(Some(Turn::take()));
        cluster.start_all();
        cluster
    }

    /// The cluster that the tests of one file share, made by the first that asks. It ends with the process.
    #[track_caller]
    pub fn shared(self) -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        extern "C" fn end() {
            // A static is never dropped, so this is its end; the processes die with ours anyhow, the folder does not.
            if let Some(cluster) = SHARED.get() {
                cluster.nodes.iter().for_each(Node::kill);
                cluster.folder.remove();
            }
        }
        SHARED.get_or_init(|| {
            let cluster = self.init(None);
            cluster.start_all();
            // SAFETY: `end` has the right signature and touches only what lives as long as the process.
            assert_eq!(unsafe { libc::atexit(end) }, 0, "the end of the shared cluster can be registered");
            cluster
        })
    }

    /// Makes it and starts nothing.
    #[track_caller]
    pub fn init(self, turn: Option<Turn>) -> Cluster {
        let folder =
            self.place.as_deref().map_or_else(|| Folder::new(&self.name), |place| Folder::below(place, &self.name));
        let ports = Ports::take();
        let keygen = programs::clean_command(&programs().node).arg("keygen").output().expect("keygen starts");
        assert!(keygen.status.success(), "keygen: {}", String::from_utf8_lossy(&keygen.stderr));
        let drawn: Value = serde_json::from_slice(&keygen.stdout).expect("keygen prints a line of JSON");
        let text = |name: &str| drawn[name].as_str().expect("keygen prints the key and its hash").to_owned();
        let nodes = (0..).zip(1..=self.nodes).map(|(index, id)| self.node(index, id, &folder, &ports)).collect();
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel draws a UUID");
        let cluster = Cluster {
            nodes,
            admin_key: text("key"),
            admin_key_hash: text("hash"),
            id: id.trim().to_owned(),
            folder,
            ports,
            _turn: turn,
        };
        cluster.init_all();
        if self.has(Extra::RevocationList) {
            pki::make_certificate(&cluster.pki(), &cluster.id(), 9);
            pki::revoke(&cluster.pki(), 9, &[]);
        }
        cluster
    }

    fn node(&self, index: usize, id: u64, folder: &Folder, ports: &Ports) -> Node {
        let host = if self.has(Extra::Network) { network::host(id) } else { Ipv4Addr::LOCALHOST };
        let log = folder.path().join(format!("node-{id}.log"));
        let data = self.data.get(index).or(self.data.first()).map_or(folder.path(), PathBuf::as_path);
        let data_dir = data.join(format!("node-{id}"));
        let mut settings = self.settings.clone();
        settings.extend(pki::settings(&folder.path().join("pki"), id));
        if self.has(Extra::RevocationList) {
            let path = folder.path().join("pki/crl.pem");
            settings.push(("ETEBAR_PEER_CRL".to_owned(), path.to_str().expect("plain text").to_owned()));
        }
        let mut libraries = Vec::new();
        if self.has(Extra::DiskFaults) {
            settings.extend(failing_disk::settings(&log));
            libraries.push(failing_disk::library().display().to_string());
        }
        if self.has(Extra::Clocks) {
            settings.extend(clocks::settings(&log));
            libraries.push(clocks::library().expect("the test looked for it first").display().to_string());
        }
        if !libraries.is_empty() {
            settings.push(("LD_PRELOAD".to_owned(), libraries.join(":")));
        }
        let mut node = Node::new(id, SocketAddr::from((host, ports.api(id))), data_dir, log, settings);
        node.in_network = self.has(Extra::Network);
        node
    }
}
