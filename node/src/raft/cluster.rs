//! One member of the cluster, as the rest of the node sees it: submit commands, read the state, ask how things stand.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use ledger::{Command, Digest, Record, RecordNumber, State};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use openraft::{Raft, ServerState};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::answers::{ClusterError, ClusterStatus, Consistency, MemberStatus, ReadError, Readiness, Role, SubmitError};
use super::checkpoint::Checkpointer;
use super::duties;
use super::key_ring::KeyRing;
use super::link::call::CallError;
use super::link::hello::Acquaintances;
use super::link::message::{Request, Response};
use super::link::serve::serve;
use super::machine::{EtebarRaft, Machine, fold_into};
use super::member::Member;
use super::neighbours::Neighbours;
use super::network::{Links, Network};
use super::proposer::Proposer;
use super::read::ReadGate;
use super::replica::{Replica, Shared};
use super::settings::ClusterSettings;
use super::snapshot::{SnapshotReceiver, SnapshotSender};
use super::stamps::Stamps;
use super::submit::millis_until;
use crate::runtime::net::TcpListener;
use crate::runtime::{self, Clock, Room};
use crate::storage::disk::open_sled;
use crate::storage::types::Decisions;
use crate::storage::{Disk, Disks, History, LogSettings, LogStore, LogWriter, SledDisks, StorageError};

/// Longest orderly stop, after the answers in flight. Source: the contract's 5 s for both together.
const SHUTDOWN: Duration = Duration::from_millis(2_500);
/// Longest wait for another member to take the leadership over, within that.
const HAND_OVER: Duration = Duration::from_millis(1_500);
/// Pause before a leader that could not confirm a read is asked again.
const READ_PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for one confirmation from a leader elsewhere.
const READ_ATTEMPT: Duration = Duration::from_millis(2_000);
/// sled's page cache, in bytes: of one generation of the log, and of the history.
const LOG_CACHE: u64 = 8 * 1024 * 1024;
const HISTORY_CACHE: u64 = 32 * 1024 * 1024;

/// The disks of a member.
#[derive(Debug, Clone)]
pub struct MemberDisks {
    /// The generations of the log.
    pub log: Arc<dyn Disks>,
    /// The history.
    pub history: Arc<dyn Disk>,
}

impl MemberDisks {
    /// The folders of a data directory that this keeps; `init` makes them, [`Self::create`] fills them.
    pub const FOLDERS: [&'static str; 2] = ["log", "history"];

    /// Opens the disks in a data directory.
    ///
    /// # Errors
    /// Where the disk fails or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, StorageError> {
        let [log, history] = Self::FOLDERS.map(|folder| data_dir.join(folder));
        Ok(Self { log: Arc::new(SledDisks::new(log, LOG_CACHE)), history: open_sled(&history, HISTORY_CACHE)? })
    }

    /// Makes an empty log and an empty history that survive a power cut.
    ///
    /// # Errors
    /// Where there is one already, or the disk fails.
    pub async fn create(&self) -> Result<(), StorageError> {
        History::create(&*self.history).await?;
        LogStore::create(&*self.log).await
    }
}

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

    fn member(&self) -> &Member {
        &self.0.member
    }

    /// Decides `commands` (1 to 8,192) as one group in one log entry, in order, wherever the leader is.
    ///
    /// # Errors
    /// See [`SubmitError`]: only one of them may have been done.
    pub async fn submit(&self, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, SubmitError> {
        self.member().submit(commands, deadline).await
    }

    /// Waits until the state may be read: see [`Consistency`]; in any case until `min_applied`, if given.
    ///
    /// # Errors
    /// Where no leader confirms a position in time, or this replica does not reach it.
    pub async fn read(
        &self,
        consistency: Consistency,
        min_applied: Option<u64>,
        deadline: Instant,
    ) -> Result<(), ReadError> {
        let confirmed = match consistency {
            Consistency::Local => 0,
            Consistency::Linearizable => self.member().read_position(deadline).await.ok_or(ReadError::NoLeader)?,
        };
        let wanted = confirmed.max(min_applied.unwrap_or(0));
        let mut applied = self.member().shared.applied();
        let reached = timeout_at(deadline, applied.wait_for(|applied| *applied >= wanted)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ReadError::Behind { applied: self.replica().applied, wanted }),
        }
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
                member.shared.fail(format!("a record could not be read: {error}"));
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
                (member.shared.failure().borrow().is_none(), Some(applied))
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
        ClusterStatus { node: member.me.node, leader: member.heard_leader(), term, applied, members }
    }

    /// The position that the state here reflects. Cheaper than [`Self::status`].
    pub fn applied(&self) -> u64 {
        *self.member().shared.applied().borrow()
    }

    /// The leader that this member knows. Cheaper than [`Self::status`].
    pub fn leader(&self) -> Option<u64> {
        self.member().heard_leader()
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

    /// What `/readyz` is made of.
    pub fn readiness(&self) -> Readiness {
        let member = self.member();
        let applied = *member.shared.applied().borrow();
        let is_voter = member.raft.voter_ids().any(|node| node == member.me.node);
        Readiness {
            recovered: member.recovered.load(Ordering::Acquire),
            leader: member.heard_leader(),
            lag: member.neighbours.furthest().saturating_sub(applied),
            role: if is_voter { Role::Voter } else { Role::Learner },
            failure: member.shared.failure().borrow().clone(),
        }
    }

    /// Waits until the member has stopped itself, and says why. Pending for ever while all is well.
    pub async fn failed(&self) -> String {
        let mut failure = self.member().shared.failure();
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

impl Member {
    /// A position that includes everything acknowledged anywhere before this call.
    async fn read_position(&self, deadline: Instant) -> Option<u64> {
        loop {
            let position = match self.leader() {
                None => None,
                Some(leader) if leader == self.me.node => self.reads.position(deadline).await,
                Some(leader) => self.ask_position(leader, deadline).await,
            };
            if position.is_some() {
                return position;
            }
            if Instant::now() + READ_PAUSE >= deadline {
                return None;
            }
            sleep(READ_PAUSE).await;
        }
    }

    async fn ask_position(&self, leader: u64, deadline: Instant) -> Option<u64> {
        let links = self.links_to(leader)?;
        let deadline = deadline.min(Instant::now() + READ_ATTEMPT);
        let request = Request::ReadPosition { wait_ms: millis_until(deadline) };
        match links.control.call(request, deadline).await {
            Ok(Response::ReadPosition(position)) => position,
            Ok(_) | Err(CallError::NotSent(_) | CallError::NoAnswer) => None,
        }
    }
}

async fn start(settings: ClusterSettings, disks: MemberDisks, clock: Clock) -> Result<Arc<Member>, ClusterError> {
    let config = Arc::new(settings.raft_config()?);
    let listener = TcpListener::bind(&settings.peer_listen)
        .await
        .map_err(|source| ClusterError::Listen { address: settings.peer_listen.clone(), source })?;
    let log_settings = LogSettings::for_log_bytes(settings.log_bytes);
    let opened = runtime::blocking(move || open(&disks, log_settings)).await;
    let Opened { log, writer, history, state } = opened.map_err(damaged)??;
    let me = settings.identity;
    let acquaintances = Acquaintances::default();
    let checkpoint = history.checkpoint();
    let shared = Arc::new(Shared::new(state, checkpoint.applied, checkpoint.membership, acquaintances.clone()));
    run_writer(writer, shared.clone())?;
    let checkpoints = Checkpointer::new(shared.clone(), history.clone(), log.clone());
    let machine = Machine::new(shared.clone(), history.clone(), checkpoints.clone());
    let links = Links::new(me, acquaintances.clone());
    let sender = SnapshotSender::new(shared.clone(), history.clone());
    let network = Network::new(links.clone(), sender, settings.answer_within());
    let raft = Raft::new(me.node, config, network, log.clone(), machine)
        .await
        .map_err(|fatal| ClusterError::Raft(fatal.to_string()))?;

    let stamps = Arc::new(Stamps::new(clock.clone()));
    let member = Arc::new(Member {
        me,
        proposer: Proposer::start(raft.clone(), shared.clone(), stamps.clone(), settings.waiting_max),
        reads: ReadGate::start(raft.clone()),
        receiver: SnapshotReceiver::new(shared.clone(), history.clone(), checkpoints.clone()),
        settings,
        clock,
        stamps,
        shared,
        history,
        log,
        checkpoints,
        raft,
        links,
        neighbours: Neighbours::default(),
        recovered: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
    });
    runtime::spawn_vital("peer listener", serve(listener, me, acquaintances, member.clone()));
    initialise(&member.raft, &member.settings).await?;
    duties::start(&member);
    Ok(member)
}

struct Opened {
    log: LogStore,
    writer: LogWriter,
    history: Arc<History>,
    state: State,
}

/// Blocks: reads the whole log and folds the whole history.
fn open(disks: &MemberDisks, settings: LogSettings) -> Result<Opened, StorageError> {
    let (log, writer) = LogStore::open(disks.log.clone(), settings)?;
    let history = Arc::new(History::open(disks.history.clone())?);
    log.check_joins(&history.checkpoint())?;
    let mut state = State::new();
    fold_into(&mut state, &history, &history.checkpoint())?;
    Ok(Opened { log, writer, history, state })
}

/// A record that does not fit the state is damage, whatever its checksum says.
fn damaged(_panicked: runtime::Unfinished) -> ClusterError {
    ClusterError::Storage(StorageError::Damaged {
        place: "the history".to_owned(),
        reason: "a record does not fit those before it".to_owned(),
    })
}

#[cfg(not(feature = "simulation"))]
fn run_writer(writer: LogWriter, shared: Arc<Shared>) -> Result<(), StorageError> {
    let writing = writer.spawn_thread()?;
    // Openraft hears of a failure with its next write; an idle member should stop at once.
    let watch = move || match writing.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(format!("the log could not be written: {error}")),
        Err(_panicked) => runtime::give_up("log writer"),
    };
    let watching = std::thread::Builder::new().name("log-watch".to_owned()).spawn(watch);
    watching.map(drop).map_err(|error| StorageError::Stopped { reason: format!("no thread to watch the log: {error}") })
}

#[cfg(feature = "simulation")]
fn run_writer(writer: LogWriter, shared: Arc<Shared>) -> Result<(), StorageError> {
    runtime::spawn(async move {
        if let Err(error) = writer.run().await {
            shared.fail(format!("the log could not be written: {error}"));
        }
    });
    Ok(())
}

/// With the same list on every member this is safe to do on each, and again.
async fn initialise(raft: &EtebarRaft, settings: &ClusterSettings) -> Result<(), ClusterError> {
    match raft.initialize(settings.members.clone()).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(RaftError::APIError(InitializeError::NotInMembers(error))) => Err(ClusterError::Setting(error.to_string())),
        Err(RaftError::Fatal(fatal)) => Err(ClusterError::Raft(fatal.to_string())),
    }
}

async fn stop(member: Arc<Member>) {
    member.stopping.store(true, Ordering::Release);
    member.raft.runtime_config().elect(false);
    if member.leads() && duties::hand_over(&member).await {
        let mut metrics = member.raft.server_metrics();
        let handed_over =
            async { while metrics.borrow_watched().state == ServerState::Leader && metrics.changed().await.is_ok() {} };
        if timeout(HAND_OVER, handed_over).await.is_err() {
            tracing::warn!("leadership was not taken over in time");
        }
    }
    if let Err(error) = member.checkpoints.write().await {
        tracing::warn!(%error, "last checkpoint not written");
    }
    if let Err(error) = member.raft.shutdown().await {
        tracing::warn!(%error, "raft did not stop well");
    }
    if let Err(error) = member.log.close().await {
        tracing::warn!(%error, "log not closed well");
    }
}
