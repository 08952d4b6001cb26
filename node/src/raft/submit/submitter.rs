//! From anywhere to a decision: to the leader's proposer, here or over the link, and again where that is safe.
//!
//! Invariant: the commands go to another node only where the one before certainly did not write them, or where
//! deciding them twice is the same as once. So "not done" is always true.

use std::time::Duration;

use ledger::{Command, Rejection};
use tokio::time::Instant;

use crate::metrics::instruments::node::ProposalFailure;
use crate::raft::answers::SubmitError;
use crate::raft::lifecycle::node::Node;
use crate::raft::peers::link::call::CallError;
use crate::raft::peers::link::message::{Commands, Request, Response, Unavailable};
use crate::runtime::log::context::LogContext;
use crate::storage::types::{Decided, Decisions};

/// Longest pause before another attempt; a change of leader ends it.
const PAUSE: Duration = Duration::from_millis(20);
/// Time that a leader's answer may take on its way back, in milliseconds.
const ANSWER_TRAVELS_MS: u64 = 200;
/// Longest wait of one attempt for a leader elsewhere: a leader that was just killed does not answer.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Has `commands` decided as one group, wherever the leader is, and counts it where they were not.
pub(crate) async fn submit(node: &Node, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, SubmitError> {
    let submitted = attempts(node, commands, deadline).await;
    submitted.inspect_err(|error| {
        node.instruments.failed(match error {
            SubmitError::NoLeader => ProposalFailure::NoLeader,
            SubmitError::Overloaded { .. } => ProposalFailure::Overloaded,
            SubmitError::DiskFull => ProposalFailure::DiskFull,
            SubmitError::OutcomeUnknown { .. } => ProposalFailure::OutcomeUnknown,
        });
    })
}

/// Attempts until one is answered, or no other is safe or in time.
async fn attempts(node: &Node, commands: Vec<Command>, deadline: Instant) -> Result<Decisions, SubmitError> {
    let begun = Instant::now();
    let may_repeat = commands.iter().all(Command::is_repeatable);
    // Well within the window in which a key is remembered: after it the same command would be decided anew.
    let repeat_within = Duration::from_millis(node.settings.genesis.key_window_ms / 2);
    let commands = Commands::from(commands);
    let mut perhaps_done = false;
    let mut hint = None;
    loop {
        // Nothing is written where no leader can be reached: "not done" is then the better answer, and true.
        if !perhaps_done && node.published.health.is_out_of_reach() {
            return Err(SubmitError::NoLeader);
        }
        let target = hint.take().or_else(|| node.leader.known());
        let attempt = attempt(node, &commands, target, deadline);
        let decided = tokio::select! {
            biased;
            decided = attempt => decided,
            // A paused or partitioned leader would keep its callers waiting; where another attempt is safe, it is made.
            () = node.leader.replaced(target), if may_repeat => Err(Unavailable::Unknown),
            () = node.published.health.falls_out_of_reach(), if may_repeat => Err(Unavailable::Unknown),
        };
        let not_decided = match decided {
            Ok(decisions) if perhaps_done && leaves_open(&decisions) => {
                return Err(SubmitError::OutcomeUnknown { waited: begun.elapsed() });
            }
            Ok(decisions) => return Ok(decisions),
            Err(not_decided) => not_decided,
        };
        tracing::debug!(?target, ?not_decided, "an attempt returned no decision");
        match not_decided {
            Unavailable::NotLeader(leader) => hint = leader,
            Unavailable::Overloaded(why) if !perhaps_done => return Err(SubmitError::Overloaded { why }),
            Unavailable::DiskFull if !perhaps_done => return Err(SubmitError::DiskFull),
            Unavailable::Overloaded(_) | Unavailable::DiskFull => {}
            Unavailable::Unknown => perhaps_done = true,
        }
        let is_over = Instant::now() + PAUSE >= deadline || node.published.health.is_out_of_reach();
        if perhaps_done && (is_over || !may_repeat || begun.elapsed() >= repeat_within) {
            return Err(SubmitError::OutcomeUnknown { waited: begun.elapsed() });
        }
        if is_over {
            return Err(SubmitError::NoLeader);
        }
        node.leader.pause_for_change(PAUSE).await;
    }
}

/// One attempt at `leader`.
async fn attempt(
    node: &Node,
    commands: &Commands,
    leader: Option<u64>,
    deadline: Instant,
) -> Result<Decisions, Unavailable> {
    match leader {
        None => Err(Unavailable::NotLeader(None)),
        Some(leader) if leader == node.me.node => node.proposer.propose(commands.clone(), deadline).await,
        Some(leader) => forward(node, leader, commands.clone(), deadline).await,
    }
}

/// Gives the commands, not the request that they came with, to the leader.
async fn forward(node: &Node, leader: u64, commands: Commands, deadline: Instant) -> Result<Decisions, Unavailable> {
    let Some(links) = node.links_to(leader) else { return Err(Unavailable::NotLeader(None)) };
    let deadline = deadline.min(Instant::now() + ATTEMPT);
    // A little less for the leader, so that its "certainly not done" arrives before this node gives up.
    let wait_ms = millis_until(deadline).saturating_sub(ANSWER_TRAVELS_MS);
    match links.forward.call(Request::forward(commands, wait_ms, LogContext::trace()), deadline).await {
        Ok(Response::Forward(outcome)) => outcome,
        Ok(Response::Declined(_)) | Err(CallError::NotSent(_) | CallError::OlderBuild) => {
            Err(Unavailable::NotLeader(None))
        }
        Ok(_) | Err(CallError::NoAnswer) => Err(Unavailable::Unknown),
    }
}

/// Milliseconds from now to `deadline`, to be counted from its arrival by a peer with another clock.
pub(crate) fn millis_until(deadline: Instant) -> u64 {
    u64::try_from(deadline.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX)
}

/// Whether decisions say nothing of an earlier attempt: a revoked API key is refused before the idempotency key is looked up.
fn leaves_open(decisions: &Decisions) -> bool {
    decisions.outcomes.iter().any(|outcome| matches!(outcome, Decided::NotRecorded(Rejection::KeyRevoked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_api_key_leaves_an_earlier_attempt_open_and_other_refusals_do_not() {
        let refused = |rejection| Decisions { position: 1, outcomes: vec![Decided::NotRecorded(rejection)] };
        assert!(leaves_open(&refused(Rejection::KeyRevoked)));
        assert!(!leaves_open(&refused(Rejection::KeyReused)));
        assert!(!leaves_open(&refused(Rejection::UnknownCharge)));
    }
}
