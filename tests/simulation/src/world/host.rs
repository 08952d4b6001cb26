//! One simulated host: its disks and its clock, which survive its crashes, and the node that runs on it.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etebar_node::http::{self, App, Limits, secret};
use etebar_node::raft::{Build, Cluster, ClusterSettings, MembershipChange, PeerIdentity, PeerSecurity};
use etebar_node::runtime::net::TcpListener;
use etebar_node::runtime::{Clock, Entropy, Uptime, spawn};
use etebar_node::storage::model::{Dice, ModelDisks};
use etebar_node::storage::{Disks, NodeDisks, StorageError};
use ledger::{ApiKeyNumber, Genesis, Name, RULES_VERSION};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clients::credentials::admin_secret;
use crate::command_port;
use crate::history::Recorder;
use crate::network::{CLUSTER, HTTP_PORT, START_MS, addresses};
use crate::plan::Plan;

/// The first admin's API key, which the operator acts under.
const ADMIN: ApiKeyNumber = 1;
/// Longest wait for a membership change. The operator then looks what became of it.
pub const MEMBERSHIP_CHANGE: Duration = Duration::from_millis(1_500);

/// Pause between two attempts to join.
const JOIN_AGAIN: Duration = Duration::from_millis(100);
/// Longest wait for another leader.
const LEAD: Duration = Duration::from_millis(1_500);

/// An instruction to the node on a running host.
#[derive(Debug, Clone)]
pub enum Instruction {
    /// Transfer leadership.
    TransferLeadership,
    /// Have this node lead, wherever the leader is.
    Lead(u64),
    /// Transfer leadership to this node, where this one leads, whether that one can lead or not.
    TransferUnchecked(u64),
    /// Stop in an orderly way.
    Stop,
    /// Change the membership.
    Change(MembershipChange),
    /// Find that so much time has passed at once, as after a pause, or as its clock runs ahead of the others'.
    SkipTime(Duration),
}

/// What a node was told when it joined.
#[derive(Debug, Clone)]
pub struct Told {
    /// The other members.
    pub members: BTreeSet<u64>,
    /// The index of the log entry that made their list.
    pub index: u64,
}

/// The state of the node on a host.
#[derive(Debug, Default)]
pub struct HostState {
    /// The node, while it runs.
    pub cluster: Option<Cluster>,
    /// Why it stopped itself, or would not start.
    pub ended: Option<String>,
    instructions: VecDeque<Instruction>,
}

/// A simulated host. Clones share it.
#[derive(Debug, Clone)]
pub struct Host {
    /// The node's number.
    pub node: u64,
    /// The generations of its log.
    pub log: ModelDisks,
    /// Its history.
    pub history: ModelDisks,
    /// How far its wall clock is off, in milliseconds.
    pub clock_off_ms: Arc<AtomicI64>,
    /// How much further that gets in a tenth of a second.
    pub clock_drift_ms: Arc<AtomicI64>,
    /// How often its power was cut: its machine reboots each time. A killed process leaves the machine up.
    pub boots: Arc<AtomicU64>,
    /// How often its disks were wiped.
    pub wipes: Arc<AtomicU64>,
    /// The newest rules that its build knows. A build is replaced by a newer one where a node is started anew, never the
    /// other way round: that a node whose build does not know the ledger's rules stops is no fault.
    known_rules: Arc<AtomicU32>,
    /// Whether its data directory was finished.
    is_made: Arc<AtomicBool>,
    /// What it was told when it joined; a node that is no founder waits for it.
    told: Arc<Mutex<Option<Told>>>,
    state: Arc<Mutex<HostState>>,
    instructed: Arc<Notify>,
    plan: Arc<Plan>,
    recorder: Recorder,
}

impl Host {
    /// A new host with empty disks.
    pub fn new(node: u64, plan: &Plan, recorder: &Recorder) -> Self {
        let off = Dice::new(plan.seed, 300 + node).between(0, plan.skew_ms).cast_signed() - plan.late_ms.cast_signed();
        let host = Self {
            node,
            log: ModelDisks::new(Dice::new(plan.seed, 100 + node)),
            history: ModelDisks::new(Dice::new(plan.seed, 200 + node)),
            clock_off_ms: Arc::new(AtomicI64::new(off)),
            clock_drift_ms: Arc::default(),
            boots: Arc::default(),
            wipes: Arc::default(),
            // A node that is added runs the newest build.
            known_rules: Arc::new(AtomicU32::new(if plan.old_builds && node <= plan.nodes {
                1
            } else {
                RULES_VERSION
            })),
            is_made: Arc::default(),
            told: Arc::default(),
            state: Arc::default(),
            instructed: Arc::default(),
            plan: Arc::new(plan.clone()),
            recorder: recorder.clone(),
        };
        host.heal_disks();
        host
    }

    /// The newest rules that its build knows.
    pub fn known_rules(&self) -> u32 {
        self.known_rules.load(Ordering::Relaxed)
    }

    /// From its next start on it runs the newest build.
    pub fn upgrade(&self) {
        self.known_rules.store(RULES_VERSION, Ordering::Relaxed);
    }

    /// The state of its node.
    pub fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node, where it runs.
    pub fn cluster(&self) -> Option<Cluster> {
        self.state().cluster.clone()
    }

    /// Sets its wall clock to be `off_ms` ahead, and to gain `drift_ms` more every tenth of a second.
    pub fn set_clock(&self, off_ms: i64, drift_ms: i64) {
        self.clock_off_ms.store(off_ms, Ordering::Relaxed);
        self.clock_drift_ms.store(drift_ms, Ordering::Relaxed);
    }

    /// Whether its wall clock is wrong.
    pub fn is_clock_wrong(&self) -> bool {
        let off_ms = self.clock_off_ms.load(Ordering::Relaxed);
        off_ms.unsigned_abs() > self.plan.skew_ms || self.clock_drift_ms.load(Ordering::Relaxed) != 0
    }

    /// Gives its node an instruction.
    pub fn instruct(&self, instruction: Instruction) {
        self.state().instructions.push_back(instruction);
        self.instructed.notify_one();
    }

    /// Both disks.
    pub fn disks(&self) -> [&ModelDisks; 2] {
        [&self.log, &self.history]
    }

    /// Makes both disks healthy again.
    pub fn heal_disks(&self) {
        for disks in self.disks() {
            disks.set_health(|health| {
                *health = etebar_node::storage::model::Health { sync_ms: (1, self.plan.sync_ms), ..Default::default() };
            });
        }
    }

    /// Has its node join, once; a founder never does.
    pub fn tell(&self, told: impl FnOnce() -> Told) {
        if self.node > self.plan.nodes {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(told);
        }
    }

    fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs the node, from this start to its crash.
    pub async fn run(self, boot: u64) -> Result<(), Box<dyn Error>> {
        // As with the program: it has no data directory before it joined.
        while self.node > self.plan.nodes && self.told().is_none() {
            tokio::time::sleep(JOIN_AGAIN).await;
        }
        self.state().instructions.clear();
        if Dice::new(self.plan.seed, (500 + self.node) << 32 | boot).once_in(3) {
            self.upgrade();
        }
        let (recorder, off) = (self.recorder.clone(), self.clock_off_ms.clone());
        let now = move || (START_MS + recorder.now_ms()).saturating_add_signed(off.load(Ordering::Relaxed));
        let (since, boots) = (self.recorder.clone(), self.boots.clone());
        let uptime = move || Some(Uptime { boot: boots.load(Ordering::Relaxed).into(), ms: since.now_ms() });
        let clock = Clock::from_fn(now).with_uptime(uptime);
        let started = match self.open_disks(boot).await {
            // On the heap: it is large, and every host has one.
            Ok(disks) => Box::pin(Cluster::start(self.settings(), disks, clock)).await,
            Err(error) => Err(error.into()),
        };
        let cluster = match started {
            Ok(cluster) => cluster,
            Err(error) => {
                self.state().ended = Some(format!("it did not start: {error}"));
                return std::future::pending().await;
            }
        };
        self.state().cluster = Some(cluster.clone());
        spawn(command_port::serve(cluster.clone()));
        let stopping = CancellationToken::new();
        let running = async {
            tokio::select! {
                biased;
                reason = cluster.failed() => self.state().ended = Some(format!("it stopped: {reason}")),
                () = self.carry_out(&cluster) => {}
            }
            stopping.cancel();
        };
        tokio::join!(running, self.serve_http(&cluster, stopping.clone(), boot));
        // In the same order as the program: requests in flight are answered first.
        cluster.shutdown().await;
        self.state().ended.get_or_insert_with(|| "it stopped as instructed".to_owned());
        std::future::pending().await
    }

    /// Serves HTTP until it is instructed to stop, as the program does.
    async fn serve_http(&self, cluster: &Cluster, stopping: CancellationToken, boot: u64) {
        let dice = Mutex::new(Dice::new(self.plan.seed, (400 + self.node) << 32 | boot));
        let entropy = Entropy::from_fn(move |bytes| {
            let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
            for byte in bytes {
                *byte = dice.below(256) as u8;
            }
        });
        // A simulation may not depend on the free space of this machine's disk.
        let limits = Limits { disk_reserve_bytes: 0, ..Limits::default() };
        let app = App::new(cluster.clone(), limits, entropy, PathBuf::from("/")).expect("there is entropy");
        match TcpListener::bind(("0.0.0.0", HTTP_PORT)).await {
            Ok(listener) => http::serve(app, listener, stopping).await,
            Err(error) => panic!("no other host has this port: {error}"),
        }
    }

    /// The disks, with an empty log and an empty history where there is nothing yet.
    async fn open_disks(&self, boot: u64) -> Result<NodeDisks, StorageError> {
        // As with the program, a data directory that was not finished is made anew.
        if !self.is_made.load(Ordering::Relaxed) {
            self.log.wipe();
            self.history.wipe();
        }
        let history = self.history.open("history")?;
        // The images of the state and of the audit only save time, so anything may happen to them.
        let mut dice = Dice::new(self.plan.seed, (500 + self.node) << 32 | boot);
        if dice.once_in(3) {
            self.history.spoil_images(&mut dice);
        }
        let disks = NodeDisks { log: Arc::new(self.log.clone()), history };
        if !self.is_made.load(Ordering::Relaxed) || self.log.list()?.is_empty() {
            disks.create().await?;
            self.is_made.store(true, Ordering::Relaxed);
        }
        Ok(disks)
    }

    /// Carries instructions out until it is instructed to stop.
    async fn carry_out(&self, cluster: &Cluster) {
        loop {
            let instruction = self.state().instructions.pop_front();
            match instruction {
                None => self.instructed.notified().await,
                Some(Instruction::TransferLeadership) => cluster.hand_over(Instant::now() + LEAD).await,
                Some(Instruction::Lead(to)) => {
                    let cluster = cluster.clone();
                    // Where it cannot lead it is refused.
                    spawn(async move { drop(cluster.lead(to, Instant::now() + LEAD).await) });
                }
                Some(Instruction::TransferUnchecked(to)) => {
                    let cluster = cluster.clone();
                    spawn(async move { cluster.hand_over_unchecked(to).await });
                }
                Some(Instruction::Stop) => return,
                Some(Instruction::Change(change)) => {
                    let cluster = cluster.clone();
                    // Whether it was done shows in the membership.
                    spawn(async move {
                        drop(cluster.change_members((ADMIN, None), change, Instant::now() + MEMBERSHIP_CHANGE).await);
                    });
                }
                Some(Instruction::SkipTime(time)) => tokio::time::advance(time).await,
            }
        }
    }

    /// Its settings, with what its build can do.
    fn settings(&self) -> ClusterSettings {
        let (node, plan) = (self.node, &self.plan);
        let cluster = Uuid::from_u128(CLUSTER);
        let incarnation = Uuid::from_u128(u128::from(node | (self.wipes.load(Ordering::Relaxed) << 8)));
        let identity = PeerIdentity::new(cluster, node, incarnation);
        let told = self.told();
        let members = told.as_ref().map_or_else(|| (1..=plan.nodes).collect(), |told| told.members.clone());
        ClusterSettings {
            identity: PeerIdentity { build: Build { rules: self.known_rules(), ..Build::OWN }, ..identity },
            members: members.into_iter().map(|node| (node, addresses(node))).collect(),
            members_index: told.map(|told| told.index),
            genesis: Genesis {
                ledger: cluster,
                epoch: 1,
                currency: Name::new("IRT").expect("a short name"),
                decimals: 0,
                key_window_ms: plan.key_window_ms,
                keys_max: plan.keys_max,
                rules: if plan.old_builds { 1 } else { RULES_VERSION },
                admin_key: secret::hash(&admin_secret()),
            },
            peer_listen: "0.0.0.0:7121".to_owned(),
            peer_security: PeerSecurity::plaintext(),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(400),
            log_bytes: plan.log_bytes,
            waiting_max: 16_384,
            table_seed: ledger::TableSeed([self.plan.seed, self.node]),
            trust_clock: false,
        }
    }
}
