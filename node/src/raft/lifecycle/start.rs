//! How a node starts, and how it stops: opens its disks, replays the history, starts Raft and the background tasks.
//!
//! Invariant: nothing is served from a log that was not read whole and found undamaged, nor from a state that is not the
//! replay of its pages. Pages that an image stands for are read by the audit's patrol, and where somebody asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::{State, TableSeed};
use openraft::Raft;
use openraft::errors::{InitializeError, RaftError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::background;
use super::hand_over::{Successor, end_raft, hand_over};
use super::new_epoch::begins_epoch;
use super::node::Node;
use super::settings::ClusterSettings;
use crate::metrics::instruments::NodeInstruments;
use crate::raft::answers::ClusterError;
use crate::raft::apply::machine::{EtebarRaft, Machine};
use crate::raft::apply::replica::Published;
use crate::raft::apply::rules::KnownRules;
use crate::raft::audit::Audits;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::replay::start_from;
use crate::raft::catch_up::snapshot::receive::SnapshotReceiver;
use crate::raft::catch_up::snapshot::send::SnapshotSender;
use crate::raft::ledger_time::ClockGuard;
use crate::raft::membership::leave::is_removed;
use crate::raft::peers::leader::LeaderView;
use crate::raft::peers::link::hello::{PeerIdentity, Trust};
use crate::raft::peers::link::serve::serve;
use crate::raft::peers::link::trust::known_peers::KnownPeers;
use crate::raft::peers::link::trust::received_lists::ReceivedLists;
use crate::raft::peers::network::{Links, Network};
use crate::raft::peers::peer_table::PeerTable;
use crate::raft::reads::gate::ReadGates;
use crate::raft::reads::position as read_tasks;
use crate::raft::submit::proposer::Proposer;
use crate::runtime::net::TcpListener;
use crate::runtime::{self, Clock};
use crate::storage::{Checkpoint, History, LogSettings, LogStore, LogWriter, NodeDisks, StorageError};

/// Longest wait for another node to take the leadership over.
const HAND_OVER: Duration = Duration::from_millis(1_500);

/// Opens the disks, replays the history, and takes part in the cluster.
pub(crate) async fn start(
    settings: ClusterSettings,
    disks: NodeDisks,
    clock: Clock,
) -> Result<Arc<Node>, ClusterError> {
    let (config, listener) = (Arc::new(settings.raft_config()?), listen(&settings).await?);
    let (log_settings, seed) = (LogSettings::for_log_bytes(settings.log_bytes), settings.table_seed);
    let (me, has_joined) = (settings.identity, settings.members_index.is_some());
    let opened = runtime::blocking(move || open(&disks, log_settings, seed, &me, has_joined)).await;
    let Opened { log, writer, history, state, image } = opened.map_err(damaged)??;
    let known_peers = KnownPeers::kept_in(history.clone())?;
    let (Checkpoint { applied, membership, .. }, time_mark) = (history.checkpoint(), history.time_mark()?);
    let (peers, rules) = (known_peers.clone(), KnownRules(me.build.rules));
    let published = Arc::new(Published::new(state, applied, membership, peers, rules, me.epoch));
    run_writer(writer, published.clone())?;
    let checkpoints = Checkpointer::new(published.clone(), history.clone(), log.clone(), image);
    let machine = Machine::new(published.clone(), history.clone(), checkpoints.clone());
    let trust = Trust::new(me, settings.peer_security.clone(), known_peers);
    let (instruments, links) = (NodeInstruments::default(), Links::new(trust.clone()));
    let sender = SnapshotSender::new(history.clone(), instruments.sent.clone());
    let network = Network::new(links.clone(), sender, settings.answer_within());
    let raft = Raft::new(me.node, config, network, log.clone(), machine).await;
    let raft = raft.map_err(|fatal| ClusterError::Raft(fatal.to_string()))?;
    let (window, queue) = (settings.genesis.key_window_ms, settings.waiting_max);
    let clock_guard = Arc::new(ClockGuard::new(clock.clone(), window, settings.trust_clock, time_mark));
    let ((reads, waiting_reads), peer_table) = (ReadGates::new(), Arc::new(PeerTable::default()));
    let leader = LeaderView {
        me: me.node,
        raft: raft.clone(),
        published: published.clone(),
        peer_table: peer_table.clone(),
        majority_within: settings.election_max * 2 + settings.heartbeat,
    };
    let proposer = Proposer::start(raft.clone(), log.clone(), published.clone(), clock_guard.clone(), queue);
    let node = Arc::new(Node {
        me,
        leader,
        proposer,
        reads,
        audits: Arc::new(Audits::new(settings.table_seed)),
        receiver: SnapshotReceiver::new(published.clone(), history.clone(), checkpoints.clone()),
        settings,
        clock,
        clock_guard,
        published,
        history,
        log,
        checkpoints,
        raft,
        links,
        trust: trust.clone(),
        peer_table,
        received_lists: ReceivedLists::default(),
        recovered: AtomicBool::new(false),
        stopping: Arc::new(AtomicBool::new(false)),
        hand_overs: Arc::new(Semaphore::new(1)),
        instruments,
    });
    read_tasks::serve(waiting_reads, &node);
    runtime::spawn_vital("peer listener", serve(listener, trust, node.clone()));
    initialise(&node.raft, &node.settings).await?;
    background::start(&node);
    Ok(node)
}

/// Takes the address for peers.
async fn listen(settings: &ClusterSettings) -> Result<TcpListener, ClusterError> {
    let address = &settings.peer_listen;
    let listening = TcpListener::bind(address).await;
    listening.map_err(|source| ClusterError::Listen { address: address.clone(), source })
}

struct Opened {
    log: LogStore,
    writer: LogWriter,
    history: Arc<History>,
    state: State,
    /// Records and bytes of the image that the state began with.
    image: (u64, u64),
}

/// Blocks: reads the whole log and the image of the state, and replays the pages behind it, where this build knows the rules
/// and it is of this ledger.
fn open(
    disks: &NodeDisks,
    settings: LogSettings,
    table_seed: TableSeed,
    me: &PeerIdentity,
    has_joined: bool,
) -> Result<Opened, ClusterError> {
    KnownRules(me.build.rules).check(History::checkpoint_on(&*disks.history)?.rules)?;
    let (log, writer) = LogStore::open(disks.log.clone(), settings)?;
    let history = Arc::new(History::open(disks.history.clone())?);
    log.check_joins(&history)?;
    let (state, image) = start_from(&history, table_seed)?;
    // What a node that joined receives first may end before the record that begins the epoch.
    let begins = || Ok(has_joined || begins_epoch(&log, next_index(&history), me.epoch)?);
    check_ledger(&state, me, begins)?;
    let is_member = history.checkpoint().membership.membership().get_node(&me.node).is_some();
    if is_removed(&state, me.node) && !is_member {
        return Err(ClusterError::Removed(me.node));
    }
    Ok(Opened { log, writer, history, state, image })
}

/// The index of the first log entry that a history does not reflect.
fn next_index(history: &History) -> u64 {
    history.checkpoint().applied.map_or(0, |applied| applied.index + 1)
}

/// Refuses a history that is not of the ledger and the epoch that the data directory was made for. `begins` tells whether the log
/// begins that epoch.
fn check_ledger(
    state: &State,
    me: &PeerIdentity,
    begins: impl FnOnce() -> Result<bool, StorageError>,
) -> Result<(), ClusterError> {
    let Some(genesis) = state.genesis() else { return Ok(()) };
    let named = |(ledger, epoch): (Uuid, u32)| format!("ledger {ledger} in epoch {epoch}");
    let (found, expected) = ((genesis.ledger, state.epoch()), (me.ledger, me.epoch));
    if found == expected {
        return Ok(());
    }
    if genesis.ledger == me.ledger && state.epoch() < me.epoch && begins()? {
        return Ok(());
    }
    Err(ClusterError::Ledger { found: named(found), expected: named(expected) })
}

/// A record that does not fit the state is damage, whatever its checksum says.
fn damaged(_panicked: runtime::Unfinished) -> ClusterError {
    ClusterError::Storage(StorageError::Damaged {
        place: "the history".to_owned(),
        reason: "a record does not fit those before it".to_owned(),
    })
}

#[cfg(not(feature = "simulation"))]
fn run_writer(writer: LogWriter, published: Arc<Published>) -> Result<(), StorageError> {
    let writing = writer.spawn_thread()?;
    // Openraft learns of a failure with its next write; an idle node should stop at once.
    let watch = move || match writing.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => published.health.fail(format!("the log could not be written: {error}")),
        Err(_panicked) => runtime::give_up("log writer"),
    };
    let watching = std::thread::Builder::new().name("log-watch".to_owned()).spawn(watch);
    watching.map(drop).map_err(|error| StorageError::Stopped { reason: format!("no thread to watch the log: {error}") })
}

#[cfg(feature = "simulation")]
fn run_writer(writer: LogWriter, published: Arc<Published>) -> Result<(), StorageError> {
    runtime::spawn(async move {
        if let Err(error) = writer.run().await {
            published.health.fail(format!("the log could not be written: {error}"));
        }
    });
    Ok(())
}

/// With the same list on every node this is safe to do on each, and again. A node that joined is not on its list: it would
/// found a cluster of its own.
async fn initialise(raft: &EtebarRaft, settings: &ClusterSettings) -> Result<(), ClusterError> {
    if !settings.members.contains_key(&settings.identity.node) {
        return Ok(());
    }
    match raft.initialize(settings.members.clone()).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(RaftError::APIError(InitializeError::NotInMembers(error))) => Err(ClusterError::Setting(error.to_string())),
        Err(RaftError::Fatal(fatal)) => Err(ClusterError::Raft(fatal.to_string())),
    }
}

/// Hands leadership over, writes a checkpoint, and ends Raft and the log.
pub(crate) async fn stop(node: Arc<Node>) {
    node.stopping.store(true, Ordering::Release);
    node.raft.runtime_config().elect(false);
    if node.leader.leads_raft() {
        let until = Instant::now() + HAND_OVER;
        match timeout_at(until, hand_over(&node, Successor::Best, until)).await {
            Ok(Ok(leader)) => tracing::debug!(leader, "another node leads"),
            Ok(Err(why)) => tracing::warn!(?why, "leadership not handed over"),
            Err(_elapsed) => tracing::warn!("leadership was not taken over in time"),
        }
    }
    if let Err(error) = node.checkpoints.write().await {
        tracing::warn!(%error, "last checkpoint not written");
    }
    end_raft(&node.raft).await;
    if let Err(error) = node.log.close().await {
        tracing::warn!(%error, "log not closed");
    }
}
