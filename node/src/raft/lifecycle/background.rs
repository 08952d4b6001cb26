//! What a member does by itself: tells its peers how it stands, begins the ledger where it leads, writes checkpoints,
//! purges the log, keeps a wrong clock and a disk that stalls from leading, and stops when Raft does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::{Action, Command, RegisterNode, SYSTEM_ACTOR};
use openraft::RaftMetrics;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::leadership::{COMMAND, end_raft, hand_over};
use super::member::Member;
use crate::raft::apply::clocks::notices::notice;
use crate::raft::apply::clocks::verdict::ClockVerdict;
use crate::raft::peers::link::message::{Request, Response};
use crate::raft::peers::link::told::Told;
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
/// How long a member has reached no leader that others may have before its callers are told so. Source: after a leader's
/// death others may name it for a round longer than this member does.
const OUT_OF_REACH: Duration = Duration::from_millis(500);
/// Rounds after which a leader ends a change of the members that was left open.
const CHANGE_ROUNDS: u32 = 5;

/// Starts all duties of a member.
pub fn start(member: &Arc<Member>) {
    runtime::spawn_vital("tell_peers", tell_peers(member.clone()));
    runtime::spawn_vital("lead", lead(member.clone()));
    runtime::spawn_vital("keep_history", keep_history(member.clone()));
    runtime::spawn_vital("keep_log_small", keep_log_small(member.clone()));
    runtime::spawn_vital("watch_clock", watch_clock(member.clone()));
    runtime::spawn_vital("watch_disk", watch_disk(member.clone()));
    runtime::spawn_vital("watch_majority", watch_majority(member.clone()));
    runtime::spawn_vital("watch_reach", watch_reach(member.clone()));
    runtime::spawn_vital("watch_raft", watch_raft(member.clone()));
    runtime::spawn_vital("recover", recover(member.clone()));
    runtime::spawn_vital("follow_certificates", follow_certificates(member.trust.clone()));
}

fn every(pause: Duration) -> tokio::time::Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tell_peers(member: Arc<Member>) {
    let mut ticks = every(ROUND);
    let mut well = BTreeMap::new();
    let begun = Instant::now();
    loop {
        ticks.tick().await;
        let peers = member.peers();
        member.neighbours.keep(|node| peers.contains_key(&node));
        member.vouched.keep(|node| peers.contains_key(&node));
        member.links.keep(|node| peers.contains_key(&node));
        member.close_links_of_strangers().await;
        for (node, peer) in peers {
            let links = member.links.to(node, &peer);
            runtime::spawn(tell(member.clone(), links));
            let is_well = member.neighbours.heard(node).is_some_and(|heard| heard.healthy);
            // Nobody is heard at once after a start.
            if is_well || begun.elapsed() >= FIRST_WORDS {
                note(node, is_well, well.insert(node, is_well));
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

async fn tell(member: Arc<Member>, links: PeerLinks) {
    let asked = Instant::now();
    let status = Request::Status(member.heartbeat());
    // A peer that does not answer is seen by its silence.
    if let Ok(Response::Status(said)) = links.control.call(status, asked + STATUS).await {
        if said.node != links.peer.node {
            tracing::error!(peer = links.peer.node, said = said.node, "a peer told another's status");
            return;
        }
        member.hear(&said);
        member.neighbours.hear_clock(&said, asked);
    }
}

/// Where this member leads: begins the ledger, and binds members to their data directories at first contact.
async fn lead(member: Arc<Member>) {
    let mut ticks = every(ROUND);
    let mut open_rounds = 0_u32;
    loop {
        ticks.tick().await;
        if !member.leader.is_me() {
            open_rounds = 0;
            continue;
        }
        open_rounds = if is_change_open(&member) { open_rounds + 1 } else { 0 };
        // Who began it ends it, mostly.
        if open_rounds > CHANGE_ROUNDS {
            end_change(&member).await;
        }
        for action in due(&member) {
            let command = Command { actor: SYSTEM_ACTOR, idempotency_key: None, action };
            if let Err(error) = submit(&member, vec![command], Instant::now() + COMMAND).await {
                tracing::debug!(%error, "a command of the cluster's own was not decided");
            }
        }
    }
}

fn due(member: &Member) -> Vec<Action> {
    let replica = member.shared.replica();
    if replica.state.genesis().is_none() {
        return vec![Action::Genesis(member.settings.genesis.clone())];
    }
    let own = (member.me.node, member.me.incarnation);
    let heard = member.peers().into_keys().filter_map(|node| {
        let heard = member.neighbours.heard(node)?;
        Some((node, heard.incarnation))
    });
    std::iter::once(own)
        .chain(heard)
        .filter(|(node, _)| replica.state.incarnation(*node).is_none())
        .map(|(node, incarnation)| Action::RegisterNode(RegisterNode { node, incarnation }))
        .collect()
}

async fn keep_history(member: Arc<Member>) {
    let mut ticks = every(CHECKPOINT);
    let mut kept = None;
    loop {
        ticks.tick().await;
        if is_over(&member) {
            return;
        }
        if let Err(error) = member.checkpoints.write().await {
            member.shared.health.fail(format!("a checkpoint could not be written: {error}"));
        }
        if let Err(error) = keep_time(&member, &mut kept).await {
            member.shared.health.fail(format!("the mark of ledger time could not be written: {error}"));
        }
    }
}

/// Keeps what carries ledger time over a stop, where what was kept last would not carry it any more.
async fn keep_time(member: &Arc<Member>, kept: &mut Option<TimeMark>) -> Result<(), StorageError> {
    // A member that failed keeps its disk as it was.
    if member.shared.health.failure().borrow().is_some() {
        return Ok(());
    }
    let Some(mark) = member.stamps.mark_beyond(kept.as_ref()) else { return Ok(()) };
    let history = member.history.clone();
    runtime::on_disk(async move { history.keep_time_mark(&mark).await }).await.map_err(unfinished)??;
    *kept = Some(mark);
    Ok(())
}

/// Purges by bytes: openraft counts entries, which may be of any size.
async fn keep_log_small(member: Arc<Member>) {
    let mut ticks = every(LOG_ROUND);
    loop {
        ticks.tick().await;
        if is_over(&member) {
            return;
        }
        if let Err(error) = purge(&member).await {
            member.shared.health.fail(format!("the log could not be purged: {error}"));
        }
    }
}

async fn purge(member: &Arc<Member>) -> Result<(), StorageError> {
    let log = member.log.clone();
    let limit = member.settings.log_bytes;
    let bytes = runtime::blocking(move || log.bytes_on_disk()).await.map_err(unfinished)??;
    member.shared.health.set_log_crowded(bytes > limit / 2);
    if bytes <= limit / 8 * 3 {
        return Ok(());
    }
    // Openraft purges only what a snapshot that it knows of holds. Building one is writing a checkpoint.
    if let Err(fatal) = member.raft.trigger().snapshot().await {
        tracing::debug!(%fatal, "no snapshot: raft has stopped");
        return Ok(());
    }
    let metrics = member.raft.data_metrics().borrow_watched().clone();
    let (Some(snapshot), purged) = (metrics.snapshot, metrics.purged) else { return Ok(()) };
    let log = member.log.clone();
    let from = purged.map_or(0, |purged| purged.index + 1);
    let search = move || purge_point(from, snapshot.index, |index| Ok(log.bytes_since(index)? <= limit / 4));
    let upto = runtime::blocking(search).await.map_err(unfinished)??;
    tracing::debug!(bytes, upto, "purging the log");
    if let Err(fatal) = member.raft.trigger().purge_log(upto).await {
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

/// Lets ledger time follow the clocks that can be trusted. A member whose clock is far from the others' does not lead: until
/// its clock is right, ledger time would only be kept from following it.
async fn watch_clock(member: Arc<Member>) {
    let mut ticks = every(ROUND);
    let mut was = ClockVerdict::Alone;
    let told = Told::default();
    loop {
        ticks.tick().await;
        let clocks = member.neighbours.clocks(member.clock.now_ms());
        let state = member.stamps.judge(clocks, member.neighbours.starts(), member.raft.voter_ids().count());
        notice(state, member.leader.is_me(), &told);
        let verdict = clocks.verdict;
        match verdict {
            ClockVerdict::Off(ms) => {
                if !matches!(was, ClockVerdict::Off(_)) {
                    tracing::error!(ahead_ms = ms, "clock is off: this member does not lead");
                }
                member.raft.runtime_config().elect(false);
                if member.leader.is_me() {
                    hand_over(&member).await;
                }
            }
            ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Apart | ClockVerdict::Good => {
                if matches!(was, ClockVerdict::Off(_)) {
                    tracing::info!("clock is right again: this member may lead");
                }
                let is_well = !member.stopping.load(Ordering::Acquire) && !member.shared.health.is_disk_stalled();
                member.raft.runtime_config().elect(is_well);
            }
        }
        was = verdict;
    }
}

/// A leader's heartbeats need no disk, and the others commit without it: with a disk that does not come back it would lead
/// on, until its Raft stands still at a write that it waits for. So it gives leadership up after one election time-out, and
/// is no candidate until its disk is back.
async fn watch_disk(member: Arc<Member>) {
    let patience = member.settings.election_max;
    let mut ticks = every(member.settings.heartbeat);
    let mut given_up: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let stalled = member.log.at_work_for() > patience;
        if member.shared.health.set_disk_stalled(stalled) {
            if stalled {
                tracing::error!(?patience, "the log's disk does not answer: this member does not lead until it does");
            } else {
                tracing::info!("the log's disk answers again");
            }
        }
        if !stalled {
            given_up = None;
            continue;
        }
        member.raft.runtime_config().elect(false);
        if member.leader.leads_raft() && given_up.is_none_or(|at| at.elapsed() > patience) {
            given_up = Some(Instant::now());
            // Not waited for: Raft itself may wait for the disk, and then takes no order.
            let member = member.clone();
            runtime::spawn(async move { hand_over(&member).await });
        }
    }
}

/// Tells the operator once of a leader that no majority answers: by its settings, openraft refuses proposals then and sends no
/// heartbeats, so that another can be elected.
async fn watch_majority(member: Arc<Member>) {
    let mut ticks = every(member.settings.heartbeat);
    let mut without: Option<Instant> = None;
    let mut is_told = false;
    loop {
        ticks.tick().await;
        if !member.leader.leads_raft() || member.leader.has_majority() {
            (without, is_told) = (None, false);
            continue;
        }
        // A leader that was elected just now has not heard anybody yet.
        let since = *without.get_or_insert_with(Instant::now);
        if !is_told && since.elapsed() > member.leader.majority_within {
            tracing::warn!("no majority answers: this member gives way to another leader");
            is_told = true;
        }
    }
}

/// Callers of a member that reaches no leader, while others may have one, are told so rather than kept.
async fn watch_reach(member: Arc<Member>) {
    let mut ticks = every(member.settings.heartbeat);
    let mut out: Option<Instant> = None;
    loop {
        ticks.tick().await;
        out = member.leader.is_out_of_reach().then(|| out.unwrap_or_else(Instant::now));
        member.shared.health.set_out_of_reach(out.is_some_and(|since| since.elapsed() >= OUT_OF_REACH));
    }
}

/// Raft ends by itself only where its disk failed or it found itself impossible: the member then stops.
async fn watch_raft(member: Arc<Member>) {
    let mut metrics = member.raft.metrics();
    let mut failure = member.shared.health.failure();
    let why = tokio::select! {
        why = raft_ended(&mut metrics) => why,
        () = async { drop(failure.wait_for(Option::is_some).await) } => "the member failed".to_owned(),
    };
    if !member.stopping.load(Ordering::Acquire) {
        member.shared.health.fail(why);
    }
    // A member that failed takes no further part: it neither votes nor acknowledges.
    end_raft(&member.raft).await;
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

/// After a restart: everything that was committed before is applied, and the ledger has begun for this member.
async fn recover(member: Arc<Member>) {
    while let Err(error) = member.raft.wait_for_recovery(Some(Duration::from_secs(3_600))).await {
        tracing::debug!(%error, "not recovered yet");
        if is_over(&member) {
            return;
        }
    }
    let mut applied = member.shared.applied();
    while !has_begun(&member) {
        if applied.changed().await.is_err() {
            return;
        }
    }
    member.recovered.store(true, Ordering::Release);
    tracing::info!(node = member.me.node, "recovered");
}

/// The ledger has its genesis and knows this member's data directory: from then on a wiped one is refused everywhere.
fn has_begun(member: &Member) -> bool {
    let replica = member.shared.replica();
    replica.state.genesis().is_some() && replica.state.incarnation(member.me.node) == Some(member.me.incarnation)
}

fn is_over(member: &Member) -> bool {
    member.stopping.load(Ordering::Acquire) || member.shared.health.failure().borrow().is_some()
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
