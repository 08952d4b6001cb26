//! One entry for many: takes the groups that wait, proposes them as one log entry, and answers each.
//!
//! Invariants: one entry is in flight; a group stays whole and in one entry; what is refused here was never proposed.
//! No fixed delay: alone, a group goes at once. Under load entries grow: while one is in flight, and by [`LINGER`] after one
//! that many callers shared.

mod group;
mod idempotency_budget;
mod lanes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ledger::{Command, NodeNumber, Time};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::group::{ENTRY_COMMANDS, GIVEN_UP, GROUP_BYTES, Group, WAITING};
use self::idempotency_budget::IdempotencyBudget;
use self::lanes::Lanes;
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::apply::replica::Published;
use crate::raft::ledger_time::ClockGuard;
use crate::raft::peers::link::message::{Commands, Unavailable};
use crate::runtime;
use crate::storage::LogStore;
use crate::storage::format::{Kind, codec};
use crate::storage::types::{Decisions, Payload};

/// Longest wait of one entry for the log to be purged: with 1 MiB an entry, slower than any purge.
const CROWDED_WAIT: Duration = Duration::from_millis(200);
/// Longest wait of one entry for the disk here to catch up. Source: longer than it takes a disk to count as stalled.
const BEHIND_WAIT: Duration = Duration::from_secs(1);
/// How often it checks whether it still has to wait.
const CROWDED_LOOK: Duration = Duration::from_millis(2);

/// Groups in an entry from which on the next one waits for more. Source: with fewer callers nothing was gained.
const LINGER_GROUPS: usize = 12;
/// How long it waits: the callers who were just answered ask again meanwhile, and then share one entry instead of several, each
/// of which costs the nodes as much processor time as a dozen charges. A tick of the timer; a second one may be added to it.
const LINGER: Duration = Duration::from_millis(1);
/// How long after such an entry the next one still waits; a charge that comes later is a lone one.
const LINGER_WITHIN: Duration = Duration::from_millis(20);

/// Longest wait of a new leader for the others' clocks, where it has not received ledger time. Source: the longest wait for a
/// peer's status.
const CLOCKS_WAIT: Duration = Duration::from_secs(1);

/// How often a leader that has not applied its whole log checks it again.
const APPLIED_LOOK: Duration = Duration::from_millis(20);

/// Puts groups of commands into the log of a leader. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Proposer {
    queue: mpsc::UnboundedSender<Group>,
    published: Arc<Published>,
    room: Arc<Semaphore>,
    /// Permits of `room` where nothing waits.
    waiting_max: usize,
    /// Entries that came to an end, one way or the other.
    ended: Arc<AtomicU64>,
}

/// A group that is in an entry.
struct Proposed {
    count: usize,
    answer: oneshot::Sender<Result<Decisions, Unavailable>>,
}

impl Proposed {
    fn answer(self, outcome: Result<Decisions, Unavailable>) {
        // A caller that stopped waiting was answered that the outcome is unknown.
        drop(self.answer.send(outcome));
    }
}

impl Proposer {
    /// Starts the task that proposes; at most `waiting_max` commands wait for it.
    pub(crate) fn start(
        raft: EtebarRaft,
        log: LogStore,
        published: Arc<Published>,
        clock_guard: Arc<ClockGuard>,
        waiting_max: usize,
    ) -> Self {
        let (queue, groups) = mpsc::unbounded_channel();
        let waiting_max = waiting_max.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(waiting_max));
        let ended = Arc::new(AtomicU64::new(0));
        let proposing = Proposing { raft, log, published: published.clone(), clock_guard, ended: ended.clone() };
        runtime::spawn_vital("proposer", run(proposing, groups));
        Self { queue, published, room, waiting_max, ended }
    }

    /// Commands that wait here to be proposed, and the most that may.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting_max.saturating_sub(self.room.available_permits()), self.waiting_max)
    }

    /// Proposes `commands` on this node, which should lead, and waits for their decisions.
    pub(crate) async fn propose(&self, commands: Commands, deadline: Instant) -> Result<Decisions, Unavailable> {
        if self.published.health.is_disk_full() {
            return Err(Unavailable::DiskFull);
        }
        let bytes = commands.iter().map(Command::weight).sum();
        if commands.len() > ENTRY_COMMANDS || bytes > GROUP_BYTES {
            return Err(Unavailable::Overloaded("the commands do not fit one log entry".into()));
        }
        let full = || Unavailable::Overloaded("the queue of commands is full".into());
        let count = u32::try_from(commands.len()).map_err(|_large| full())?;
        let held = self.room.clone().try_acquire_many_owned(count).map_err(|_full| full())?;
        let stage = Arc::new(AtomicU8::new(WAITING));
        let (answer, answered) = oneshot::channel();
        let ended_before = self.ended.load(Ordering::Acquire);
        let group = Group { commands, bytes, _held: held, stage: stage.clone(), answer };
        if self.queue.send(group).is_err() {
            return Err(Unavailable::NotLeader(None));
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(Unavailable::Unknown),
            Err(_elapsed) => {
                let is_unproposed =
                    stage.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok();
                match is_unproposed {
                    // Not one entry came to an end while it waited: there is no quorum, not too much work.
                    true if self.ended.load(Ordering::Acquire) == ended_before => Err(Unavailable::NotLeader(None)),
                    true => Err(full()),
                    false => Err(Unavailable::Unknown),
                }
            }
        }
    }
}

struct Proposing {
    raft: EtebarRaft,
    log: LogStore,
    published: Arc<Published>,
    clock_guard: Arc<ClockGuard>,
    ended: Arc<AtomicU64>,
}

async fn run(proposing: Proposing, mut queue: mpsc::UnboundedReceiver<Group>) {
    let mut lanes = Lanes::default();
    // When the last entry ended, where many callers shared it.
    let mut shared: Option<Instant> = None;
    loop {
        if lanes.is_empty() {
            let Some(group) = queue.recv().await else { return };
            lanes.push(group);
        }
        if shared.is_some_and(|ended| ended.elapsed() <= LINGER_WITHIN) {
            sleep(LINGER).await;
        }
        proposing.wait_for_purge().await;
        proposing.wait_for_disk().await;
        proposing.wait_for_apply().await;
        proposing.wait_for_clocks().await;
        while let Ok(group) = queue.try_recv() {
            lanes.push(group);
        }
        let groups = lanes.next_entry();
        let is_shared = groups.len() >= LINGER_GROUPS;
        proposing.propose(groups).await;
        shared = is_shared.then(Instant::now);
        proposing.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// A [`crate::raft::apply::machine::CommandBatch`] made of borrowed commands; the same bytes.
#[derive(Serialize)]
struct CommandBatchRef<'a> {
    stamp: Time,
    commands: Vec<&'a Command>,
}

impl Proposing {
    /// Waits a bounded while where the log grows faster than it is purged, so that its folder stays under its bound.
    async fn wait_for_purge(&self) {
        let until = Instant::now() + CROWDED_WAIT;
        while self.published.health.is_log_crowded() && Instant::now() < until {
            sleep(CROWDED_LOOK).await;
        }
    }

    /// Waits a bounded while where the disk here is far behind: the others may do without it, but Raft stalls where
    /// the writer's queue is full, and then cannot give leadership up.
    async fn wait_for_disk(&self) {
        let until = Instant::now() + BEHIND_WAIT;
        while self.log.is_behind() && !self.published.health.is_disk_stalled() && Instant::now() < until {
            sleep(CROWDED_LOOK).await;
        }
    }

    /// Waits until the state here reflects the whole log: a new leader has entries that it has not applied, and their
    /// idempotency keys count against the bound too. A caller that gives up meanwhile was certainly not proposed.
    async fn wait_for_apply(&self) {
        let mut applied = self.published.applied();
        while self.log.last().is_some_and(|last| last.index > *applied.borrow_and_update()) {
            // The log may also lose its end; so it is looked at again in any case.
            if let Ok(Err(_gone)) = timeout(APPLIED_LOOK, applied.changed()).await {
                return;
            }
        }
    }

    /// Waits a bounded while where this node leads after a start and has not received ledger time: one clock alone is not
    /// to be trusted. A caller that gives up meanwhile was certainly not proposed.
    async fn wait_for_clocks(&self) {
        let until = Instant::now() + CLOCKS_WAIT;
        while !self.clock_guard.is_ready() && self.leads_in().is_ok() && Instant::now() < until {
            sleep(APPLIED_LOOK).await;
        }
    }

    /// The term in which Raft here takes this node for the leader, or else whom it takes for the leader.
    fn leads_in(&self) -> Result<u64, Option<NodeNumber>> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        match metrics.state {
            ServerState::Leader => Ok(metrics.vote.leader_id.term),
            ServerState::Learner | ServerState::Follower | ServerState::Candidate | ServerState::Shutdown => {
                Err(metrics.current_leader)
            }
        }
    }

    async fn propose(&self, groups: Vec<Group>) {
        let term = match self.leads_in() {
            Ok(term) => term,
            Err(leader) => {
                let not_proposed = Unavailable::NotLeader(leader);
                return groups.into_iter().for_each(|group| drop(group.answer.send(Err(not_proposed.clone()))));
            }
        };
        let time = self.published.replica().state.time();
        let stamp = self.clock_guard.stamp(term, time);
        let groups = self.with_room_for_keys(groups, stamp);
        if groups.is_empty() {
            return;
        }
        let commands = groups.iter().flat_map(|group| group.commands.iter()).collect();
        let encoded = codec::encode(Kind::Commands, &CommandBatchRef { stamp, commands });
        let proposed: Vec<Proposed> =
            groups.into_iter().map(|group| Proposed { count: group.commands.len(), answer: group.answer }).collect();
        match encoded {
            Ok(bytes) => self.write(Payload(bytes.into()), proposed).await,
            Err(error) => {
                tracing::error!(%error, "entry not encoded");
                answer_all(proposed, &Unavailable::Overloaded("the commands do not fit one log entry".into()));
            }
        }
    }

    /// Refuses the groups whose new idempotency keys have no room, and drops those whose callers are gone.
    fn with_room_for_keys(&self, groups: Vec<Group>, stamp: Time) -> Vec<Group> {
        let replica = self.published.replica();
        let keyed = |group: &Group| group.commands.iter().filter(|command| command.idempotency_key.is_some()).count();
        let most = groups.iter().map(keyed).sum::<usize>() as u64;
        let Some(mut budget) = IdempotencyBudget::where_scarce(&replica.state, stamp, most) else {
            return groups.into_iter().filter(Group::take).collect();
        };
        let mut fitting = Vec::with_capacity(groups.len());
        for group in groups {
            match budget.check(&group.commands) {
                Err(full) => drop(group.answer.send(Err(Unavailable::Overloaded(full.to_string())))),
                Ok(new) if group.take() => {
                    budget.spend(new);
                    fitting.push(group);
                }
                Ok(_) => {}
            }
        }
        fitting
    }

    async fn write(&self, payload: Payload, groups: Vec<Proposed>) {
        match self.raft.client_write(payload).await {
            Ok(written) => {
                let Decisions { position, outcomes } = written.data;
                let mut outcomes = outcomes.into_iter();
                for group in groups {
                    let outcomes = outcomes.by_ref().take(group.count).collect();
                    group.answer(Ok(Decisions { position, outcomes }));
                }
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                answer_all(groups, &Unavailable::NotLeader(forward.leader_id));
            }
            // Discarded, stopped: it may be in the log of others.
            Err(error) => {
                tracing::debug!(%error, "entry without an outcome");
                answer_all(groups, &Unavailable::Unknown);
            }
        }
    }
}

fn answer_all(groups: Vec<Proposed>, outcome: &Unavailable) {
    for group in groups {
        group.answer(Err(outcome.clone()));
    }
}
