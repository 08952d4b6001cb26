//! How a read gets its position: through one of the gates, from a quorum or from the leader.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use tokio::time::{Instant, sleep, timeout};

use super::gate::{ReadCaller, UNKNOWN_KEYS_PAUSE, WaitingReads, run};
use crate::raft::lifecycle::node::Node;
use crate::raft::peers::link::call::CallError;
use crate::raft::peers::link::message::{Request, Response};
use crate::raft::submit::submitter::millis_until;
use crate::runtime;

/// Longest time that one question takes; openraft itself gives up after its lease.
const ROUND: Duration = Duration::from_secs(2);
/// Pause before a leader that could not confirm a read is asked again.
const PAUSE: Duration = Duration::from_millis(20);
/// How far ahead of the furthest position known here a caller's position may be. Source: what a leader could write within
/// the ten seconds of a request, at ten thousand entries a second, which is more than disks sync.
const AHEAD_MAX: u64 = 100_000;

/// The trace target of the questions that a follower asks; tests count them.
const READ_QUESTIONS: &str = "etebar::read_questions";

/// Starts the tasks that ask; they end with the node.
pub(crate) fn serve(waiting: WaitingReads, node: &Arc<Node>) {
    let (quorum, leader, unknown_keys) = (Arc::downgrade(node), Arc::downgrade(node), Arc::downgrade(node));
    let ask_quorum = move || {
        let node = quorum.upgrade();
        async move { ask_quorum(&*node?).await }
    };
    let ask_leader = move || {
        let node = leader.upgrade();
        async move { ask_leader(&*node?).await }
    };
    let ask_once = move || {
        let node = unknown_keys.upgrade();
        async move { position_once(&*node?, Instant::now() + ROUND).await }
    };
    runtime::spawn_vital("read gate", run(waiting.quorum, Duration::ZERO, ask_quorum));
    runtime::spawn_vital("read gate of a follower", run(waiting.leader, Duration::ZERO, ask_leader));
    runtime::spawn_vital("read gate of unknown keys", run(waiting.unknown_keys, UNKNOWN_KEYS_PAUSE, ask_once));
}

/// A position that includes everything acknowledged anywhere before this call.
pub(crate) async fn read_position(node: &Node, reader: ReadCaller, deadline: Instant) -> Option<u64> {
    loop {
        let asked = async {
            match reader {
                ReadCaller::Known => position_once(node, deadline).await,
                ReadCaller::UnknownKey => node.reads.unknown_keys.position(deadline).await,
            }
        };
        let position = tokio::select! {
            biased;
            position = asked => position,
            () = node.published.health.falls_out_of_reach() => None,
        };
        if position.is_some() {
            return position;
        }
        if Instant::now() + PAUSE >= deadline || node.published.health.is_out_of_reach() {
            return None;
        }
        sleep(PAUSE).await;
    }
}

/// The furthest position that this node could reach within a request, as far as it can know.
pub(crate) fn position_within_reach(node: &Node) -> u64 {
    let own = node.log.last().map_or(0, |last| last.index).max(*node.published.applied().borrow());
    own.max(node.peer_table.furthest()).saturating_add(AHEAD_MAX)
}

async fn position_once(node: &Node, deadline: Instant) -> Option<u64> {
    match node.leader.known() {
        None => None,
        Some(leader) if leader == node.me.node => node.reads.quorum.position(deadline).await,
        Some(_) => node.reads.leader.position(deadline).await,
    }
}

/// Asks a quorum whether this node leads; the position at which it was asked.
async fn ask_quorum(node: &Node) -> Option<u64> {
    match timeout(ROUND, node.raft.get_read_log_id(ReadPolicy::ReadIndex)).await {
        Ok(Ok((read, _applied))) => Some(read.index()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "read position not confirmed");
            None
        }
        Err(_elapsed) => None,
    }
}

/// Asks the leader for a position. Gives up where another leads or none is within reach: a leader that is paused must
/// not hold up later callers.
async fn ask_leader(node: &Node) -> Option<u64> {
    let leader = node.leader.known()?;
    let deadline = Instant::now() + ROUND;
    if leader == node.me.node {
        return node.reads.quorum.position(deadline).await;
    }
    let links = node.links_to(leader)?;
    tracing::trace!(target: READ_QUESTIONS, leader, "the leader was asked for a read position");
    let request = Request::ReadPosition { wait_ms: millis_until(deadline) };
    let answer = tokio::select! {
        biased;
        answer = links.control.call(request, deadline) => answer,
        () = node.leader.replaced(Some(leader)) => return None,
        () = node.published.health.falls_out_of_reach() => return None,
    };
    match answer {
        Ok(Response::ReadPosition(position)) => position,
        Ok(_) | Err(CallError::NotSent(_) | CallError::OlderBuild | CallError::NoAnswer) => None,
    }
}
