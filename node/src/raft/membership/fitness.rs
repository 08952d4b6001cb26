//! Whether a change of the members is safe now, as one node sees the others: whether a learner may vote, and whether the rest
//! could do without a voter.

use std::collections::BTreeSet;

use ledger::{Incarnation, NodeNumber};
use openraft::async_runtime::WatchReceiver;

use crate::raft::answers::{MemberStage, VotingRole};
use crate::raft::lifecycle::node::Node;

/// A learner that lags by more positions than this is not made a voter: a majority might have to wait for it.
const LAG_MAX: u64 = 1_000;

/// What one node knows of another, or of itself.
struct Seen {
    healthy: bool,
    applied: u64,
    incarnation: Incarnation,
}

/// A node as this one sees it; `None` where its status was never received.
fn seen(local: &Node, node: NodeNumber) -> Option<Seen> {
    if node == local.me.node {
        let applied = *local.published.applied().borrow();
        let healthy = local.unhealthy_reason().is_none();
        return Some(Seen { healthy, applied, incarnation: local.me.incarnation });
    }
    let status = local.peer_table.status(node)?;
    Some(Seen { healthy: status.healthy, applied: status.applied, incarnation: status.incarnation })
}

/// How far a member is on its way to a vote.
pub(crate) fn stage(local: &Node, node: NodeNumber, role: VotingRole) -> MemberStage {
    match role {
        VotingRole::Voter => MemberStage::Voting,
        VotingRole::Learner if seen(local, node).is_none() => MemberStage::Waiting,
        VotingRole::Learner if may_vote(local, node).is_ok() => MemberStage::Ready,
        VotingRole::Learner => MemberStage::CatchingUp,
    }
}

/// Whether a learner may be made a voter now; the reason says what is missing.
pub(crate) fn may_vote(local: &Node, node: NodeNumber) -> Result<(), String> {
    let bound = local.published.replica().state.incarnation(node);
    let Some(seen) = seen(local, node).filter(|seen| seen.healthy && Some(seen.incarnation) == bound) else {
        return Err(format!("node {node} is not reachable yet: start it, and try again"));
    };
    let furthest = local.peer_table.furthest().max(*local.published.applied().borrow());
    let lag = furthest.saturating_sub(seen.applied);
    if lag > LAG_MAX {
        return Err(format!("node {node} is {lag} positions behind: wait for it, and try again"));
    }
    Ok(())
}

/// Whether the other voters could go on without this one; the reason says what is missing.
pub(crate) fn may_leave(local: &Node, node: NodeNumber) -> Result<(), String> {
    let sets = voter_sets(local);
    if !sets.iter().any(|set| set.contains(&node)) {
        return Ok(());
    }
    let rest: BTreeSet<_> = sets.last().into_iter().flatten().copied().filter(|voter| *voter != node).collect();
    let healthy = rest.iter().filter(|voter| seen(local, **voter).is_some_and(|seen| seen.healthy)).count();
    if healthy * 2 <= rest.len() {
        return Err(format!(
            "without node {node}, {healthy} of {} voters would be healthy, which is no majority: add and promote new ones first",
            rest.len()
        ));
    }
    match rest.iter().find(|voter| could_be_among_strangers(local, **voter, &rest)) {
        Some(lost) => Err(format!(
            "without node {node}, node {lost} could be left with nodes that were added since it was last seen, and would refuse \
             them: wait until it has caught up, or remove it first"
        )),
        None => Ok(()),
    }
}

/// Whether a majority of these voters consists of one that is behind and of others that it does not know: it would refuse them
/// as no members, and nobody could tell it better.
fn could_be_among_strangers(local: &Node, voter: NodeNumber, voters: &BTreeSet<NodeNumber>) -> bool {
    if voter == local.me.node {
        return false;
    }
    // One that was never heard knows those at least that the cluster was founded with.
    let known = local.received_lists.sent_by(voter);
    let known = known.unwrap_or_else(|| local.settings.members.keys().copied().collect());
    let is_known = |other: &&NodeNumber| known.contains(other);
    let strangers = voters.iter().filter(|other| **other != voter && !is_known(other)).count();
    // Where it knows none of them, it is lost already.
    strangers + 1 < voters.len() && (strangers + 1) * 2 > voters.len()
}

/// The sets of voters of which each needs a majority, by the newest list in the log: two while a change is under way.
pub(crate) fn voter_sets(local: &Node) -> Vec<BTreeSet<NodeNumber>> {
    let membership = local.raft.server_metrics().borrow_watched().membership_config.clone();
    membership.membership().get_joint_config().clone()
}
