//! Positions for linearizable reads: one round of the leader for all reads that wait.
//!
//! Invariant: a position is confirmed by a quorum after its read began. A read that arrives during a round waits for
//! the next one. No clock is trusted.

use std::time::Duration;

use ledger::plants::planted;
use openraft::ReadPolicy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::link::call::CallError;
use super::link::message::{Request, Response};
use super::machine::EtebarRaft;
use super::member::Member;
use super::submit::millis_until;
use crate::runtime;

/// Reads that wait for a position, at most; the next ones are told that there is no leader.
const WAITING: usize = 65_536;
/// Longest time that one round takes; openraft itself gives up after its lease.
const ROUND: Duration = Duration::from_millis(2_000);

/// Pause before a leader that could not confirm a read is asked again.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for one confirmation from a leader elsewhere.
const ATTEMPT: Duration = Duration::from_millis(2_000);

/// Gives positions for reads on the leader. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadGate(mpsc::Sender<oneshot::Sender<Option<u64>>>);

impl ReadGate {
    /// Starts the task that asks.
    pub fn start(raft: EtebarRaft) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING);
        runtime::spawn_vital("read gate", run(raft, waiting));
        Self(sender)
    }

    /// A position that includes everything acknowledged before this call; `None` where this node does not lead.
    pub async fn position(&self, deadline: Instant) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        timeout_at(deadline, answered).await.ok()?.ok()?
    }
}

async fn run(raft: EtebarRaft, mut waiting: mpsc::Receiver<oneshot::Sender<Option<u64>>>) {
    let mut round = Vec::new();
    while waiting.recv_many(&mut round, WAITING).await > 0 {
        let policy = if planted("stale-read-after-pause") { ReadPolicy::LeaseRead } else { ReadPolicy::ReadIndex };
        let position = match timeout(ROUND, raft.get_read_log_id(policy)).await {
            Ok(Ok((read, _applied))) => Some(read.index()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "read position not confirmed");
                None
            }
            Err(_elapsed) => None,
        };
        for answer in round.drain(..) {
            // A reader that stopped waiting needs no position.
            answer.send(position).ok();
        }
    }
}

impl Member {
    /// A position that includes everything acknowledged anywhere before this call.
    pub(super) async fn read_position(&self, deadline: Instant) -> Option<u64> {
        loop {
            let position = tokio::select! {
                biased;
                position = self.position_once(deadline) => position,
                () = self.shared.falls_out_of_reach() => None,
            };
            if position.is_some() {
                return position;
            }
            if Instant::now() + PAUSE >= deadline || self.shared.is_out_of_reach() {
                return None;
            }
            sleep(PAUSE).await;
        }
    }

    async fn position_once(&self, deadline: Instant) -> Option<u64> {
        match self.leader() {
            None => None,
            Some(_) if planted("stale-read-at-follower") => Some(*self.shared.applied().borrow()),
            Some(leader) if leader == self.me.node && planted("stale-read-at-old-leader") => {
                Some(*self.shared.applied().borrow())
            }
            Some(leader) if leader == self.me.node => self.reads.position(deadline).await,
            Some(leader) => self.ask_position(leader, deadline).await,
        }
    }

    async fn ask_position(&self, leader: u64, deadline: Instant) -> Option<u64> {
        let links = self.links_to(leader)?;
        let deadline = deadline.min(Instant::now() + ATTEMPT);
        let request = Request::ReadPosition { wait_ms: millis_until(deadline) };
        match links.control.call(request, deadline).await {
            Ok(Response::ReadPosition(position)) => position,
            Ok(_) | Err(CallError::NotSent(_) | CallError::NoAnswer) => None,
        }
    }
}
