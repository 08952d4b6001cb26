//! One member of the cluster, as the rest of the node sees it: submit commands, read the state, ask how things stand.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use ledger::{Command, Digest, Record, RecordNumber, Time};
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, timeout, timeout_at};

use super::read_gate::Reader;
use super::reads::{position_within_reach, read_position};
use super::submitter::submit;
use crate::raft::answers::{
    ClusterError, ClusterStatus, Consistency, MemberStatus, ReadError, Readiness, Role, SubmitError,
};
use crate::raft::apply::key_ring::KeyRing;
use crate::raft::apply::replica::Replica;
use crate::raft::apply::waits::TooManyWait;
use crate::raft::lifecycle::member::Member;
use crate::raft::lifecycle::settings::ClusterSettings;
use crate::raft::lifecycle::start::{start, stop};
use crate::raft::peers::membership::{Change, ChangeError, change_members};
use crate::runtime::{Clock, Room};
use crate::storage::types::Decisions;
use crate::storage::{MemberDisks, StorageError};

/// Longest orderly stop, after the answers in flight. Source: the contract's 5 s for both together.
const SHUTDOWN: Duration = Duration::from_millis(2_500);

/// A running member. Cheap to clone; its threads end with the last clone.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    member: Arc<Member>,
    room: Room,
}

impl Cluster {
    /// Opens what the disks hold, folds the history, and takes part in the cluster.
    ///
    /// # Errors
    /// Where a setting does not fit, the peer address is taken, or the data is damaged.
    pub async fn start(settings: ClusterSettings, disks: MemberDisks, clock: Clock) -> Result<Self, ClusterError> {
        let room = Room::start().map_err(|error| ClusterError::Setting(format!("no threads for raft: {error}")))?;
        let started = room.run(start(settings, disks, clock)).await;
        let member = started.map_err(|unfinished| ClusterError::Raft(unfinished.to_string()))??;
        Ok(Self(Arc::new(Handle { member, room })))
    }

    pub(crate) fn member(&self) -> &Member {
        &self.0.member
    }

    /// Decides `commands` (1 to 8,192) as one group in one log entry, in order, wherever the leader is.
    ///
    /// # Errors
    /// See [`SubmitError`]: only one of them may have been done.
    pub async fn submit(&self, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, SubmitError> {
        submit(self.member(), commands, deadline).await
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
        let member = self.member();
        if let Some(wanted) = min_applied.filter(|wanted| *wanted > position_within_reach(member)) {
            return Err(ReadError::Behind { applied: self.applied(), wanted });
        }
        let confirmed = match consistency {
            Consistency::Local => 0,
            Consistency::Linearizable => {
                read_position(member, Reader::Known, deadline).await.ok_or(ReadError::NoLeader)?
            }
        };
        self.reach(confirmed.max(min_applied.unwrap_or(0)), deadline).await
    }

    /// Waits until this member knows every API key that was made, anywhere, before this call. For callers whose key is not
    /// known: however many there are, they share one question at a time.
    ///
    /// # Errors
    /// As for a linearizable [`Self::read`].
    pub async fn know_keys(&self, deadline: Instant) -> Result<(), ReadError> {
        let confirmed = read_position(self.member(), Reader::Stranger, deadline).await.ok_or(ReadError::NoLeader)?;
        self.reach(confirmed, deadline).await
    }

    async fn reach(&self, wanted: u64, deadline: Instant) -> Result<(), ReadError> {
        match timeout_at(deadline, self.member().shared.waits.reached(wanted)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(TooManyWait)) | Err(_) => Err(ReadError::Behind { applied: self.applied(), wanted }),
        }
    }

    /// Changes the members, where this member leads. What is as wanted already is a success.
    ///
    /// # Errors
    /// See [`ChangeError`]: only one of them may have changed anything.
    pub async fn change_members(&self, change: Change, deadline: Instant) -> Result<(), ChangeError> {
        change_members(self.member(), change, deadline).await
    }

    /// The state now. Never held across an await: applying waits for it.
    pub fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        self.member().shared.replica()
    }

    /// All API keys; never waits for applying.
    pub fn key_ring(&self) -> Arc<KeyRing> {
        self.member().shared.key_ring()
    }

    /// A record, from memory or from its page (then a blocking read: use a blocking thread for many).
    ///
    /// # Errors
    /// Where there is none of that number, or its page is damaged.
    pub fn record(&self, number: RecordNumber) -> Result<Arc<Record>, StorageError> {
        let member = self.member();
        member.history.record(number).inspect_err(|error| {
            // Whoever finds damage serves no more: what else is damaged is not known.
            if matches!(error, StorageError::Damaged { .. }) {
                member.shared.health.fail(format!("a record could not be read: {error}"));
            }
        })
    }

    /// The digest over everything decided up to `applied`, where that is among the last 4,096 positions.
    pub fn digest_at(&self, applied: u64) -> Option<Digest> {
        self.member().shared.digest_at(applied)
    }

    /// The cluster as this member sees it now.
    pub fn status(&self) -> ClusterStatus {
        let member = self.member();
        let applied = member.shared.applied().borrow().to_owned();
        let furthest = member.neighbours.furthest().max(applied);
        let voters: BTreeSet<u64> = member.raft.voter_ids().collect();
        let describe = |(id, addresses): (u64, crate::storage::Member)| {
            let (healthy, applied) = if id == member.me.node {
                (member.ailment().is_none(), Some(applied))
            } else {
                let heard = member.neighbours.heard(id);
                (heard.as_ref().is_some_and(|heard| heard.healthy), heard.map(|heard| heard.applied))
            };
            MemberStatus {
                id,
                api: addresses.api,
                peer: addresses.peer,
                role: if voters.contains(&id) { Role::Voter } else { Role::Learner },
                healthy,
                applied,
                lag: applied.map(|applied| furthest.saturating_sub(applied)),
            }
        };
        let term = member.raft.metrics().borrow_watched().current_term;
        let members = member.members().into_iter().map(describe).collect();
        ClusterStatus { node: member.me.node, leader: member.leader.alive(), term, applied, members }
    }

    /// The position that the state here reflects. Cheaper than [`Self::status`].
    pub fn applied(&self) -> u64 {
        *self.member().shared.applied().borrow()
    }

    /// Where this member takes ledger time to be; before it heard of it, the beginning, which every record is after.
    pub fn ledger_time(&self) -> Time {
        self.member().stamps.told().map_or(Time(0), |told| Time(told.ms))
    }

    /// The leader that this member knows. Cheaper than [`Self::status`].
    pub fn leader(&self) -> Option<u64> {
        self.member().leader.alive()
    }

    /// The position up to which this member's log was purged; 0 where it never was.
    pub fn log_begins_after(&self) -> u64 {
        self.member().raft.data_metrics().borrow_watched().purged.map_or(0, |purged| purged.index)
    }

    /// Bytes that this member's log takes on its file system; 0 where that cannot be told. Reads the file system.
    pub fn log_bytes_on_disk(&self) -> u64 {
        let bytes = self.member().log.bytes_on_disk();
        bytes.inspect_err(|error| tracing::warn!(%error, "log not measured")).unwrap_or(0)
    }

    /// Tells the member how much room its disk has: while it is `full`, nothing new is proposed here.
    pub fn set_disk_full(&self, full: bool) {
        if self.member().shared.health.set_disk_full(full) {
            if full {
                tracing::warn!("the disk has no room for more records: they are refused until there is");
            } else {
                tracing::info!("the disk has room for records again");
            }
        }
    }

    /// Whether the disk was last found without room for more records.
    pub fn is_disk_full(&self) -> bool {
        self.member().shared.health.is_disk_full()
    }

    /// What `/readyz` is made of.
    pub fn readiness(&self) -> Readiness {
        let member = self.member();
        let applied = *member.shared.applied().borrow();
        let is_voter = member.raft.voter_ids().any(|node| node == member.me.node);
        Readiness {
            recovered: member.recovered.load(Ordering::Acquire),
            leader: member.leader.alive(),
            lag: member.neighbours.furthest().saturating_sub(applied),
            role: if is_voter { Role::Voter } else { Role::Learner },
            failure: member.shared.health.failure().borrow().clone(),
            disk_stalled: member.shared.health.is_disk_stalled(),
        }
    }

    /// Waits until the member has stopped itself, and says why. Pending for ever while all is well.
    pub async fn failed(&self) -> String {
        let mut failure = self.member().shared.health.failure();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_gone) => std::future::pending().await,
        }
    }

    /// Hands leadership over, writes a checkpoint, and stops; within 5 s. Give it no more commands.
    pub async fn shutdown(&self) {
        let member = self.0.member.clone();
        match self.0.room.run(timeout(SHUTDOWN, stop(member))).await {
            Ok(Ok(())) => tracing::info!("member stopped"),
            Ok(Err(_elapsed)) => tracing::warn!("member did not stop in time; what it acknowledged is safe"),
            Err(unfinished) => tracing::warn!(%unfinished, "member did not stop well; what it acknowledged is safe"),
        }
    }
}
