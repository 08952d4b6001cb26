//! What this node holds: the state, the position it reflects, and what is published of them.
//!
//! Invariants: state and position change together, under one lock; only the state machine changes them. Positions,
//! digests and the table of API keys are published after the change that they describe.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use ledger::{Digest, Event, NodeNumber, NodeRegistered, Record, State};
use openraft::type_config::alias::{LogIdOf, StoredMembershipOf};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

use super::api_keys::ApiKeys;
use super::health::Health;
use super::rules::KnownRules;
use super::waits::Waits;
use crate::metrics::instruments::ApplyInstruments;
use crate::raft::peers::link::trust::known_peers::KnownPeers;
use crate::storage::types::TypeConfig;

/// A leader: its term, which is its own, and its number.
pub(crate) type Leader = (u64, NodeNumber);

/// How many recent positions have their digest at hand.
pub(crate) const DIGESTS: usize = 4_096;

/// The state and the position that it reflects; consistent with each other.
pub struct Replica {
    /// All records up to `applied`, replayed.
    pub state: State,
    /// The Raft log index that the state reflects; 0 before the first.
    pub applied: u64,
    pub(crate) log_id: Option<LogIdOf<TypeConfig>>,
    pub(crate) membership: StoredMembershipOf<TypeConfig>,
    /// How many records there were, and their digest, when `applied` was reached: an entry that could not be applied
    /// to its end leaves the state beyond it, which must not become durable or be sent to peers.
    pub(crate) whole: (u64, Digest),
    /// The version of the rules when `applied` was reached.
    pub(crate) rules: u32,
}

impl Replica {
    /// The state and `log_id` belong together from here on.
    pub(crate) fn reach(&mut self, log_id: Option<LogIdOf<TypeConfig>>) {
        self.log_id = log_id;
        self.applied = log_id.map_or(0, |id| id.index);
        self.whole = (self.state.records(), self.state.digest());
        self.rules = self.state.rules();
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replica({} records at {})", self.state.records(), self.applied)
    }
}

/// The replica and what is published of it; one for the node.
#[derive(Debug)]
pub(crate) struct Published {
    replica: RwLock<Replica>,
    digests: Mutex<VecDeque<(u64, Digest)>>,
    api_keys: RwLock<Arc<ApiKeys>>,
    applied: watch::Sender<u64>,
    /// Requests that wait for a position.
    pub(crate) waits: Waits,
    /// What is wrong with this node, where something is.
    pub health: Health,
    /// The highest leader whose entries or heartbeats arrived.
    followed: watch::Sender<Option<Leader>>,
    /// The data directories that the log has bound to node numbers.
    pub known_peers: KnownPeers,
    /// Which rules this node knows.
    pub known_rules: KnownRules,
    /// Counts what is applied.
    pub instruments: ApplyInstruments,
    /// The epoch of the ledger that this node serves.
    epoch: u32,
}

impl Published {
    /// Starts with what was replayed from the pages on disk.
    pub(crate) fn new(
        state: State,
        log_id: Option<LogIdOf<TypeConfig>>,
        membership: StoredMembershipOf<TypeConfig>,
        known_peers: KnownPeers,
        known_rules: KnownRules,
        epoch: u32,
    ) -> Self {
        let mut replica = Replica { state, applied: 0, log_id: None, membership, whole: (0, Digest::ZERO), rules: 0 };
        replica.reach(log_id);
        let published = Self {
            replica: RwLock::new(replica),
            digests: Mutex::default(),
            api_keys: RwLock::default(),
            applied: watch::Sender::new(0),
            waits: Waits::default(),
            health: Health::default(),
            followed: watch::Sender::new(None),
            known_peers,
            known_rules,
            instruments: ApplyInstruments::default(),
            epoch,
        };
        published.publish_all();
        published
    }

    /// The state now. Never held across an await: applying waits for it.
    pub(crate) fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        self.replica.read()
    }

    /// The state, to change; for the state machine alone.
    pub(crate) fn replica_mut(&self) -> RwLockWriteGuard<'_, Replica> {
        self.replica.write()
    }

    /// Replaces the state by one that was replayed from pages; returns the old one.
    pub(crate) fn replace(
        &self,
        state: State,
        membership: StoredMembershipOf<TypeConfig>,
        log_id: Option<LogIdOf<TypeConfig>>,
    ) -> State {
        let before = {
            let mut replica = self.replica_mut();
            let before = std::mem::replace(&mut replica.state, state);
            replica.membership = membership;
            replica.reach(log_id);
            before
        };
        self.publish_all();
        before
    }

    /// Publishes everything of a state that was replayed from pages: at the start, and after it was replaced.
    fn publish_all(&self) {
        let replica = self.replica();
        self.publish_keys(ApiKeys::of(&replica.state));
        // In an earlier epoch the state names the nodes of an older cluster.
        let nodes = replica.state.nodes().filter(|_| replica.state.epoch() == self.epoch);
        let bound = nodes.filter_map(|(number, node)| Some((number, node.incarnation?)));
        self.known_peers.replace(bound);
        let (applied, digest) = (replica.applied, replica.whole.1);
        drop(replica);
        self.publish(applied, digest);
    }

    /// Publishes a position that was just applied.
    pub(crate) fn publish(&self, applied: u64, digest: Digest) {
        let mut digests = self.digests.lock();
        if digests.len() >= DIGESTS {
            digests.pop_front();
        }
        digests.push_back((applied, digest));
        drop(digests);
        self.applied.send_replace(applied);
        self.waits.reach(applied);
    }

    /// The position that was last published, and its digest; never waits for applying.
    pub(crate) fn latest(&self) -> (u64, Digest) {
        let digests = self.digests.lock();
        digests.back().copied().unwrap_or((0, Digest::ZERO))
    }

    /// Publishes what a new record changes of keys and of known peers.
    pub(crate) fn note(&self, state: &State, record: &Record) {
        if let Event::NodeRegistered(NodeRegistered { node, incarnation }) = record.event {
            self.known_peers.add(node, incarnation);
        } else if let Event::EpochBegun(_) = record.event {
            self.known_peers.replace([]);
        }
        for key in record.api_keys().filter_map(|number| state.api_key(number)) {
            self.publish_keys(self.api_keys().with(key));
        }
    }

    fn publish_keys(&self, ring: ApiKeys) {
        *self.api_keys.write() = Arc::new(ring);
    }

    /// All API keys; never waits for applying.
    pub(crate) fn api_keys(&self) -> Arc<ApiKeys> {
        self.api_keys.read().clone()
    }

    /// The digest over everything decided up to `applied`, where that is among the recent positions.
    pub(crate) fn digest_at(&self, applied: u64) -> Option<Digest> {
        let digests = self.digests.lock();
        let found = digests.binary_search_by_key(&applied, |(position, _)| *position).ok()?;
        digests.get(found).map(|(_, digest)| *digest)
    }

    /// Stores whose entries or heartbeats arrived, before Raft processes them.
    pub(crate) fn follow(&self, leader: Leader) {
        self.followed.send_if_modified(|followed| {
            let is_higher = *followed < Some(leader);
            if is_higher {
                *followed = Some(leader);
            }
            is_higher
        });
    }

    /// The highest leader whose entries or heartbeats arrived.
    pub(crate) fn followed(&self) -> Option<Leader> {
        *self.followed.borrow()
    }

    /// The same, to wait for a higher one than there was at this call.
    pub(crate) fn followed_next(&self) -> watch::Receiver<Option<Leader>> {
        self.followed.subscribe()
    }

    /// The position, to read and to wait on; requests wait by [`Waits`].
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }
}
