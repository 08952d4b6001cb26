//! Three members in one process, each with its own threads, disks and sockets on loopback.
//!
//! Stopping a node takes its threads away without notice; what it had not synced, its files still hold, so this is a
//! kill and not a power cut.

#![allow(dead_code, reason = "each test file uses its part of the kit")]

pub(crate) mod pki;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use etebar_node::raft::link::call::Peer;
use etebar_node::raft::link::hello::Trust;
use etebar_node::raft::link::trust::known_peers::KnownPeers;
use etebar_node::raft::{
    ChangeError, Cluster, ClusterError, ClusterSettings, Consistency, Introduction, JoinError, MembershipChange,
    PeerIdentity, ReadError, SubmitError, ask_seeds,
};
use etebar_node::runtime::Clock;
use etebar_node::storage::{Decided, Decisions, NodeAddresses, NodeDisks};
use ledger::{
    Action, Adjust, Amount, ApiKeyHash, ApiKeyNumber, Charge, Command, CreateKey, CreateSeller, Event, Genesis, Grant,
    IdempotencyKey, Name, Note, Phone, RULES_VERSION, RecordNumber, SignedAmount,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use self::pki::Pki;

/// The record of the genesis, and so the number of the first admin's key.
pub(crate) const ADMIN: ApiKeyNumber = 1;
/// How long one attempt at a change of the members may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what must happen.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A cluster of three, of which any may be down.
pub(crate) struct Trio {
    pub cluster: Uuid,
    pub pki: Pki,
    /// The first three.
    members: BTreeMap<u64, NodeAddresses>,
    /// Where all serve, those that came later too.
    addresses: BTreeMap<u64, NodeAddresses>,
    /// What those that came later were told when they joined.
    introductions: BTreeMap<u64, Introduction>,
    folders: BTreeMap<u64, TempDir>,
    incarnations: BTreeMap<u64, Uuid>,
    running: BTreeMap<u64, Cluster>,
    log_bytes: u64,
}

impl Trio {
    /// Three new members, running.
    pub(crate) async fn start(log_bytes: u64) -> Self {
        let cluster = Uuid::from_u128(0x00E7_EBA2);
        let members: BTreeMap<_, _> = (1..=3).map(|node| (node, new_addresses())).collect();
        let mut trio = Self {
            cluster,
            pki: Pki::new(),
            addresses: members.clone(),
            members,
            introductions: BTreeMap::new(),
            folders: (1..=3).map(|node| (node, tempfile::tempdir().unwrap())).collect(),
            incarnations: (1..=3).map(|node| (node, Uuid::from_u128(u128::from(node)))).collect(),
            running: BTreeMap::new(),
            log_bytes,
        };
        for node in 1..=3 {
            trio.make(node).await;
            trio.run(node).await;
        }
        trio.wait_until("all are recovered", |trio| trio.running.values().all(|node| node.readiness().recovered)).await;
        trio
    }

    async fn make(&self, node: u64) {
        let path = self.path(node);
        for folder in NodeDisks::FOLDERS {
            std::fs::create_dir(path.join(folder)).unwrap();
        }
        NodeDisks::open(&path).unwrap().create().await.unwrap();
    }

    fn path(&self, node: u64) -> PathBuf {
        self.folders[&node].path().to_owned()
    }

    fn settings(&self, node: u64) -> ClusterSettings {
        // Those that joined, as the program keeps it: without the node itself.
        let told = self.introductions.get(&node);
        let members = told.map(|told| {
            let others = told.members.iter().filter(|member| member.node != node);
            others
                .map(|member| (member.node, NodeAddresses { api: member.api.clone(), peer: member.peer.clone() }))
                .collect()
        });
        ClusterSettings {
            identity: PeerIdentity::new(self.cluster, node, self.incarnations[&node]),
            members: members.unwrap_or_else(|| self.members.clone()),
            members_index: told.map(|told| told.members_index),
            genesis: Genesis {
                ledger: self.cluster,
                epoch: 1,
                currency: Name::new("IRT").unwrap(),
                decimals: 0,
                key_window_ms: 86_400_000,
                keys_max: 40_000_000,
                rules: RULES_VERSION,
                admin_key: ApiKeyHash([7; 32]),
            },
            peer_listen: self.addresses[&node].peer.clone(),
            peer_security: self.pki.security(self.cluster, node),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
            log_bytes: self.log_bytes,
            waiting_max: 16_384,
            table_seed: ledger::TableSeed([node, 2]),
            trust_clock: false,
        }
    }

    /// Starts a node on the data it has; waits for the one before it to release the files.
    pub(crate) async fn run(&mut self, node: u64) {
        self.run_with(node, Clock::system()).await;
    }

    /// The same by another clock.
    pub(crate) async fn run_with(&mut self, node: u64, clock: Clock) {
        let started = self.try_run(node, clock).await;
        self.running.insert(node, started.unwrap());
    }

    /// The same of a node that may refuse to start.
    pub(crate) async fn try_run(&self, node: u64, clock: Clock) -> Result<Cluster, ClusterError> {
        let path = self.path(node);
        let disks = first_success("its files are let go of", async || NodeDisks::open(&path)).await;
        Cluster::start(self.settings(node), disks, clock).await
    }

    /// Takes a node away without notice.
    pub(crate) fn kill(&mut self, node: u64) {
        self.running.remove(&node).expect("it ran");
    }

    /// Stops a node in an orderly way.
    pub(crate) async fn stop(&mut self, node: u64) {
        self.running.remove(&node).expect("it ran").shutdown().await;
    }

    /// Gives a node that is down an empty data directory, as if its disk had been replaced.
    pub(crate) async fn wipe(&mut self, node: u64) {
        self.folders.insert(node, tempfile::tempdir().unwrap());
        let before = self.incarnations.get(&node).map_or(1_000, |before| before.as_u128() + 1_000);
        self.incarnations.insert(node, Uuid::from_u128(before + u128::from(node)));
        self.make(node).await;
    }

    /// Where a node is to serve that does not run yet.
    pub(crate) fn place(&mut self, node: u64) -> NodeAddresses {
        self.addresses.entry(node).or_insert_with(new_addresses).clone()
    }

    /// What the running nodes tell a node that joins with this data directory.
    pub(crate) async fn ask(&self, node: u64, incarnation: Uuid) -> Result<Introduction, JoinError> {
        let me = PeerIdentity { ledger: Uuid::nil(), epoch: 0, ..PeerIdentity::new(self.cluster, node, incarnation) };
        let seeds: Vec<String> = self.running.keys().map(|seed| self.peer_address(*seed).to_owned()).collect();
        ask_seeds(&self.pki.security(self.cluster, node), me, &seeds).await
    }

    /// Makes the data directory of a node that was added, with what the others tell it; it does not run yet.
    pub(crate) async fn introduce(&mut self, node: u64) {
        self.wipe(node).await;
        let told = self.ask(node, self.incarnations[&node]).await.unwrap();
        self.introductions.insert(node, told);
    }

    /// Starts a node that was added.
    pub(crate) async fn join(&mut self, node: u64) {
        self.introduce(node).await;
        self.run(node).await;
    }

    /// Starts a node under a number that was not added; it knows the first members.
    pub(crate) async fn intrude(&mut self, node: u64) {
        self.place(node);
        self.wipe(node).await;
        self.run(node).await;
    }

    /// Has the members changed, for as long as it takes; the number of the node that it is about.
    pub(crate) async fn change(&self, change: MembershipChange) -> u64 {
        first_success("the members are changed", async || self.try_change(change.clone()).await).await
    }

    /// Adds the node that serves there, and checks that it gets this number.
    pub(crate) async fn add(&self, node: u64, addresses: &NodeAddresses) {
        let addresses = of_ledger(addresses);
        assert_eq!(self.change(MembershipChange::Add { addresses }).await, node);
    }

    /// Asks the first node that runs and follows a leader to change the members.
    pub(crate) async fn try_change(&self, change: MembershipChange) -> Result<u64, ChangeError> {
        let asked = self.running.values().find(|node| node.leader().is_some());
        let asked = asked.ok_or(ReadError::NoLeader)?;
        asked.change_members((ADMIN, None), change, Instant::now() + ATTEMPT).await
    }

    /// How a node reaches another one, with its own certificate and data directory.
    pub(crate) fn peer(&self, from: u64, to: u64) -> Peer {
        let me = PeerIdentity::new(self.cluster, from, self.incarnations[&from]);
        let trust = Trust::new(me, self.pki.security(self.cluster, from), KnownPeers::default());
        Peer { trust, node: to, address: self.peer_address(to).into() }
    }

    /// Where a node listens for peers.
    pub(crate) fn peer_address(&self, node: u64) -> &str {
        &self.addresses[&node].peer
    }

    /// A running node.
    pub(crate) fn node(&self, node: u64) -> &Cluster {
        &self.running[&node]
    }

    /// The members that run.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }

    /// Waits for a leader that runs, and that all running members agree on.
    pub(crate) async fn leader(&self) -> u64 {
        self.wait_until("a leader is agreed on", |trio| trio.agreed_leader().is_some()).await;
        self.agreed_leader().unwrap()
    }

    fn agreed_leader(&self) -> Option<u64> {
        let mut leaders: Vec<_> = self.running.values().map(|node| node.status().leader).collect();
        leaders.dedup();
        match leaders[..] {
            [Some(leader)] if self.running.contains_key(&leader) => Some(leader),
            _ => None,
        }
    }

    /// A running node that does not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        self.running.keys().copied().find(|node| *node != leader).unwrap()
    }

    /// Waits for a condition.
    pub(crate) async fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let status = || self.running.values().map(Cluster::status).collect::<Vec<_>>();
        first_success(what, async || if holds(self) { Ok(()) } else { Err(status()) }).await;
    }

    /// Waits until all running members are at one position, and checks that they agree on everything up to it.
    pub(crate) async fn agree(&self) -> u64 {
        first_success("all come to one position", async || {
            let applied: Vec<_> = self.running.values().map(|node| node.replica().applied).collect();
            let position = applied[0];
            // A node reports the digest of a position shortly after it reached it, and may have advanced meanwhile.
            let digests: Option<Vec<_>> = self.running.values().map(|node| node.digest_at(position)).collect();
            let digests = digests.filter(|_| applied.iter().all(|other| *other == position)).ok_or(applied)?;
            assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "one position, one digest");
            Ok::<_, Vec<u64>>(position)
        })
        .await
    }

    /// Submits at a node, for as long as it takes; where it may be done already, only if its key makes that once.
    pub(crate) async fn submit(&self, node: u64, commands: Vec<Command>) -> Decisions {
        let keyed = commands.iter().all(|command| command.idempotency_key.is_some());
        first_success("it is decided", async || {
            match self.node(node).submit(commands.clone(), Instant::now() + PATIENCE).await {
                Err(error @ SubmitError::NoLeader) => Err(error),
                Err(error @ SubmitError::OutcomeUnknown { .. }) if keyed => Err(error),
                decided => Ok(decided.unwrap()),
            }
        })
        .await
    }

    /// A seller with a key and this much credit: its record number and its key's.
    pub(crate) async fn seller(&self, node: u64, name: &str, credit: i64) -> (RecordNumber, ApiKeyNumber) {
        let seller =
            self.submit(node, vec![admin(Action::CreateSeller(CreateSeller { name: Name::new(name).unwrap() }))]).await;
        let seller = number(&seller.outcomes[0]);
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&seller.to_be_bytes());
        let key = Action::CreateKey(CreateKey {
            name: Name::new(name).unwrap(),
            grant: Grant::Seller(seller),
            hash: ApiKeyHash(hash),
        });
        let key = number(&self.submit(node, vec![admin(key)]).await.outcomes[0]);
        if let Some(amount) = SignedAmount::new(credit) {
            let adjust = Action::Adjust(Adjust { seller, amount, reason: Note::empty() });
            self.submit(node, vec![admin(adjust)]).await;
        }
        (seller, key)
    }

    /// What is left of a seller's credit, read at a node after everything acknowledged.
    pub(crate) async fn balance(&self, node: u64, seller: RecordNumber) -> i64 {
        first_success("a read is current", async || {
            self.node(node).read(Consistency::Linearizable, None, Instant::now() + PATIENCE).await
        })
        .await;
        self.node(node).replica().state.seller(seller).unwrap().balance.signed()
    }
}

/// Tries until it succeeds, for a bounded time.
async fn first_success<T, E: Debug>(what: &str, attempt: impl AsyncFn() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "not in time: {what}: {error:#?}"),
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Addresses as a command has them.
pub(crate) fn of_ledger(addresses: &NodeAddresses) -> ledger::NodeAddresses {
    let address = |text: &str| ledger::Address::new(text).unwrap();
    ledger::NodeAddresses { api: address(&addresses.api), peer: address(&addresses.peer) }
}

/// A command of the first admin, without an idempotency key.
pub(crate) fn admin(action: Action) -> Command {
    Command { actor: ADMIN, idempotency_key: None, origin: None, action }
}

/// A charge of one unit under a key.
pub(crate) fn charge(actor: ApiKeyNumber, key: &str) -> Command {
    Command {
        actor,
        idempotency_key: Some(IdempotencyKey::new(key).unwrap()),
        origin: None,
        action: Action::Charge(Charge {
            phone: Phone::new(989_123_456_789).unwrap(),
            amount: Amount::new(1).unwrap(),
            reference: None,
        }),
    }
}

/// The number of the record that decided it.
pub(crate) fn number(decided: &Decided) -> RecordNumber {
    match decided {
        Decided::Recorded { record, .. } => record.number,
        Decided::NotRecorded(rejection) => panic!("refused: {rejection:?}"),
    }
}

/// Whether it is a charge that was decided now.
pub(crate) fn is_new_charge(decided: &Decided) -> bool {
    matches!(decided, Decided::Recorded { record, replayed: false } if matches!(record.event, Event::Charged(_)))
}

/// Submits, and gives up soon.
pub(crate) async fn submit_within(
    node: &Cluster,
    command: Command,
    within: Duration,
) -> Result<Decisions, SubmitError> {
    let submitted = node.submit(vec![command], Instant::now() + within);
    timeout(within * 2, submitted).await.expect("a deadline is kept")
}

fn new_addresses() -> NodeAddresses {
    NodeAddresses { api: free_address(), peer: free_address() }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
