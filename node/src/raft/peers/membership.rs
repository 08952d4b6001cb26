//! Changes of the members, one at a time and by the leader: a learner is added and follows, a learner becomes a voter, a
//! member is removed. Tests call it so far: no command of the program and no endpoint does yet.
//!
//! Invariant: a number belongs to one data directory permanently. A node becomes a voter only once the log has bound its
//! number to its directory, so that a wiped one is refused wherever that is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ledger::NodeNumber;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use crate::raft::lifecycle::hand_over::{COMMAND, Successor, hand_over};
use crate::raft::lifecycle::node::Node;
use crate::raft::peers::link::message::NotHandedOver;
use crate::storage::{self, TypeConfig};

/// A learner that lags by more positions than this is not made a voter: a majority might have to wait for it.
const LAG_MAX: u64 = 1_000;

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipChange {
    /// A new member, under a number that was never given before: it follows, and does not vote.
    Add {
        /// Its number.
        node: NodeNumber,
        /// Where it serves.
        addresses: storage::NodeAddresses,
    },
    /// A learner votes from now on.
    Promote {
        /// Its number.
        node: NodeNumber,
    },
    /// A member is removed.
    Remove {
        /// Its number.
        node: NodeNumber,
    },
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Nothing changed: another node leads, this one where it is known.
    #[error("this node does not lead")]
    NotLeader(Option<NodeNumber>),
    /// Nothing changed: another change is under way.
    #[error("another change of the members is under way")]
    InProgress,
    /// Nothing changed; the reason says what has to change first.
    #[error("{0}")]
    Refused(String),
    /// It may be under way, or done.
    #[error("no answer within {waited:?}: see the members' list")]
    OutcomeUnknown {
        /// How long the caller waited.
        waited: Duration,
    },
}

/// Changes the members, where this node leads. A change that is in effect already is a success.
///
/// # Errors
/// See [`ChangeError`]: only one of them may have changed anything.
pub(crate) async fn change_members(
    local: &Node,
    change: MembershipChange,
    deadline: Instant,
) -> Result<(), ChangeError> {
    if !local.leader.is_me() {
        return Err(ChangeError::NotLeader(local.leader.known()));
    }
    if !may_change(local) {
        return Err(ChangeError::NotLeader(None));
    }
    let change = match change {
        MembershipChange::Add { node, addresses } => addition(local, node, addresses)?,
        MembershipChange::Promote { node } => promotion(local, node)?,
        MembershipChange::Remove { node } if node == local.me.node => {
            let why = "this node leads, and no other voter is healthy to take over: promote a new one first";
            return Err(match hand_over(local, Successor::Best, deadline).await {
                Ok(leader) => ChangeError::NotLeader(Some(leader)),
                Err(NotHandedOver::NotTaken | NotHandedOver::NotLeader(_)) => ChangeError::NotLeader(None),
                Err(_no_voter) => ChangeError::Refused(why.into()),
            });
        }
        MembershipChange::Remove { node } => removal(local, node)?,
    };
    match change {
        Some(change) => propose_change(local, change, deadline).await,
        None => Ok(()),
    }
}

/// Whether a change of the voters is not finished: until then everything needs two majorities.
pub(crate) fn is_change_open(local: &Node) -> bool {
    voter_sets(local).len() > 1
}

/// Finishes a change that an earlier leader began.
pub(crate) async fn end_change(local: &Node) {
    if !may_change(local) {
        return;
    }
    let change = ChangeMembers::AddVoterIds(BTreeSet::new());
    match propose_change(local, change, Instant::now() + COMMAND).await {
        Ok(()) => tracing::info!("a change of the members that was left open is done"),
        Err(error) => tracing::debug!(%error, "a change of the members is still open"),
    }
}

/// A leader that is being removed leads until that is committed; openraft asserts that it changes no members meanwhile.
fn may_change(local: &Node) -> bool {
    voter_sets(local).last().is_some_and(|set| set.contains(&local.me.node))
}

async fn propose_change(
    local: &Node,
    change: ChangeMembers<NodeNumber, storage::NodeAddresses>,
    deadline: Instant,
) -> Result<(), ChangeError> {
    let begun = Instant::now();
    tracing::info!(%change, "members change");
    match timeout_at(deadline, local.raft.change_membership(change, false)).await {
        Ok(Ok(_written)) => Ok(()),
        Ok(Err(error)) => Err(reason(error, begun)),
        Err(_elapsed) => Err(ChangeError::OutcomeUnknown { waited: begun.elapsed() }),
    }
}

fn addition(
    local: &Node,
    node: NodeNumber,
    addresses: storage::NodeAddresses,
) -> Result<Option<ChangeMembers<NodeNumber, storage::NodeAddresses>>, ChangeError> {
    match local.members().get(&node) {
        Some(there) if *there == addresses => return Ok(None),
        Some(there) => {
            return Err(ChangeError::Refused(format!(
                "node {node} is there already, at {}: give the new one another number",
                there.peer
            )));
        }
        None => {}
    }
    if local.published.replica().state.incarnation(node).is_some() {
        return Err(ChangeError::Refused(format!(
            "number {node} was another node's: give the new one a number that was never used"
        )));
    }
    Ok(Some(ChangeMembers::AddNodes(BTreeMap::from([(node, addresses)]))))
}

fn promotion(
    local: &Node,
    node: NodeNumber,
) -> Result<Option<ChangeMembers<NodeNumber, storage::NodeAddresses>>, ChangeError> {
    if !local.members().contains_key(&node) {
        return Err(ChangeError::Refused(format!("there is no node {node}: add it first")));
    }
    let sets = voter_sets(local);
    if sets.len() == 1 && sets[0].contains(&node) {
        return Ok(None);
    }
    let bound = local.published.replica().state.incarnation(node);
    let Some(status) =
        local.peer_table.status(node).filter(|status| status.healthy && Some(status.incarnation) == bound)
    else {
        return Err(ChangeError::Refused(format!("node {node} is not reachable yet: start it, and try again")));
    };
    let lag = local.published.applied().borrow().saturating_sub(status.applied);
    if lag > LAG_MAX {
        return Err(ChangeError::Refused(format!("node {node} is {lag} positions behind: wait for it")));
    }
    Ok(Some(ChangeMembers::AddVoterIds(BTreeSet::from([node]))))
}

fn removal(
    local: &Node,
    node: NodeNumber,
) -> Result<Option<ChangeMembers<NodeNumber, storage::NodeAddresses>>, ChangeError> {
    let sets = voter_sets(local);
    if !sets.iter().any(|set| set.contains(&node)) {
        let is_learner = local.members().contains_key(&node);
        return Ok(is_learner.then(|| ChangeMembers::RemoveNodes(BTreeSet::from([node]))));
    }
    let rest: BTreeSet<_> = sets.last().into_iter().flatten().copied().filter(|voter| *voter != node).collect();
    let is_healthy = |voter: &&NodeNumber| {
        **voter == local.me.node || local.peer_table.status(**voter).is_some_and(|status| status.healthy)
    };
    let healthy = rest.iter().filter(is_healthy).count();
    if healthy * 2 <= rest.len() {
        return Err(ChangeError::Refused(format!(
            "without node {node}, {healthy} of {} voters would be healthy, which is no majority: add and promote new ones first",
            rest.len()
        )));
    }
    Ok(Some(ChangeMembers::RemoveVoters(BTreeSet::from([node]))))
}

/// The sets of which each needs a majority: two while a change is under way.
fn voter_sets(local: &Node) -> Vec<BTreeSet<NodeNumber>> {
    let membership = local.raft.server_metrics().borrow_watched().membership_config.clone();
    membership.membership().get_joint_config().clone()
}

fn reason(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>, begun: Instant) -> ChangeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => ChangeError::NotLeader(to.leader_id),
        RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
            ChangeError::InProgress
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => ChangeError::Refused(error.to_string()),
        RaftError::APIError(_) | RaftError::Fatal(_) => ChangeError::OutcomeUnknown { waited: begun.elapsed() },
    }
}
