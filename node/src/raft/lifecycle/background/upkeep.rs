//! What every node does by itself: exchanges status with its peers, writes checkpoints, purges the log, and stops when Raft
//! does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::RaftMetrics;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use crate::metrics::instruments::NodeInstruments;
use crate::raft::audit::follow;
use crate::raft::lifecycle::hand_over::end_raft;
use crate::raft::lifecycle::node::Node;
use crate::runtime;
use crate::storage::{StorageError, TimeMark, TypeConfig};

/// Pause between two rounds of status.
const STATUS_ROUND: Duration = Duration::from_millis(200);
/// Pause between two looks at the log's size. Source: a batch a millisecond makes about half a megabyte in that time.
const LOG_ROUND: Duration = Duration::from_millis(50);
/// Pause between two looks at whether a checkpoint is due. Source: in that time 130,000 charges a second make 4 MB.
const HISTORY_ROUND: Duration = Duration::from_millis(200);
/// Pause between two looks at whether the mark of ledger time still holds, which [`crate::raft::ledger_time`] counts on.
const TIME_ROUND: Duration = Duration::from_secs(1);
/// Longest wait for a peer's status.
const STATUS: Duration = Duration::from_secs(1);
/// How long after a start a peer is not reported unreachable.
const FIRST_STATUS: Duration = Duration::from_secs(2);

/// Exchanges status with every peer, and forgets the nodes that were removed.
pub(crate) async fn exchange_status(node: Arc<Node>) {
    let mut ticks = runtime::every(STATUS_ROUND);
    let mut healthy = BTreeMap::new();
    let begun = Instant::now();
    loop {
        ticks.tick().await;
        let peers = node.peers();
        node.peer_table.keep(|id| peers.contains_key(&id));
        node.received_lists.keep(|id| peers.contains_key(&id));
        node.links.keep(|id| peers.contains_key(&id));
        node.instruments.keep_peers(|id| peers.contains_key(&id));
        node.close_links_of_removed();
        for (id, peer) in peers {
            let links = node.links.to(id, &peer);
            let asking = node.clone();
            runtime::spawn(async move { asking.ask_status(&links, Instant::now() + STATUS).await });
            let is_healthy = node.peer_table.status(id).is_some_and(|status| status.healthy);
            // No status arrives at once after a start.
            if is_healthy || begun.elapsed() >= FIRST_STATUS {
                log_health(id, is_healthy, healthy.insert(id, is_healthy));
            }
        }
    }
}

/// Logs once that a peer is unreachable or unhealthy, and once that it is healthy again.
fn log_health(peer: u64, is_healthy: bool, was_healthy: Option<bool>) {
    match (was_healthy, is_healthy) {
        (Some(true) | None, false) => tracing::warn!(peer, "a peer is unreachable or unhealthy"),
        (Some(false) | None, true) => tracing::info!(peer, "a peer is healthy"),
        (Some(true), true) | (Some(false), false) => {}
    }
}

/// Writes checkpoints when they are due.
pub(crate) async fn keep_history(node: Arc<Node>) {
    let mut ticks = runtime::every(HISTORY_ROUND);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        if is_over(&node) {
            return;
        }
        if node.checkpoints.is_due(last) {
            last = Instant::now();
            if let Err(error) = node.checkpoints.write().await {
                node.published.health.fail(format!("a checkpoint could not be written: {error}"));
            }
        }
    }
}

/// Keeps what carries ledger time over a stop. Apart from the checkpoints, which wait for the log's disk: a mark that is
/// older than a second may have been made before the clocks were set.
pub(crate) async fn keep_time(node: Arc<Node>) {
    let mut ticks = runtime::every(TIME_ROUND);
    let mut kept = None;
    loop {
        ticks.tick().await;
        if is_over(&node) {
            return;
        }
        if let Err(error) = keep_mark(&node, &mut kept).await {
            node.published.health.fail(format!("the mark of ledger time could not be written: {error}"));
        }
    }
}

/// Stores a new mark of ledger time where the last one would no longer carry it over a stop.
async fn keep_mark(node: &Arc<Node>, kept: &mut Option<TimeMark>) -> Result<(), StorageError> {
    // A failed node leaves its disk as it was.
    if node.published.health.failure().borrow().is_some() {
        return Ok(());
    }
    let Some(mark) = node.clock_guard.mark_beyond(kept.as_ref()) else { return Ok(()) };
    let history = node.history.clone();
    runtime::on_disk(async move { history.keep_time_mark(&mark).await }).await??;
    *kept = Some(mark);
    Ok(())
}

/// Purges by bytes: openraft counts entries, which may be of any size.
pub(crate) async fn keep_log_small(node: Arc<Node>) {
    let mut ticks = runtime::every(LOG_ROUND);
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
    let bytes = runtime::blocking(move || log.bytes_on_disk()).await??;
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
    let upto = runtime::blocking(search).await??;
    tracing::debug!(bytes, upto, "purging the log");
    if let Err(fatal) = node.raft.trigger().purge_log(upto).await {
        tracing::debug!(%fatal, "no purge: raft has stopped");
    }
    Ok(())
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

/// Stops the node where Raft ended by itself: its disk failed, or it found its own state impossible. Counts the leaders that
/// Raft knows meanwhile.
pub(crate) async fn watch_raft(node: Arc<Node>) {
    let mut metrics = node.raft.metrics();
    let mut failure = node.published.health.failure();
    let why = tokio::select! {
        why = raft_ended(&mut metrics, &node.instruments) => why,
        () = async { drop(failure.wait_for(Option::is_some).await) } => "the node failed".to_owned(),
    };
    if !node.stopping.load(Ordering::Acquire) {
        node.published.health.fail(why);
    }
    // A failed node takes no further part: it neither votes nor acknowledges.
    end_raft(&node.raft).await;
}

async fn raft_ended(
    metrics: &mut WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>,
    instruments: &NodeInstruments,
) -> String {
    loop {
        let (state, term, leader) = {
            let now = metrics.borrow_watched();
            (now.running_state.clone(), now.current_term, now.current_leader)
        };
        if let Some(leader) = leader {
            instruments.leader(term, leader);
        }
        if let Err(fatal) = state {
            return format!("raft stopped: {fatal}");
        }
        if metrics.changed().await.is_err() {
            return "raft stopped".to_owned();
        }
    }
}

/// Audits the records, as long as the node runs.
pub(crate) async fn audit(node: Arc<Node>) {
    let (history, seed) = (node.history.clone(), node.settings.table_seed);
    Box::pin(follow(node.published.clone(), node.audits.clone(), history, seed, || is_over(&node))).await;
}

/// Marks the node recovered once everything committed before its start is applied, and the ledger has its genesis and
/// knows this node's data directory.
pub(crate) async fn recover(node: Arc<Node>) {
    while let Err(error) = node.raft.wait_for_recovery(Some(Duration::from_hours(1))).await {
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
