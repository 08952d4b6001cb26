//! A cluster of real processes, made as an operator makes one: `keygen`, `init` a member, `pki` for certificates, `run`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::Signal;
use serde_json::Value;

use crate::clocks;
use crate::disk_faults;
use crate::http::{Connection, Request};
use crate::member::Member;
use crate::network;
use crate::pki;
use crate::place::{Folder, Ports};
use crate::programs::{self, programs};
use crate::turns::Turn;
use crate::wait::{self, until};

/// What a cluster shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    name: String,
    members: u64,
    settings: Vec<(String, String)>,
    place: Option<PathBuf>,
    data: Vec<PathBuf>,
    disk_faults: bool,
    clocks: bool,
    in_network: bool,
    revocation_list: bool,
}

/// A cluster: its members, its admin key, its folder.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: processes first, then their folder, then the right to run.
    members: Vec<Member>,
    pub admin_key: String,
    admin_key_hash: String,
    cluster_id: String,
    folder: Folder,
    ports: Ports,
    _turn: Option<Turn>,
}

impl Plan {
    /// Three members with the default settings; the name is for its folder.
    pub fn new(name: &str) -> Plan {
        Plan {
            name: name.to_owned(),
            members: 3,
            settings: Vec::new(),
            place: None,
            data: Vec::new(),
            disk_faults: false,
            clocks: false,
            in_network: false,
            revocation_list: false,
        }
    }

    #[must_use]
    pub fn members(mut self, members: u64) -> Plan {
        self.members = members;
        self
    }

    /// A setting of `init` and `run`, as an environment variable.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Plan {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Lets the disks of its members be made to fail, with [`Member::ail`].
    #[must_use]
    pub fn disk_faults(mut self) -> Plan {
        self.disk_faults = true;
        self
    }

    /// Lets the clocks of its members be set, with [`Member::set_clock`].
    #[must_use]
    pub fn clocks(mut self) -> Plan {
        self.clocks = true;
        self
    }

    /// Has its members read the authority's revocation list, on which there is node 9, who is nobody.
    #[must_use]
    pub fn revocation_list(mut self) -> Plan {
        self.revocation_list = true;
        self
    }

    /// Puts the data directories below this folder; logs stay in the cluster's own.
    #[must_use]
    pub fn data_below(mut self, folder: &Path) -> Plan {
        self.data = vec![folder.to_owned()];
        self
    }

    /// Puts the data directory of each member below a folder of its own, in their order.
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

    /// Runs each member in its network namespace of a [`Network`](crate::network::Network) that was made before.
    #[must_use]
    pub fn in_network(mut self) -> Plan {
        self.in_network = true;
        self
    }

    /// Makes it, starts all members and waits until each is ready.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let cluster = self.init(Some(Turn::take()));
        cluster.start_all();
        cluster
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
        let members = (0..).zip(1..=self.members).map(|(index, id)| self.member(index, id, &folder, &ports)).collect();
        let cluster_id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel draws a UUID");
        let cluster = Cluster {
            members,
            admin_key: text("key"),
            admin_key_hash: text("hash"),
            cluster_id: cluster_id.trim().to_owned(),
            folder,
            ports,
            _turn: turn,
        };
        cluster.init_all();
        if self.revocation_list {
            pki::make_certificate(&cluster.pki(), &cluster.id(), 9);
            pki::revoke(&cluster.pki(), 9, &[]);
        }
        cluster
    }

    fn member(&self, index: usize, id: u64, folder: &Folder, ports: &Ports) -> Member {
        let host = if self.in_network { network::host(id) } else { Ipv4Addr::LOCALHOST };
        let log = folder.path().join(format!("node-{id}.log"));
        let data = self.data.get(index).or(self.data.first()).map_or(folder.path(), PathBuf::as_path);
        let data_dir = data.join(format!("node-{id}"));
        let mut settings = self.settings.clone();
        settings.extend(pki::settings(&folder.path().join("pki"), id));
        if self.revocation_list {
            let path = folder.path().join("pki/crl.pem");
            settings.push(("ETEBAR_PEER_CRL".to_owned(), path.to_str().expect("plain text").to_owned()));
        }
        let mut libraries = Vec::new();
        if self.disk_faults {
            settings.extend(disk_faults::settings(&log));
            libraries.push(disk_faults::library().display().to_string());
        }
        if self.clocks {
            settings.extend(clocks::settings(&log));
            libraries.push(clocks::library().expect("the test looked for it first").display().to_string());
        }
        if !libraries.is_empty() {
            settings.push(("LD_PRELOAD".to_owned(), libraries.join(":")));
        }
        let mut member = Member::new(id, SocketAddr::from((host, ports.api(id))), data_dir, log, settings);
        member.in_network = self.in_network;
        member
    }
}

impl Cluster {
    /// The cluster that the tests of one file share, made by the first that asks. It ends with the process.
    #[track_caller]
    pub fn shared(plan: impl FnOnce() -> Plan) -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        extern "C" fn end() {
            // A static is never dropped, so this is its end; the processes die with ours anyhow, the folder does not.
            if let Some(cluster) = SHARED.get() {
                cluster.members.iter().for_each(Member::kill);
                cluster.folder.remove();
            }
        }
        SHARED.get_or_init(|| {
            let cluster = plan().init(None);
            cluster.start_all();
            // SAFETY: `end` has the right signature and touches only what lives as long as the process.
            assert_eq!(unsafe { libc::atexit(end) }, 0, "the end of the shared cluster can be registered");
            cluster
        })
    }

    pub fn ids(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// The members that run and are not paused.
    pub fn running(&self) -> Vec<u64> {
        let running = self.members.iter().filter(|member| member.runs() && !member.is_paused());
        running.map(|member| member.id).collect()
    }

    #[track_caller]
    pub fn member(&self, id: u64) -> &Member {
        self.members.iter().find(|member| member.id == id).expect("a member of this cluster")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where that member listens for its peers.
    pub fn peer_port(&self, id: u64) -> u16 {
        self.ports.peer(id)
    }

    pub fn address(&self, id: u64) -> SocketAddr {
        self.member(id).api
    }

    /// All addresses as `--server` takes them.
    pub fn servers(&self) -> String {
        self.members.iter().map(|member| format!("http://{}", member.api)).collect::<Vec<_>>().join(",")
    }

    /// Starts every member that does not run, and waits until all are ready.
    #[track_caller]
    pub fn start_all(&self) {
        self.members.iter().filter(|member| !member.runs()).for_each(Member::launch);
        self.wait_ready(&self.ids());
    }

    /// Starts one member and waits until it is ready.
    #[track_caller]
    pub fn start_ready(&self, id: u64) {
        self.member(id).start();
        self.wait_ready(&[id]);
    }

    #[track_caller]
    pub fn wait_ready(&self, ids: &[u64]) {
        for id in ids {
            let member = self.member(*id);
            let mut said = String::new();
            until(2 * wait::PATIENCE, &format!("member {id} to be ready"), || {
                assert!(member.runs(), "member {id} ended:\n{}", member.log_tail(20));
                let answer = member.quick("/readyz")?;
                if answer.status != 200 && said != answer.text() {
                    said = answer.text();
                    eprintln!("member {id} is not ready: {said}");
                }
                (answer.status == 200).then_some(())
            });
        }
    }

    /// Kills all members, none before the other by more than a moment.
    pub fn kill_all(&self) {
        for member in self.members.iter().filter(|member| member.runs()) {
            member.signal(Signal::KILL);
        }
        self.members.iter().for_each(Member::kill);
    }

    /// The leader: the member that says so itself, in the highest term of those that answer. Waits for one.
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

    /// `GET /v1/cluster` as that member sees it, without patience.
    pub fn status(&self, id: u64) -> Option<Value> {
        let wait = std::time::Duration::from_secs(1);
        let request = Request::get("/v1/cluster?consistency=local").bearer(&self.admin_key);
        let answer = Connection::open(self.address(id), wait).ok()?.send(&request).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Its id, as member 1 has it.
    pub fn id(&self) -> String {
        let identity = std::fs::read(self.member(1).data_dir.join("identity.json")).expect("an identity");
        let identity: Value = serde_json::from_slice(&identity).expect("JSON");
        identity["identity"]["cluster"].as_str().expect("an id").to_owned()
    }

    /// The folder of its authority and certificates.
    pub fn pki(&self) -> PathBuf {
        self.folder().join("pki")
    }

    fn init_all(&self) {
        pki::make_authority(&self.pki());
        for member in &self.members {
            self.init(member.id);
            pki::make_certificate_for(&self.pki(), &self.cluster_id, member.id, &member.api.ip().to_string());
        }
    }

    /// Makes the data directory of a member, which must be absent or empty.
    #[track_caller]
    pub fn init(&self, id: u64) {
        let member = self.member(id);
        let mut command = programs::clean_command(&programs().node);
        command.arg("init").arg("--data-dir").arg(&member.data_dir).args(["--id", &id.to_string()]);
        command.args(["--cluster-id", &self.cluster_id, "--admin-key-hash", &self.admin_key_hash]);
        for other in &self.members {
            let (api, peer) = (other.api, self.ports.peer(other.id));
            command.args(["--member", &format!("{}={api}/{}:{peer}", other.id, api.ip())]);
        }
        let settings = member.settings.iter().filter(|(name, _)| name.starts_with("ETEBAR_"));
        let output = command.envs(settings.cloned()).output().expect("init starts");
        assert!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
    }
}
