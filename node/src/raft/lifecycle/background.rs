//! What a node does by itself: tells its peers how it stands, begins the ledger where it leads, writes checkpoints,
//! purges the log, keeps a wrong clock and a disk that stalls from leading, and stops when Raft does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::{Action, Command, SYSTEM_ACTOR};
use openraft::RaftMetrics;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::leadership::{COMMAND, end_raft, hand_over};
use super::node::Node;
use crate::log::throttle::LogThrottle;
use crate::raft::apply::clocks::notices::notice;
use crate::raft::apply::clocks::verdict::ClockVerdict;
use crate::raft::peers::link::message::{Request, Response};
use crate::raft::peers::link::trust::follow::follow_certificates;
use crate::raft::peers::membership::{end_change, is_change_open};
use crate::raft::peers::network::PeerLinks;
use crate::raft::submit::submitter::submit;
use crate::runtime;
use crate::storage::{StorageError, TimeMark, TypeConfig};

/// Pause between two rounds of status, of a leader's duties, and of looks at the log's size.
const ROUND: Duration = Duration::from_millis(200);
/// Pause between two looks at the log's size. Source: a batch a millisecond makes about half a megabyte in that time.
const LOG_ROUND: Duration = Duration::from_millis(50);
/// Shortest pause between two checkpoints. Source: a restart folds the log from there again, about a second of work.
const CHECKPOINT: Duration = Duration::from_millis(1_000);
/// Longest wait for a peer's status.
const STATUS: Duration = Duration::from_millis(1_000);
/// How long after a start a peer need not have been heard.
const FIRST_WORDS: Duration = Duration::from_millis(2_000);
/// How long a node has reached no leader that others may have before its callers are told so. Source: after a leader's
/// death others may name it for a round longer than this node does.
const OUT_OF_REACH: Duration = Duration::from_millis(500);
/// Rounds after which a leader ends a change of the members that was left open.
const CHANGE_ROUNDS: u32 = 5;

/// Starts all duties of a node.
pub fn start(node: &Arc<Node>) {
    runtime::spawn_vital("tell_peers", tell_peers(node.clone()));
    runtime::spawn_vital("lead", lead(node.clone()));
    runtime::spawn_vital("keep_history", keep_history(node.clone()));
    runtime::spawn_vital("keep_log_small", keep_log_small(node.clone()));
    runtime::spawn_vital("watch_clock", watch_clock(node.clone()));
    runtime::spawn_vital("watch_disk", watch_disk(node.clone()));
    runtime::spawn_vital("watch_majority", watch_majority(node.clone()));
    runtime::spawn_vital("watch_reach", watch_reach(node.clone()));
    runtime::spawn_vital("watch_raft", watch_raft(node.clone()));
    runtime::spawn_vital("recover", recover(node.clone()));
    runtime::spawn_vital("follow_certificates", follow_certificates(node.trust.clone()));
}

fn every(pause: Duration) -> tokio::time::Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tell_peers(node: Arc<Node>) {
    let mut ticks = every(ROUND);
    let mut well = BTreeMap::new();
    let begun = Instant::now();
    loop {
        ticks.tick().await;
        let peers = node.peers();
        node.peer_table.keep(|id| peers.contains_key(&id));
        node.vouched.keep(|id| peers.contains_key(&id));
        node.links.keep(|id| peers.contains_key(&id));
        node.close_links_of_strangers().await;
        for (id, peer) in peers {
            let links = node.links.to(id, &peer);
            runtime::spawn(tell(node.clone(), links));
            let is_well = node.peer_table.status(id).is_some_and(|status| status.healthy);
            // Nobody is heard at once after a start.
            if is_well || begun.elapsed() >= FIRST_WORDS {
                note(id, is_well, well.insert(id, is_well));
            }
        }
    }
}

/// Tells the operator once of a peer that falls silent or ill, and once when it is well again.
fn note(peer: u64, is_well: bool, was_well: Option<bool>) {
    match (was_well, is_well) {
        (Some(true) | None, false) => tracing::warn!(peer, "a peer is silent, or said that it is not well"),
        (Some(false) | None, true) => tracing::info!(peer, "a peer is well"),
        (Some(true), true) | (Some(false), false) => {}
    }
}

async fn tell(node: Arc<Node>, links: PeerLinks) {
    let asked = Instant::now();
    let status = Request::Status(node.heartbeat());
    // A peer that does not answer is seen by its silence.
    if let Ok(Response::Status(said)) = links.control.call(status, asked + STATUS).await {
        if said.node != links.peer.node {
            tracing::error!(peer = links.peer.node, said = said.node, "a peer told another's status");
            return;
        }
        node.hear(&said);
        node.peer_table.record_clock(&said, asked);
    }
}

/// Where this node leads: begins the ledger, and binds members to their data directories at first contact.
async fn lead(node: Arc<Node>) {
    let mut ticks = every(ROUND);
    let mut open_rounds = 0_u32;
    loop {
        ticks.tick().await;
        if !node.leader.is_me() {
            open_rounds = 0;
            continue;
        }
        open_rounds = if is_change_open(&node) { open_rounds + 1 } else { 0 };
        // Who began it ends it, mostly.
        if open_rounds > CHANGE_ROUNDS {
            end_change(&node).await;
        }
        for action in due(&node) {
            let command = Command { actor: SYSTEM_ACTOR, idempotency_key: None, action };
            if let Err(error) = submit(&node, vec![command], Instant::now() + COMMAND).await {
                tracing::debug!(%error, "a command of the cluster's own was not decided");
            }
        }
    }
}

fn due(node: &Node) -> Vec<Action> {
    let replica = node.published.replica();
    if replica.state.genesis().is_none() {
        return vec![Action::Genesis(node.settings.genesis.clone())];
    }
    let own = (node.me.node, node.me.incarnation);
    let peers = node.peers().into_keys().filter_map(|id| {
        let status = node.peer_table.status(id)?;
        Some((id, status.incarnation))
    });
    std::iter::once(own)
        .chain(peers)
        .filter(|(id, _)| replica.state.incarnation(*id).is_none())
        .map(|(node, incarnation)| Action::RegisterNode { node, incarnation })
        .collect()
}

async fn keep_history(node: Arc<Node>) {
    let mut ticks = every(CHECKPOINT);
    let mut kept = None;
    loop {
        ticks.tick().await;
        if is_over(&node) {
            return;
        }
        if let Err(error) = node.checkpoints.write().await {
            node.published.health.fail(format!("a checkpoint could not be written: {error}"));
        }
        if let Err(error) = keep_time(&node, &mut kept).await {
            node.published.health.fail(format!("the mark of ledger time could not be written: {error}"));
        }
    }
}

/// Keeps what carries ledger time over a stop, where what was kept last would not carry it any more.
async fn keep_time(node: &Arc<Node>, kept: &mut Option<TimeMark>) -> Result<(), StorageError> {
    // A node that failed keeps its disk as it was.
    if node.published.health.failure().borrow().is_some() {
        return Ok(());
    }
    let Some(mark) = node.clock_guard.mark_beyond(kept.as_ref()) else { return Ok(()) };
    let history = node.history.clone();
    runtime::on_disk(async move { history.keep_time_mark(&mark).await }).await.map_err(unfinished)??;
    *kept = Some(mark);
    Ok(())
}

/// Purges by bytes: openraft counts entries, which may be of any size.
async fn keep_log_small(node: Arc<Node>) {
    let mut ticks = every(LOG_ROUND);
    loop {
        ticks.tick().await;
        if is_over(&node) {
            return;
        }
        if let Err(error) = purge(&node).await {
            node.published.health.fail(format!("the log could not be purged: {error}"));
        }
    }
}

async fn purge(node: &Arc<Node>) -> Result<(), StorageError> {
    let log = node.log.clone();
    let limit = node.settings.log_bytes;
    let bytes = runtime::blocking(move || log.bytes_on_disk()).await.map_err(unfinished)??;
    node.published.health.set_log_crowded(bytes > limit / 2);
    if bytes <= limit / 8 * 3 {
        return Ok(());
    }
    // Openraft purges only what a snapshot that it knows of holds. Building one is writing a checkpoint.
    if let Err(fatal) = node.raft.trigger().snapshot().await {
        tracing::debug!(%fatal, "no snapshot: raft has stopped");
        return Ok(());
    }
    let metrics = node.raft.data_metrics().borrow_watched().clone();
    let (Some(snapshot), purged) = (metrics.snapshot, metrics.purged) else { return Ok(()) };
    let log = node.log.clone();
    let from = purged.map_or(0, |purged| purged.index + 1);
    let search = move || purge_point(from, snapshot.index, |index| Ok(log.bytes_since(index)? <= limit / 4));
    let upto = runtime::blocking(search).await.map_err(unfinished)??;
    tracing::debug!(bytes, upto, "purging the log");
    if let Err(fatal) = node.raft.trigger().purge_log(upto).await {
        tracing::debug!(%fatal, "no purge: raft has stopped");
    }
    Ok(())
}

fn unfinished(unfinished: runtime::Unfinished) -> StorageError {
    StorageError::Stopped { reason: unfinished.to_string() }
}

/// The first index of `from..=last` up to which a purge leaves little enough, or else the last.
///
/// Followers that are a little behind find the rest in the log, and need no snapshot.
fn purge_point(
    from: u64,
    last: u64,
    leaves_little: impl Fn(u64) -> Result<bool, StorageError>,
) -> Result<u64, StorageError> {
    let (mut low, mut high) = (from.min(last), last);
    while low < high {
        let middle = low + (high - low) / 2;
        if leaves_little(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// Lets ledger time follow the clocks that can be trusted. A node whose clock is far from the others' does not lead: until
/// its clock is right, ledger time would only be kept from following it.
async fn watch_clock(node: Arc<Node>) {
    let mut ticks = every(ROUND);
    let mut was = ClockVerdict::Alone;
    let throttle = LogThrottle::default();
    loop {
        ticks.tick().await;
        let clocks = node.peer_table.clocks(node.clock.now_ms());
        let state = node.clock_guard.judge(clocks, node.peer_table.starts(), node.raft.voter_ids().count());
        notice(state, node.leader.is_me(), &throttle);
        let verdict = clocks.verdict;
        match verdict {
            ClockVerdict::Off(ms) => {
                if !matches!(was, ClockVerdict::Off(_)) {
                    tracing::error!(ahead_ms = ms, "clock is off: this node does not lead");
                }
                node.raft.runtime_config().elect(false);
                if node.leader.is_me() {
                    hand_over(&node).await;
                }
            }
            ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Apart | ClockVerdict::Good => {
                if matches!(was, ClockVerdict::Off(_)) {
                    tracing::info!("clock is right again: this node may lead");
                }
                let is_well = !node.stopping.load(Ordering::Acquire) && !node.published.health.is_disk_stalled();
                node.raft.runtime_config().elect(is_well);
            }
        }
        was = verdict;
    }
}

/// A leader's heartbeats need no disk, and the others commit without it: with a disk that does not come back it would lead
/// on, until its Raft stands still at a write that it waits for. So it gives leadership up after one election time-out, and
/// is no candidate until its disk is back.
async fn watch_disk(node: Arc<Node>) {
    let patience = node.settings.election_max;
    let mut ticks = every(node.settings.heartbeat);
    let mut given_up: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let stalled = node.log.at_work_for() > patience;
        if node.published.health.set_disk_stalled(stalled) {
            if stalled {
                tracing::error!(?patience, "the log's disk does not answer: this node does not lead until it does");
            } else {
                tracing::info!("the log's disk answers again");
            }
        }
        if !stalled {
            given_up = None;
            continue;
        }
        node.raft.runtime_config().elect(false);
        if node.leader.leads_raft() && given_up.is_none_or(|at| at.elapsed() > patience) {
            given_up = Some(Instant::now());
            // Not waited for: Raft itself may wait for the disk, and then takes no order.
            let node = node.clone();
            runtime::spawn(async move { hand_over(&node).await });
        }
    }
}

/// Tells the operator once of a leader that no majority answers: by its settings, openraft refuses proposals then and sends no
/// heartbeats, so that another can be elected.
async fn watch_majority(node: Arc<Node>) {
    let mut ticks = every(node.settings.heartbeat);
    let mut without: Option<Instant> = None;
    let mut is_told = false;
    loop {
        ticks.tick().await;
        if !node.leader.leads_raft() || node.leader.has_majority() {
            (without, is_told) = (None, false);
            continue;
        }
        // A leader that was elected just now has not heard anybody yet.
        let since = *without.get_or_insert_with(Instant::now);
        if !is_told && since.elapsed() > node.leader.majority_within {
            tracing::warn!("no majority answers: this node gives way to another leader");
            is_told = true;
        }
    }
}

/// Callers of a node that reaches no leader, while others may have one, are told so rather than kept.
async fn watch_reach(node: Arc<Node>) {
    let mut ticks = every(node.settings.heartbeat);
    let mut out: Option<Instant> = None;
    loop {
        ticks.tick().await;
        out = node.leader.is_out_of_reach().then(|| out.unwrap_or_else(Instant::now));
        node.published.health.set_out_of_reach(out.is_some_and(|since| since.elapsed() >= OUT_OF_REACH));
    }
}

/// Raft ends by itself only where its disk failed or it found itself impossible: the node then stops.
async fn watch_raft(node: Arc<Node>) {
    let mut metrics = node.raft.metrics();
    let mut failure = node.published.health.failure();
    let why = tokio::select! {
        why = raft_ended(&mut metrics) => why,
        () = async { drop(failure.wait_for(Option::is_some).await) } => "the node failed".to_owned(),
    };
    if !node.stopping.load(Ordering::Acquire) {
        node.published.health.fail(why);
    }
    // A node that failed takes no further part: it neither votes nor acknowledges.
    end_raft(&node.raft).await;
}

async fn raft_ended(metrics: &mut WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>) -> String {
    loop {
        let state = metrics.borrow_watched().running_state.clone();
        if let Err(fatal) = state {
            return format!("raft stopped: {fatal}");
        }
        if metrics.changed().await.is_err() {
            return "raft stopped".to_owned();
        }
    }
}

/// After a restart: everything that was committed before is applied, and the ledger has begun for this node.
async fn recover(node: Arc<Node>) {
    while let Err(error) = node.raft.wait_for_recovery(Some(Duration::from_secs(3_600))).await {
        tracing::debug!(%error, "not recovered yet");
        if is_over(&node) {
            return;
        }
    }
    let mut applied = node.published.applied();
    while !has_begun(&node) {
        if applied.changed().await.is_err() {
            return;
        }
    }
    node.recovered.store(true, Ordering::Release);
    tracing::info!(node = node.me.node, "recovered");
}

/// The ledger has its genesis and knows this node's data directory: from then on a wiped one is refused everywhere.
fn has_begun(node: &Node) -> bool {
    let replica = node.published.replica();
    replica.state.genesis().is_some() && replica.state.incarnation(node.me.node) == Some(node.me.incarnation)
}

fn is_over(node: &Node) -> bool {
    node.stopping.load(Ordering::Acquire) || node.published.health.failure().borrow().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_leaves_little_and_no_less_than_it_must() {
        assert_eq!(purge_point(0, 1_000, |index| Ok(index >= 700)).unwrap(), 700);
        assert_eq!(purge_point(0, 500, |index| Ok(index >= 700)).unwrap(), 500);
        assert_eq!(purge_point(900, 500, |index| Ok(index >= 700)).unwrap(), 500);
    }
}
