//! What a leader does by itself, and what keeps a node from leading: a wrong clock, a disk that stalls, no majority.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::{Action, Command, RaiseRules, RegisterNode, SYSTEM_ACTOR};
use tokio::time::Instant;

use crate::raft::ledger_time::notices::log_clocks;
use crate::raft::ledger_time::verdict::ClockVerdict;
use crate::raft::lifecycle::hand_over::{COMMAND, Successor, hand_over, is_handing_over};
use crate::raft::lifecycle::node::Node;
use crate::raft::membership::carry_out::CarryOut;
use crate::raft::submit::submitter::submit;
use crate::runtime;
use crate::runtime::log_throttle::LogThrottle;

/// Pause between two rounds of a leader's own commands, and between two comparisons of the clocks.
const ROUND: Duration = Duration::from_millis(200);
/// How long a node has reached no leader that others may follow before its callers fail fast. Source: after a leader's death
/// others may name it for a round longer than this node does.
const OUT_OF_REACH: Duration = Duration::from_millis(500);
/// How many times longer a call of the history's disk may take than one of the log's. Source: no answer waits for a checkpoint,
/// but applying waits for a record that it has to read.
const HISTORY_PATIENCE: u32 = 5;
/// Longest wait of a leader that gives up for a voter that can lead; it tries again.
const GIVE_UP: Duration = Duration::from_secs(1);

/// Where this node leads: writes the genesis, binds nodes to their data directories at first contact, raises the rules once
/// every member knows newer ones, and makes the members those that were decided.
pub(crate) async fn lead(node: Arc<Node>) {
    let mut ticks = runtime::every(ROUND);
    let mut members = CarryOut::default();
    loop {
        ticks.tick().await;
        let epoch = node.published.replica().state.epoch();
        // In an earlier epoch the state names the nodes of an older cluster.
        if !node.leader.is_me() || (epoch != 0 && epoch != node.me.epoch) {
            members.forget();
            continue;
        }
        members.round(&node).await;
        for action in due(&node) {
            let command = Command { actor: SYSTEM_ACTOR, idempotency_key: None, origin: None, action };
            if let Err(error) = submit(&node, vec![command], Instant::now() + COMMAND).await {
                tracing::debug!(%error, "a command of the leader's own was not decided");
            }
        }
    }
}

/// The commands that the state still lacks.
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
    let unbound = std::iter::once(own).chain(peers).filter(|(id, _)| replica.state.incarnation(*id).is_none());
    let registrations = unbound.map(|(node, incarnation)| Action::RegisterNode(RegisterNode { node, incarnation }));
    let common = rules_known_to_all(node).filter(|common| *common > replica.state.rules());
    registrations.chain(common.map(|to| Action::RaiseRules(RaiseRules { to }))).collect()
}

/// The newest version of the rules that every member knows, learners too; `None` unless each of them reported it just now. One
/// that is away may come back as an older build, and could then not serve the ledger.
fn rules_known_to_all(node: &Node) -> Option<u32> {
    node.peers().into_keys().try_fold(node.me.build.rules, |common, id| {
        let status = node.peer_table.status(id).filter(|status| status.healthy)?;
        Some(common.min(status.rules))
    })
}

/// Compares the clocks, and lets ledger time follow those that can be trusted. A node whose clock is far from the others' does
/// not lead: ledger time would follow theirs by the last comparison alone.
pub(crate) async fn watch_clock(node: Arc<Node>) {
    let mut ticks = runtime::every(ROUND);
    let mut before = ClockVerdict::Alone;
    let throttle = LogThrottle::default();
    loop {
        ticks.tick().await;
        let clocks = node.peer_table.clocks(node.clock.now_ms());
        let voters: BTreeSet<u64> = node.raft.voter_ids().collect();
        let state = node.clock_guard.judge(clocks, node.peer_table.starts(&voters), voters.len());
        log_clocks(state, node.leader.is_me(), &throttle);
        let verdict = clocks.verdict;
        match verdict {
            ClockVerdict::Off(ms) => {
                if !matches!(before, ClockVerdict::Off(_)) {
                    tracing::error!(ahead_ms = ms, "clock is off: this node does not lead");
                }
                node.raft.runtime_config().elect(false);
                if node.leader.is_me() && !is_handing_over(&node) {
                    give_up_leadership(node.clone());
                }
            }
            ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Apart | ClockVerdict::Good => {
                if matches!(before, ClockVerdict::Off(_)) {
                    tracing::info!("clock is right again: this node may lead");
                }
                let may_lead = !node.stopping.load(Ordering::Acquire) && !node.published.health.is_disk_stalled();
                node.raft.runtime_config().elect(may_lead);
            }
        }
        before = verdict;
    }
}

/// Gives leadership up where a disk stalls for longer than an election time-out, and is no candidate until it answers.
/// A leader's heartbeats need no disk, and the others commit without it, so it would otherwise lead until Raft blocks on a
/// write.
pub(crate) async fn watch_disk(node: Arc<Node>) {
    let patience = node.settings.election_max;
    let mut ticks = runtime::every(node.settings.heartbeat);
    let mut given_up: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let stalled = stalled_disk(patience, node.log.at_work_for(), node.history.at_work_for());
        if node.published.health.set_disk_stalled(stalled.is_some()) {
            if let Some(disk) = stalled {
                tracing::error!(disk, ?patience, "a disk does not answer: this node does not lead until it does");
            } else {
                tracing::info!("the disk answers again");
            }
        }
        if stalled.is_none() {
            given_up = None;
            continue;
        }
        node.raft.runtime_config().elect(false);
        if node.leader.leads_raft() && given_up.is_none_or(|at| at.elapsed() > patience) {
            given_up = Some(Instant::now());
            give_up_leadership(node.clone());
        }
    }
}

/// Hands over to the best voter. Not awaited: Raft itself may be blocked on the disk, and would not answer.
fn give_up_leadership(node: Arc<Node>) {
    runtime::spawn(async move {
        if let Err(why) = hand_over(&node, Successor::Best, Instant::now() + GIVE_UP).await {
            tracing::debug!(?why, "leadership not handed over");
        }
    });
}

/// The disk that stalls, if one does: of which one piece of work has taken too long.
fn stalled_disk(patience: Duration, log: Duration, history: Duration) -> Option<&'static str> {
    if log > patience {
        return Some("log");
    }
    (history > patience * HISTORY_PATIENCE).then_some("history")
}

/// Logs once that no majority answers this leader. By its settings openraft then refuses proposals and sends no heartbeats, so
/// that another node can be elected.
pub(crate) async fn watch_majority(node: Arc<Node>) {
    let mut ticks = runtime::every(node.settings.heartbeat);
    let mut without: Option<Instant> = None;
    let mut is_logged = false;
    loop {
        ticks.tick().await;
        if !node.leader.leads_raft() || node.leader.has_majority() {
            (without, is_logged) = (None, false);
            continue;
        }
        // A leader that was elected just now has no answers yet.
        let since = *without.get_or_insert_with(Instant::now);
        if !is_logged && since.elapsed() > node.leader.majority_within {
            tracing::warn!("no majority answers: this node stops leading, so that another can");
            is_logged = true;
        }
    }
}

/// Marks this node out of reach where it reaches no leader and no election will change that, so that its callers fail fast.
pub(crate) async fn watch_reach(node: Arc<Node>) {
    let mut ticks = runtime::every(node.settings.heartbeat);
    let mut since: Option<Instant> = None;
    loop {
        ticks.tick().await;
        since = node.leader.is_out_of_reach().then(|| since.unwrap_or_else(Instant::now));
        node.published.health.set_out_of_reach(since.is_some_and(|since| since.elapsed() >= OUT_OF_REACH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_disk_that_hangs_is_reported() {
        let ms = Duration::from_millis;
        let stalled = |log, history| stalled_disk(ms(400), ms(log), ms(history));
        assert_eq!(stalled(400, 2_000), None);
        assert_eq!(stalled(401, 0), Some("log"));
        assert_eq!(stalled(0, 2_001), Some("history"));
    }
}
