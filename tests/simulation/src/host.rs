//! One simulated host: its disks and its clock, which outlive its crashes, and the member that runs on it.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etebar_node::http::{self, App, Limits, secret};
use etebar_node::raft::{Cluster, ClusterSettings, MembershipChange, PeerIdentity, PeerSecurity};
use etebar_node::runtime::net::TcpListener;
use etebar_node::runtime::{Clock, Entropy, Uptime, spawn};
use etebar_node::storage::model::{Dice, ModelDisks};
use etebar_node::storage::{Disks, NodeAddresses, NodeDisks, StorageError};
use ledger::{Genesis, Name, RULES_VERSION};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::book::Book;
use crate::door;
use crate::market::admin_secret;
use crate::swarm::Plan;

/// When every simulation begins, in milliseconds since the Unix epoch.
pub const BEGINNING_MS: u64 = 1_700_000_000_000;

/// Longest time for a change of the members, of an operator who then looks what became of it.
pub const CHANGE: Duration = Duration::from_millis(1_500);
/// The cluster of every simulation.
pub const CLUSTER: u128 = 0xE7EBA2;

/// A host's name in the simulated network.
pub fn name(node: u64) -> String {
    format!("n{node}")
}

/// Where a member serves.
pub fn addresses(node: u64) -> NodeAddresses {
    NodeAddresses { api: format!("{}:80", name(node)), peer: format!("{}:7121", name(node)) }
}

/// What a running host is told to do.
#[derive(Debug, Clone)]
pub enum Order {
    /// Hand leadership over.
    HandOver,
    /// Stop in an orderly way.
    Stop,
    /// Change the members.
    Change(MembershipChange),
    /// Find that so much time has passed at once, as after a pause, or as its clock runs ahead of the others'.
    Leap(Duration),
}

/// How the member on a host is.
#[derive(Debug, Default)]
pub struct Life {
    /// The member, while it runs.
    pub cluster: Option<Cluster>,
    /// Why it stopped itself, or would not start.
    pub ended: Option<String>,
    orders: VecDeque<Order>,
}

/// See the head of this file. Clones share it.
#[derive(Debug, Clone)]
pub struct Host {
    /// The member's number.
    pub node: u64,
    /// The generations of its log.
    pub log: ModelDisks,
    /// Its history.
    pub history: ModelDisks,
    /// How far its wall clock is off, in milliseconds.
    pub clock_off_ms: Arc<AtomicI64>,
    /// How much further that gets in a tenth of a second.
    pub clock_drift_ms: Arc<AtomicI64>,
    /// How often its power was cut: each time its machine boots anew. A killed process leaves the machine up.
    pub boots: Arc<AtomicU64>,
    /// How often its disks were wiped.
    pub wipes: Arc<AtomicU64>,
    life: Arc<Mutex<Life>>,
    ordered: Arc<Notify>,
    plan: Arc<Plan>,
    book: Book,
}

impl Host {
    /// A new host with empty disks.
    pub fn new(node: u64, plan: &Plan, book: &Book) -> Self {
        let off = Dice::new(plan.seed, 300 + node).between(0, plan.skew_ms) as i64 - plan.late_ms as i64;
        let host = Self {
            node,
            log: ModelDisks::new(Dice::new(plan.seed, 100 + node)),
            history: ModelDisks::new(Dice::new(plan.seed, 200 + node)),
            clock_off_ms: Arc::new(AtomicI64::new(off)),
            clock_drift_ms: Arc::default(),
            boots: Arc::default(),
            wipes: Arc::default(),
            life: Arc::default(),
            ordered: Arc::default(),
            plan: Arc::new(plan.clone()),
            book: book.clone(),
        };
        host.heal_disks();
        host
    }

    /// How its member is.
    pub fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member, where it runs.
    pub fn cluster(&self) -> Option<Cluster> {
        self.life().cluster.clone()
    }

    /// Sets its wall clock, to be so far off and to get further off in each tenth of a second.
    pub fn set_clock(&self, off_ms: i64, drift_ms: i64) {
        self.clock_off_ms.store(off_ms, Ordering::Relaxed);
        self.clock_drift_ms.store(drift_ms, Ordering::Relaxed);
    }

    /// Whether its wall clock is wrong.
    pub fn is_clock_wrong(&self) -> bool {
        let off_ms = self.clock_off_ms.load(Ordering::Relaxed);
        off_ms.unsigned_abs() > self.plan.skew_ms || self.clock_drift_ms.load(Ordering::Relaxed) != 0
    }

    /// Tells it to do something.
    pub fn order(&self, order: Order) {
        self.life().orders.push_back(order);
        self.ordered.notify_one();
    }

    /// Both disks.
    pub fn disks(&self) -> [&ModelDisks; 2] {
        [&self.log, &self.history]
    }

    /// Lets both disks be well again.
    pub fn heal_disks(&self) {
        for disks in self.disks() {
            disks.ail(|health| {
                *health = etebar_node::storage::model::Health { sync_ms: (1, self.plan.sync_ms), ..Default::default() };
            });
        }
    }

    /// One life, until it crashes.
    pub async fn live(self, boot: u64) -> Result<(), Box<dyn Error>> {
        self.life().orders.clear();
        let (book, off) = (self.book.clone(), self.clock_off_ms.clone());
        let now = move || (BEGINNING_MS + book.now_ms()).saturating_add_signed(off.load(Ordering::Relaxed));
        let (since, boots) = (self.book.clone(), self.boots.clone());
        let uptime = move || Some(Uptime { boot: boots.load(Ordering::Relaxed).into(), ms: since.now_ms() });
        let clock = Clock::from_fn(now).with_uptime(uptime);
        let started = match self.open_disks(boot).await {
            Ok(disks) => Cluster::start(self.settings(), disks, clock).await,
            Err(error) => Err(error.into()),
        };
        let cluster = match started {
            Ok(cluster) => cluster,
            Err(error) => {
                self.life().ended = Some(format!("it did not start: {error}"));
                return std::future::pending().await;
            }
        };
        self.life().cluster = Some(cluster.clone());
        spawn(door::serve(cluster.clone()));
        let stopping = CancellationToken::new();
        let living = async {
            tokio::select! {
                biased;
                reason = cluster.failed() => self.life().ended = Some(format!("it stopped: {reason}")),
                () = self.obey(&cluster) => {}
            }
            stopping.cancel();
        };
        tokio::join!(living, self.serve_http(&cluster, stopping.clone(), boot));
        // In the order of the program: what is in flight is answered first.
        cluster.shutdown().await;
        self.life().ended.get_or_insert_with(|| "it stopped: it was told to".to_owned());
        std::future::pending().await
    }

    /// Serves HTTP until it is told to stop, as the program does.
    async fn serve_http(&self, cluster: &Cluster, stopping: CancellationToken, boot: u64) {
        let dice = Mutex::new(Dice::new(self.plan.seed, (400 + self.node) << 32 | boot));
        let entropy = Entropy::from_fn(move |bytes| {
            let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
        });
        // The free room of this machine's disk is nothing that a simulation may depend on.
        let limits = Limits { disk_reserve_bytes: 0, ..Limits::default() };
        let app = App::new(cluster.clone(), limits, entropy, PathBuf::from("/")).expect("there is entropy");
        match TcpListener::bind(("0.0.0.0", crate::http::PORT)).await {
            Ok(listener) => http::serve(app, listener, stopping).await,
            Err(error) => panic!("nobody else has this port: {error}"),
        }
    }

    /// The disks, with an empty log and an empty history where there is nothing yet.
    async fn open_disks(&self, boot: u64) -> Result<NodeDisks, StorageError> {
        let history = self.history.open("history")?;
        let disks = NodeDisks { log: Arc::new(self.log.clone()), history };
        if boot == 0 || self.log.list()?.is_empty() {
            disks.create().await?;
        }
        Ok(disks)
    }

    /// Carries orders out until it is told to stop.
    async fn obey(&self, cluster: &Cluster) {
        loop {
            let order = self.life().orders.pop_front();
            match order {
                None => self.ordered.notified().await,
                Some(Order::HandOver) => cluster.hand_over().await,
                Some(Order::Stop) => return,
                Some(Order::Change(change)) => {
                    let cluster = cluster.clone();
                    // Whether it was done shows in the members' list.
                    spawn(async move { drop(cluster.change_members(change, Instant::now() + CHANGE).await) });
                }
                Some(Order::Leap(time)) => tokio::time::advance(time).await,
            }
        }
    }

    fn settings(&self) -> ClusterSettings {
        let (node, plan) = (self.node, &self.plan);
        let cluster = Uuid::from_u128(CLUSTER);
        let incarnation = Uuid::from_u128(u128::from(node | (self.wipes.load(Ordering::Relaxed) << 8)));
        ClusterSettings {
            identity: PeerIdentity { cluster, node, incarnation },
            members: (1..=plan.nodes).map(|node| (node, addresses(node))).collect::<BTreeMap<_, _>>(),
            genesis: Genesis {
                cluster,
                currency: Name::new("IRT").expect("a short name"),
                places: 0,
                key_window_ms: plan.key_window_ms,
                keys_max: plan.keys_max,
                rules: RULES_VERSION,
                admin_key: secret::hash(&admin_secret()),
            },
            peer_listen: "0.0.0.0:7121".to_owned(),
            peer_security: PeerSecurity::plaintext(),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(400),
            log_bytes: plan.log_bytes,
            waiting_max: 16_384,
            trust_clock: false,
        }
    }
}
