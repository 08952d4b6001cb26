//! One simulated host: a member, and clients that crash with it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etebar_node::raft::{Cluster, ClusterSettings, Consistency, Decided, Identity, MemberDisks};
use etebar_node::runtime::{Clock, spawn};
use etebar_node::storage::{Disks, Member};
use ledger::{
    Action, Amount, Change, Command, Genesis, Grant, IdempotencyKey, KeyHash, KeyNumber, Name, Note, Phone,
    RULES_VERSION,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::dice::Dice;
use crate::disk::Folder;
use crate::story::Story;

/// The record of the genesis, and so the number of the first admin's key.
const ADMIN: KeyNumber = 1;
/// Longest wait of a client.
const PATIENCE: Duration = Duration::from_secs(3);
/// Clients on each host.
const CLIENTS: u64 = 3;

/// What survives a host's crashes.
#[derive(Debug, Clone)]
pub struct Host {
    /// The member's number.
    pub node: u64,
    /// The seed of the run.
    pub seed: u64,
    /// The generations of its log.
    pub log: Folder,
    /// Its history.
    pub history: Folder,
    /// What its clients saw.
    pub story: Story,
    /// The member, while the host is up.
    pub running: Arc<Mutex<Option<Cluster>>>,
}

/// The peers' names in the simulated network.
pub fn name(node: u64) -> String {
    format!("n{node}")
}

fn settings(node: u64) -> ClusterSettings {
    let cluster = Uuid::from_u128(0xE7EBA2);
    let member = |node: u64| Member { api: format!("{}:80", name(node)), peer: format!("{}:7121", name(node)) };
    ClusterSettings {
        identity: Identity { cluster, node, incarnation: Uuid::from_u128(u128::from(node)) },
        members: (1..=3).map(|node| (node, member(node))).collect::<BTreeMap<_, _>>(),
        genesis: Genesis {
            cluster,
            currency: Name::new("IRT").expect("a name"),
            places: 0,
            key_window_ms: 86_400_000,
            keys_max: 1_000_000,
            rules: RULES_VERSION,
            admin_key: KeyHash([7; 32]),
        },
        peer_listen: "0.0.0.0:7121".to_owned(),
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        // So little that the log is purged and snapshots are sent.
        log_bytes: 64 * 1024,
        waiting_max: 16_384,
    }
}

impl Host {
    /// One life of the host, until it crashes.
    pub async fn live(self, boot: u64) -> Result<(), Box<dyn Error>> {
        let disks = MemberDisks { log: Arc::new(self.log.clone()), history: self.history.open("history")? };
        if boot == 0 {
            disks.create().await?;
        }
        let clock = Clock::from_fn(move || {
            let elapsed = turmoil::sim_elapsed().unwrap_or_default();
            1_700_000_000_000 + 300 * self.node + u64::try_from(elapsed.as_millis()).unwrap_or(0)
        });
        let cluster = Cluster::start(settings(self.node), disks, clock).await?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(cluster.clone());
        for client in 0..CLIENTS {
            let place = (self.node << 32) | (boot << 8) | client;
            let client = Client {
                name: format!("n{}.{boot}.{client}", self.node),
                cluster: cluster.clone(),
                story: self.story.clone(),
                dice: Dice::new(self.seed, place),
            };
            spawn(client.run());
        }
        let reason = cluster.failed().await;
        self.story.told().broken.push(format!("member {} stopped itself: {reason}", self.node));
        std::future::pending().await
    }
}

struct Client {
    name: String,
    cluster: Cluster,
    story: Story,
    dice: Dice,
}

impl Client {
    async fn run(mut self) {
        let key = loop {
            // Until the ledger has begun, refusals come at once.
            sleep(Duration::from_millis(20)).await;
            if let Some(key) = self.make_seller().await {
                break key;
            }
        };
        for turn in 0_u64.. {
            sleep(Duration::from_millis(self.dice.between(1, 40))).await;
            if self.dice.below(4) == 0 {
                self.read().await;
            } else {
                self.charge(key, turn).await;
            }
        }
    }

    /// One seller for all clients: whoever comes first makes it, the others get the same answer.
    async fn make_seller(&self) -> Option<KeyNumber> {
        let name = || Name::new("shop").expect("a name");
        let seller = self.submit(ADMIN, "seller", Action::CreateSeller { name: name() }).await?;
        let create = Action::CreateKey { name: name(), grant: Grant::Seller(seller), hash: KeyHash([8; 32]) };
        let key = self.submit(ADMIN, "key", create).await?;
        let amount = Change::new(1_000_000)?;
        self.submit(ADMIN, "credit", Action::Adjust { seller, amount, reason: Note::empty() }).await?;
        Some(key)
    }

    async fn charge(&mut self, actor: KeyNumber, turn: u64) {
        let key = format!("{}.{turn}", self.name);
        let (Some(phone), Some(amount)) = (Phone::new(989_123_456_789), Amount::new(1)) else { return };
        // A client that was not told asks again under the same key, at most twice.
        for _attempt in 0..3 {
            if let Some(record) = self.submit(actor, &key, Action::Charge { phone, amount }).await {
                self.story.acknowledge(&key, record);
                return;
            }
        }
        self.story.told().unknown += 1;
    }

    async fn read(&self) {
        let acknowledged = self.story.told().furthest;
        let deadline = Instant::now() + PATIENCE;
        if self.cluster.read(Consistency::Linearizable, None, deadline).await.is_err() {
            return;
        }
        let seen = self.cluster.replica().state.records();
        let mut told = self.story.told();
        told.reads += 1;
        if seen < acknowledged {
            told.broken.push(format!("{} read {seen} records after {acknowledged} was acknowledged", self.name));
        }
    }

    /// The record that decided it; `None` where it is not known to be decided.
    async fn submit(&self, actor: KeyNumber, key: &str, action: Action) -> Option<u64> {
        let command = Command { actor, idempotency_key: IdempotencyKey::new(key).ok(), action };
        let decisions = self.cluster.submit(vec![command], Instant::now() + PATIENCE).await.ok()?;
        match decisions.outcomes.first() {
            Some(Decided::Accepted { record, .. }) => Some(record.number),
            Some(Decided::Refused(_)) | None => None,
        }
    }
}
