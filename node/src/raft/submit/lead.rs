//! A request that a member shall lead, from any node to the leader, and again where another node leads meanwhile.
//!
//! It may be repeated at any time: where that member leads already, nothing happens.

use std::time::Duration;

use ledger::NodeNumber;
use tokio::time::Instant;

use super::submitter::millis_until;
use crate::raft::answers::LeadError;
use crate::raft::lifecycle::hand_over::{Successor, hand_over};
use crate::raft::lifecycle::node::Node;
use crate::raft::peers::link::call::CallError;
use crate::raft::peers::link::message::{NotHandedOver, Request, Response};

/// Longest pause before another attempt; a change of leader ends it.
const PAUSE: Duration = Duration::from_millis(20);
/// Time that a leader's answer may take on its way back, in milliseconds.
const ANSWER_TRAVELS_MS: u64 = 200;

/// Why one attempt did not make the member the leader.
enum Attempt {
    /// The leader's answer.
    Refused(NotHandedOver),
    /// The leader, this node, does not know such a request.
    OlderBuild(NodeNumber),
    /// The leader may have done it.
    Unknown,
}

/// Has a member lead, and returns once this node knows that it does.
pub(crate) async fn lead(node: &Node, to: NodeNumber, deadline: Instant) -> Result<(), LeadError> {
    let begun = Instant::now();
    let (mut perhaps_done, mut hint) = (false, None);
    loop {
        if node.leader.alive() == Some(to) {
            return Ok(());
        }
        let leader = hint.take().or_else(|| node.leader.known());
        match attempt(node, leader, to, deadline).await {
            Ok(()) | Err(Attempt::Unknown) => perhaps_done = true,
            Err(Attempt::Refused(NotHandedOver::NotLeader(leader))) => hint = leader,
            Err(Attempt::Refused(NotHandedOver::Busy)) => {}
            Err(Attempt::Refused(why)) => return Err(error(to, &why)),
            Err(Attempt::OlderBuild(leader)) => {
                return Err(LeadError::CannotLead(format!(
                    "node {leader} leads and runs an older build, which hands over only where it is stopped: run the newer one \
                     there first"
                )));
            }
        }
        if Instant::now() + PAUSE >= deadline || node.published.health.is_out_of_reach() {
            let unknown = LeadError::OutcomeUnknown { waited: begun.elapsed() };
            return Err(if perhaps_done { unknown } else { LeadError::NoLeader });
        }
        node.leader.pause_for_change(PAUSE).await;
    }
}

/// One attempt at `leader`.
async fn attempt(node: &Node, leader: Option<NodeNumber>, to: NodeNumber, deadline: Instant) -> Result<(), Attempt> {
    let Some(leader) = leader else { return Err(Attempt::Refused(NotHandedOver::NotLeader(None))) };
    if leader == node.me.node {
        return hand_over(node, Successor::This(to), deadline).await.map(drop).map_err(Attempt::Refused);
    }
    let Some(links) = node.links_to(leader) else { return Err(Attempt::Refused(NotHandedOver::NotLeader(None))) };
    // A little less for the leader, so that its answer arrives before this node gives up.
    let wait_ms = millis_until(deadline).saturating_sub(ANSWER_TRAVELS_MS);
    let answer = tokio::select! {
        biased;
        answer = links.control.call(Request::HandOver { to, wait_ms }, deadline) => answer,
        () = node.leader.replaced(Some(leader)) => return Err(Attempt::Unknown),
        () = node.published.health.falls_out_of_reach() => return Err(Attempt::Unknown),
    };
    match answer {
        Ok(Response::HandOver(outcome)) => outcome.map_err(Attempt::Refused),
        Ok(Response::Declined(_)) | Err(CallError::NotSent(_)) => Err(Attempt::Refused(NotHandedOver::NotLeader(None))),
        Err(CallError::OlderBuild) => Err(Attempt::OlderBuild(leader)),
        Ok(_) | Err(CallError::NoAnswer) => Err(Attempt::Unknown),
    }
}

/// A leader's refusal, with what to do about it.
fn error(to: NodeNumber, why: &NotHandedOver) -> LeadError {
    LeadError::CannotLead(match why {
        NotHandedOver::NotMember => return LeadError::UnknownMember(to),
        NotHandedOver::Behind(positions) => return LeadError::Behind { node: to, positions: *positions },
        NotHandedOver::Learner => format!("node {to} is a learner: promote it first"),
        NotHandedOver::Unreachable => {
            format!("node {to} does not answer the leader: start it, or let the leader reach it, then ask again")
        }
        NotHandedOver::Unhealthy(failure) => {
            format!("node {to} is unhealthy, see its log, or have another one lead: {failure}")
        }
        NotHandedOver::ClockOff(ahead_ms) => {
            format!("the clock of node {to} is {ahead_ms} ms ahead of the others': set it right first")
        }
        NotHandedOver::NotTaken => format!(
            "node {to} did not take the leadership over in time, and charges go on without it: see its log, then ask again"
        ),
        NotHandedOver::NotLeader(_) | NotHandedOver::Busy => "the leader changes at this moment: ask again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_the_node_and_what_to_do() {
        for (why, remedy) in [
            (NotHandedOver::Learner, "promote it"),
            (NotHandedOver::Unreachable, "start it"),
            (NotHandedOver::Unhealthy("its disk does not answer".into()), "have another one lead"),
            (NotHandedOver::ClockOff(-9_000), "set it right"),
            (NotHandedOver::NotTaken, "ask again"),
            (NotHandedOver::Behind(40), "ask again"),
        ] {
            let text = error(2, &why).to_string();
            assert!(text.contains("node 2") && text.contains(remedy), "{text}");
        }
        assert!(matches!(error(9, &NotHandedOver::NotMember), LeadError::UnknownMember(9)));
    }
}
