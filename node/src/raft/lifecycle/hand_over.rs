//! How a node gives its leadership up, and its part in Raft.
//!
//! Once openraft (0.10.0-alpha.37) was told to transfer its leadership, that leader takes no writes and sends no heartbeats, and
//! nothing but a higher vote ends that. Invariant: a leader whose successor did not come to lead is none afterwards, and tries
//! to be elected again, so that writes go on.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::NodeNumber;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::VoteRequest;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::node::Node;
use crate::raft::apply::machine::EtebarRaft;
use crate::raft::ledger_time::verdict::ClockVerdict;
use crate::raft::peers::link::message::NotHandedOver;
use crate::runtime;
use crate::storage::LogStore;
use crate::storage::types::plain::PlainVote;

/// Longest wait for a command of the leader's own.
pub(crate) const COMMAND: Duration = Duration::from_secs(2);
/// Longest wait for the status of a voter that is to lead. Source: as long as charges may stop.
const STATUS: Duration = Duration::from_millis(200);
/// A voter that is more positions behind than this does not take over: it would have to catch up before it takes writes. Source:
/// at two milliseconds an entry, a third of the time for which charges may stop.
const LAG_MAX: u64 = 32;
/// Longest wait for a voter that is behind.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Pause between two looks at how far behind it is.
const CATCH_UP_LOOK: Duration = Duration::from_millis(20);
/// How often a higher vote is tried: an entry that was on its way to the log may come between.
const ENDINGS: u32 = 3;
/// Rounds in which a leader that found no successor tries to be elected again, an election time-out each.
const ELECTIONS: u32 = 4;

/// Who is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Successor {
    /// This voter.
    This(NodeNumber),
    /// The furthest voter that can.
    Best,
}

/// Makes another voter the leader, where this node leads: checks that it can, asks it to take over, and waits until it, or for
/// [`Successor::Best`] any other, leads; whom it was. Where none came to lead, this node tries to be elected again.
///
/// # Errors
/// See [`NotHandedOver`]. The checks end by `deadline`; what was begun is finished, within a few election time-outs, also where
/// the caller is gone.
pub(crate) async fn hand_over(
    node: &Node,
    successor: Successor,
    deadline: Instant,
) -> Result<NodeNumber, NotHandedOver> {
    let Ok(Ok(permit)) = timeout_at(deadline, node.hand_overs.clone().acquire_owned()).await else {
        return Err(NotHandedOver::Busy);
    };
    if !node.leader.leads_raft() {
        return Err(NotHandedOver::NotLeader(node.leader.known().filter(|known| *known != node.me.node)));
    }
    let to = match successor {
        Successor::This(to) if to == node.me.node => return Ok(to),
        Successor::This(to) => {
            wait_until_fit(node, to, deadline.min(Instant::now() + CATCH_UP)).await?;
            to
        }
        Successor::Best => best(node, deadline.min(Instant::now() + CATCH_UP)).await?,
    };
    let begun = HandOver::of(node, to);
    let leads = begun.finish(permit).await;
    match (successor, leads) {
        (Successor::Best, Some(leader)) => Ok(leader),
        (Successor::This(to), Some(leader)) if leader == to => Ok(to),
        (Successor::This(_), Some(_)) | (Successor::This(_) | Successor::Best, None) => Err(NotHandedOver::NotTaken),
    }
}

/// The same without the checks, for the simulation; not where one is under way, and not to this node.
#[cfg(feature = "simulation")]
pub(crate) async fn hand_over_unchecked(node: &Node, to: NodeNumber) {
    if let Ok(permit) = node.hand_overs.clone().try_acquire_owned()
        && to != node.me.node
    {
        HandOver::of(node, to).finish(permit).await;
    }
}

/// Whether a hand-over is under way here.
pub(crate) fn is_handing_over(node: &Node) -> bool {
    node.hand_overs.available_permits() == 0
}

/// The furthest voter that can lead, or else the furthest that is only behind, once it has caught up.
async fn best(node: &Node, until: Instant) -> Result<NodeNumber, NotHandedOver> {
    let applied = |id: NodeNumber| {
        let status = node.peer_table.status(id).filter(|status| status.healthy)?;
        Some((status.applied, id))
    };
    let others = node.raft.voter_ids().filter(|id| *id != node.me.node);
    let mut healthy: Vec<_> = others.filter_map(applied).collect();
    healthy.sort_unstable_by_key(|(applied, id)| (Reverse(*applied), *id));
    let mut why = NotHandedOver::Unreachable;
    let mut behind = None;
    for (_, id) in healthy {
        match wait_until_fit(node, id, Instant::now()).await {
            Ok(()) => return Ok(id),
            Err(refused) => {
                if matches!(refused, NotHandedOver::Behind(_)) {
                    behind = behind.or(Some(id));
                }
                why = refused;
            }
        }
    }
    let Some(behind) = behind else { return Err(why) };
    wait_until_fit(node, behind, until).await.map(|()| behind)
}

/// Checks that a voter can lead, by what it says of itself now, and waits for it where it is behind.
async fn wait_until_fit(node: &Node, to: NodeNumber, until: Instant) -> Result<(), NotHandedOver> {
    loop {
        let behind = behind(node, to).await?;
        if behind <= LAG_MAX {
            return Ok(());
        }
        if Instant::now() + CATCH_UP_LOOK >= until {
            return Err(NotHandedOver::Behind(behind));
        }
        sleep(CATCH_UP_LOOK).await;
    }
}

/// How many positions a voter is behind this leader, by its log and its state; an error where it could not lead in any case.
async fn behind(node: &Node, to: NodeNumber) -> Result<u64, NotHandedOver> {
    let (applied, last) = (*node.published.applied().borrow(), node.log.last().map_or(0, |last| last.index));
    let links = node.links_to(to).ok_or(NotHandedOver::NotMember)?;
    if !votes(node, to) {
        return Err(NotHandedOver::Learner);
    }
    let said = node.ask_status(&links, Instant::now() + STATUS).await.ok_or(NotHandedOver::Unreachable)?;
    if let Some(failure) = said.failure {
        return Err(NotHandedOver::Unhealthy(failure));
    }
    if node.peer_table.differing().contains(&to) {
        return Err(NotHandedOver::Unhealthy("its digest differs from the leader's".to_owned()));
    }
    match node.peer_table.clock_of(to, node.clock.now_ms()) {
        ClockVerdict::Off(ahead_ms) => return Err(NotHandedOver::ClockOff(ahead_ms)),
        ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Apart | ClockVerdict::Good => {}
    }
    let matched = matched(&node.raft, to);
    Ok(last.saturating_sub(matched).max(applied.saturating_sub(said.applied)))
}

/// Whether a member votes now, and will once a change of the members that is under way is done.
fn votes(node: &Node, id: NodeNumber) -> bool {
    let membership = node.raft.server_metrics().borrow_watched().membership_config.clone();
    membership.membership().get_joint_config().iter().all(|set| set.contains(&id))
}

/// The last position of a node's log that this leader knows to be on its disk.
fn matched(raft: &EtebarRaft, id: NodeNumber) -> u64 {
    let metrics = raft.data_metrics();
    let metrics = metrics.borrow_watched();
    let matched = metrics.replication.as_ref().and_then(|all| all.get(&id).copied().flatten());
    matched.map_or(0, |matched| matched.index)
}

/// A hand-over after its checks: what it needs to be finished without its caller.
struct HandOver {
    raft: EtebarRaft,
    log: LogStore,
    me: NodeNumber,
    to: NodeNumber,
    /// How long a successor may take: two election time-outs, so that a third node can come to lead too.
    patience: Duration,
    /// How long an election takes.
    election: Duration,
    stopping: Arc<AtomicBool>,
}

impl HandOver {
    fn of(node: &Node, to: NodeNumber) -> Self {
        Self {
            raft: node.raft.clone(),
            log: node.log.clone(),
            me: node.me.node,
            to,
            patience: node.settings.election_max * 2,
            election: node.settings.election_max,
            stopping: node.stopping.clone(),
        }
    }

    /// Runs in a task of its own: a leader must not be left without a successor because a caller went away.
    async fn finish(self, permit: OwnedSemaphorePermit) -> Option<NodeNumber> {
        let (done, ended) = oneshot::channel();
        runtime::spawn(async move {
            let leader = self.run().await;
            drop(permit);
            // A caller that stopped waiting needs no answer.
            done.send(leader).ok();
        });
        ended.await.ok().flatten()
    }

    /// Another node that leads now.
    async fn run(self) -> Option<NodeNumber> {
        let begun = Instant::now();
        if let Err(fatal) = self.raft.trigger().transfer_leader(self.to).await {
            tracing::debug!(%fatal, "leadership not handed over");
            return None;
        }
        let leader = self.another_leads(self.patience).await;
        if let Some(leader) = leader {
            tracing::info!(to = self.to, leader, after = ?begun.elapsed(), "leadership handed over");
            return Some(leader);
        }
        tracing::warn!(to = self.to, patience = ?self.patience, "leadership was not taken over: this node gives it up");
        self.step_down().await;
        self.be_elected().await
    }

    /// Whom this node follows within so long.
    async fn another_leads(&self, within: Duration) -> Option<NodeNumber> {
        let mut metrics = self.raft.server_metrics();
        let another = async {
            loop {
                let leader = metrics.borrow_and_update().current_leader;
                if let Some(leader) = leader.filter(|leader| *leader != self.me) {
                    return Some(leader);
                }
                if metrics.changed().await.is_err() {
                    return None;
                }
            }
        };
        timeout(within, another).await.ok().flatten()
    }

    /// Ends a leadership that takes no more writes, by a higher vote: openraft ends it for nothing else. It is the vote that the
    /// successor would have asked for, which this node may give without being asked, since no other node counts it.
    async fn step_down(&self) {
        for _ in 0..ENDINGS {
            let led = {
                let metrics = self.raft.server_metrics();
                let metrics = metrics.borrow_watched();
                (metrics.state == ServerState::Leader).then_some(metrics.vote.leader_id.term)
            };
            let Some(term) = led else { return };
            let vote = PlainVote { term: term + 1, node: self.to, committed: false };
            let request = VoteRequest { vote: vote.into(), last_log_id: self.log.last(), leadership_transfer: true };
            match timeout(self.election, self.raft.vote(request)).await {
                Ok(Ok(answer)) => tracing::debug!(granted = answer.vote_granted, "this node no longer leads"),
                Ok(Err(fatal)) => tracing::debug!(%fatal, "raft has stopped"),
                Err(_elapsed) => tracing::debug!("the vote takes long"),
            }
        }
    }

    /// Tries to be elected until any node leads; whom this node follows then. A node that is being stopped does not.
    async fn be_elected(&self) -> Option<NodeNumber> {
        for _ in 0..ELECTIONS {
            let leader = self.raft.server_metrics().borrow_watched().current_leader;
            if leader.is_some() || self.stopping.load(Ordering::Acquire) {
                return leader.filter(|leader| *leader != self.me);
            }
            // With a pre-vote: where another node was elected meanwhile, the voters stay with it.
            if let Err(fatal) = self.raft.trigger().elect(true).await {
                tracing::debug!(%fatal, "raft has stopped");
                return None;
            }
            let mut metrics = self.raft.server_metrics();
            let elected = async {
                while metrics.borrow_and_update().current_leader.is_none() && metrics.changed().await.is_ok() {}
            };
            // Elapsed or elected: both mean to look again.
            drop(timeout(self.election, elected).await);
        }
        None
    }
}

/// Ends Raft, in a task of its own: the first of those that wait for openraft's core to end must not give up, or the others
/// panic (`RaftInner::join_core_task` of 0.10.0-alpha.37).
pub(crate) async fn end_raft(raft: &EtebarRaft) {
    let raft = raft.clone();
    let (done, ended) = oneshot::channel();
    runtime::spawn(async move {
        if let Err(error) = raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        // A caller that stopped waiting, or ended with the runtime, needs no answer.
        done.send(()).ok();
    });
    drop(ended.await);
}
