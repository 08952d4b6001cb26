//! One node of the cluster, as the rest of the program sees it: submits commands, reads the state, reports its status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::{ApiKeyNumber, Command, Digest, NodeNumber, Origin, PageMark, Record, RecordNumber, Time};
use openraft::async_runtime::WatchReceiver;
use parking_lot::RwLockReadGuard;
use tokio::time::{Instant, timeout, timeout_at};

use super::lead::lead;
use super::submitter::submit;
use crate::raft::answers::{
    ClusterError, ClusterStatus, Consistency, LeadError, MemberStatus, ReadError, Readiness, SubmitError, VotingRole,
};
use crate::raft::apply::api_keys::ApiKeys;
use crate::raft::apply::replica::Replica;
use crate::raft::apply::waits::TooManyWait;
use crate::raft::audit::{AuditBehind, AuditProgress, Audited};
use crate::raft::catch_up::snapshot::receive::Received;
use crate::raft::lifecycle::node::Node;
use crate::raft::lifecycle::observation::{Observation, RaftInstruments, observe};
use crate::raft::lifecycle::settings::ClusterSettings;
use crate::raft::lifecycle::start::{start, stop};
use crate::raft::membership::decide::{ChangeError, MembershipChange, change_members};
use crate::raft::membership::fitness::stage;
use crate::raft::reads::backup::{BackupEnd, BackupRefused, BackupStream, back_up};
use crate::raft::reads::gate::ReadCaller;
use crate::raft::reads::position::{position_within_reach, read_position};
use crate::runtime::{Clock, RaftRuntime};
use crate::storage::types::Decisions;
use crate::storage::{History, NodeDisks, StorageError};

/// Longest orderly stop, after the answers in flight. Source: the contract's 5 s for both together.
const SHUTDOWN: Duration = Duration::from_millis(2_500);

/// A running node. Cheap to clone; its threads end with the last clone.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    node: Arc<Node>,
    runtime: RaftRuntime,
}

impl Cluster {
    /// Opens the disks, replays the history, and takes part in the cluster.
    ///
    /// # Errors
    /// Where a setting does not fit, the peer address is taken, or the data is damaged.
    pub async fn start(settings: ClusterSettings, disks: NodeDisks, clock: Clock) -> Result<Self, ClusterError> {
        let runtime =
            RaftRuntime::start().map_err(|error| ClusterError::Setting(format!("no threads for raft: {error}")))?;
        let started = runtime.run(Box::pin(start(settings, disks, clock))).await;
        let node = started.map_err(|unfinished| ClusterError::Raft(unfinished.to_string()))??;
        Ok(Self(Arc::new(Handle { node, runtime })))
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0.node
    }

    /// Decides `commands` (1 to 8,192) as one group in one log entry, in order, wherever the leader is.
    ///
    /// # Errors
    /// See [`SubmitError`]: only one of them may have been done.
    pub async fn submit(&self, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, SubmitError> {
        submit(self.node(), commands, deadline).await
    }

    /// Waits until the state may be read: see [`Consistency`]; in any case until `min_applied`, if given.
    ///
    /// # Errors
    /// Where no leader confirms a position in time, or this replica does not reach it; at once where `min_applied` is
    /// further ahead than this replica could get in time.
    pub async fn read(
        &self,
        consistency: Consistency,
        min_applied: Option<u64>,
        deadline: Instant,
    ) -> Result<(), ReadError> {
        let node = self.node();
        if let Some(requested) = min_applied.filter(|requested| *requested > position_within_reach(node)) {
            return Err(ReadError::Behind { applied: self.applied(), requested });
        }
        let confirmed = match consistency {
            Consistency::Local => 0,
            Consistency::Linearizable => {
                read_position(node, ReadCaller::Known, deadline).await.ok_or(ReadError::NoLeader)?
            }
        };
        self.reach(confirmed.max(min_applied.unwrap_or(0)), deadline).await
    }

    /// Waits until this node knows every API key that was made, anywhere, before this call. For callers whose key is not
    /// known: however many there are, they share one question at a time.
    ///
    /// # Errors
    /// As for a linearizable [`Self::read`].
    pub async fn know_keys(&self, deadline: Instant) -> Result<(), ReadError> {
        let confirmed =
            read_position(self.node(), ReadCaller::UnknownKey, deadline).await.ok_or(ReadError::NoLeader)?;
        self.reach(confirmed, deadline).await
    }

    async fn reach(&self, requested: u64, deadline: Instant) -> Result<(), ReadError> {
        match timeout_at(deadline, self.node().published.waits.reached(requested)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(TooManyWait)) | Err(_) => Err(ReadError::Behind { applied: self.applied(), requested }),
        }
    }

    /// This node's number.
    pub fn node_number(&self) -> NodeNumber {
        self.node().me.node
    }

    /// Changes the members in the name of that API key, wherever the leader is, and waits until that is in effect; returns the
    /// node's number. A change that is in effect already is a success.
    ///
    /// # Errors
    /// See [`ChangeError`]: of some the change may be decided, and is carried out later then.
    pub async fn change_members(
        &self,
        actor: (ApiKeyNumber, Option<Box<Origin>>),
        change: MembershipChange,
        deadline: Instant,
    ) -> Result<NodeNumber, ChangeError> {
        self.read(Consistency::Linearizable, None, deadline).await?;
        change_members(self.node(), actor, change, deadline).await
    }

    /// Has member `to` lead, and returns once this node knows that it does; at once where it does already. Any node takes it.
    ///
    /// # Errors
    /// See [`LeadError`].
    pub async fn lead(&self, to: NodeNumber, deadline: Instant) -> Result<(), LeadError> {
        let begun = Instant::now();
        let node = self.0.node.clone();
        // On Raft's threads, and to its end, also where the caller is gone.
        let led = self.0.runtime.run(Box::pin(async move { lead(&node, to, deadline).await })).await;
        led.unwrap_or_else(|_unfinished| Err(LeadError::OutcomeUnknown { waited: begun.elapsed() }))
    }

    /// The state now. Never held across an await: applying waits for it.
    pub fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        self.node().published.replica()
    }

    /// All API keys; never waits for applying.
    pub fn api_keys(&self) -> Arc<ApiKeys> {
        self.node().published.api_keys()
    }

    /// A record, from memory or from its page (then a blocking read: use a blocking thread for many).
    ///
    /// # Errors
    /// Where there is none of that number, or its page is damaged.
    pub fn record(&self, number: RecordNumber) -> Result<Arc<Record>, StorageError> {
        self.history(|history| history.record(number))
    }

    /// What stands before a page; blocks where the page is old.
    ///
    /// # Errors
    /// Where there is no such page, or it is damaged.
    pub fn page_mark(&self, page: u64) -> Result<PageMark, StorageError> {
        self.history(|history| history.mark(page))
    }

    /// The first record that may be at or after `time`: all before it are earlier. Blocks.
    ///
    /// # Errors
    /// Where a page is damaged.
    pub fn record_from(&self, time: Time) -> Result<RecordNumber, StorageError> {
        self.history(|history| history.record_from(time))
    }

    /// Reads records or lists of them, from memory or from the disk (then it blocks: use a blocking thread).
    ///
    /// # Errors
    /// Where what is read is damaged, or there is no such record.
    pub fn history<T>(&self, read: impl FnOnce(&History) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let node = self.node();
        read(&node.history).inspect_err(|error| {
            // A node that finds damage stops: what else is damaged is not known.
            if matches!(error, StorageError::Damaged { .. }) {
                node.published.health.fail(format!("the history could not be read: {error}"));
            }
        })
    }

    /// A backup of the records up to `end`, for whoever has the first `after` of them; they are durable here by then.
    ///
    /// # Errors
    /// Where there is no such end, or this node has not come so far in time.
    pub async fn backup(&self, end: BackupEnd, after: u64, deadline: Instant) -> Result<BackupStream, BackupRefused> {
        back_up(self.0.node.clone(), end, after, deadline).await
    }

    /// The digest over everything decided up to `applied`, where that is among the last 4,096 positions.
    pub fn digest_at(&self, applied: u64) -> Option<Digest> {
        self.node().published.digest_at(applied)
    }

    /// The last position that was audited here, once that covers entry `min_entry`; 0 waits for nothing.
    ///
    /// # Errors
    /// Where the audit does not come there in time.
    pub async fn audited(&self, min_entry: u64, deadline: Instant) -> Result<Arc<Audited>, AuditBehind> {
        self.node().audits.covering(min_entry, deadline).await
    }

    /// The epoch of the ledger that this node serves.
    pub fn epoch(&self) -> u32 {
        self.node().me.epoch
    }

    /// How far the audit of this node's records has come.
    pub fn audit_progress(&self) -> AuditProgress {
        self.node().audits.progress()
    }

    /// The cluster as this node sees it now.
    pub fn status(&self) -> ClusterStatus {
        let node = self.node();
        let applied = node.published.applied().borrow().to_owned();
        let furthest = node.peer_table.furthest().max(applied);
        let voters: BTreeSet<u64> = node.raft.voter_ids().collect();
        let describe = |(id, addresses): (u64, crate::storage::NodeAddresses)| {
            let (healthy, applied, rules) = if id == node.me.node {
                // Of its own audit a node tells no peer: all have the same records, and nobody would be left to lead.
                let unhealthy = node.unhealthy_reason().or_else(|| node.audits.fault().map(str::to_owned));
                (unhealthy.is_none(), Some(applied), Some(node.me.build.rules))
            } else {
                let status = node.peer_table.status(id);
                let healthy = status.as_ref().is_some_and(|status| status.healthy);
                (healthy, status.as_ref().map(|status| status.applied), status.map(|status| status.rules))
            };
            let build = if id == node.me.node { Some(node.me.build.name) } else { node.trust.builds.of(id) };
            let role = if voters.contains(&id) { VotingRole::Voter } else { VotingRole::Learner };
            MemberStatus {
                id,
                api: addresses.api,
                peer: addresses.peer,
                role,
                stage: stage(node, id, role),
                healthy,
                applied,
                lag: applied.map(|applied| furthest.saturating_sub(applied)),
                rules,
                build,
            }
        };
        let term = node.raft.metrics().borrow_watched().current_term;
        let members = node.members().into_iter().map(describe).collect();
        let clock = node.clock_guard.judged().health();
        let rules = node.published.replica().rules;
        ClusterStatus { node: node.me.node, leader: node.leader.alive(), term, applied, rules, members, clock }
    }

    /// What operators see of this node, all of it as of now. Reads the file system.
    pub fn observe(&self) -> Observation {
        observe(self.node(), self.status())
    }

    /// What counts in this node.
    pub fn instruments(&self) -> RaftInstruments {
        let node = self.node();
        RaftInstruments {
            log: node.log.instruments(),
            apply: node.published.instruments.clone(),
            node: node.instruments.clone(),
        }
    }

    /// The position that the state here reflects. Cheaper than [`Self::status`].
    pub fn applied(&self) -> u64 {
        *self.node().published.applied().borrow()
    }

    /// Where this node takes ledger time to be; before it received it, 0, which every record is after.
    pub fn ledger_time(&self) -> Time {
        self.node().clock_guard.ledger_time().map_or(Time(0), |time| Time(time.ms))
    }

    /// The leader that this node knows. Cheaper than [`Self::status`].
    pub fn leader(&self) -> Option<u64> {
        self.node().leader.alive()
    }

    /// The position up to which this node's log was purged; 0 where it never was.
    pub fn log_begins_after(&self) -> u64 {
        self.node().raft.data_metrics().borrow_watched().purged.map_or(0, |purged| purged.index)
    }

    /// What other nodes sent this one of the history since its start.
    pub fn received(&self) -> Received {
        self.node().receiver.received()
    }

    /// Bytes that this node's log takes on its file system; 0 where that cannot be measured. Reads the file system.
    pub fn log_bytes_on_disk(&self) -> u64 {
        let bytes = self.node().log.bytes_on_disk();
        bytes.inspect_err(|error| tracing::warn!(%error, "log not measured")).unwrap_or(0)
    }

    /// Sets whether the disk is `full`: while it is, nothing new is proposed here.
    pub fn set_disk_full(&self, full: bool) {
        if self.node().published.health.set_disk_full(full) {
            if full {
                tracing::warn!("the disk has no room for more records: they are refused until there is");
            } else {
                tracing::info!("the disk has room for records again");
            }
        }
    }

    /// Whether the disk was last found without room for more records.
    pub fn is_disk_full(&self) -> bool {
        self.node().published.health.is_disk_full()
    }

    /// What `/readyz` is made of.
    pub fn readiness(&self) -> Readiness {
        let node = self.node();
        let applied = *node.published.applied().borrow();
        let is_voter = node.raft.voter_ids().any(|id| id == node.me.node);
        Readiness {
            recovered: node.recovered.load(Ordering::Acquire),
            leader: node.leader.alive(),
            lag: node.peer_table.furthest().saturating_sub(applied),
            role: if is_voter { VotingRole::Voter } else { VotingRole::Learner },
            clock: node.clock_guard.judged().health(),
            failure: node.published.health.failure().borrow().clone(),
            disk_stalled: node.published.health.is_disk_stalled(),
        }
    }

    /// Waits until the node has stopped itself, and returns the reason. Never returns while it is healthy.
    pub async fn failed(&self) -> String {
        let mut failure = self.node().published.health.failure();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_gone) => std::future::pending().await,
        }
    }

    /// Hands leadership over, writes a checkpoint, and stops; within 5 s. Give it no more commands.
    pub async fn shutdown(&self) {
        let node = self.0.node.clone();
        match self.0.runtime.run(timeout(SHUTDOWN, stop(node))).await {
            Ok(Ok(())) => tracing::info!("node stopped"),
            Ok(Err(_elapsed)) => tracing::warn!("node did not stop in time; what it acknowledged is safe"),
            Err(unfinished) => tracing::warn!(%unfinished, "node did not stop cleanly; what it acknowledged is safe"),
        }
    }
}
