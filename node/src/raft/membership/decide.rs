//! A change of the members as it is asked for: checked, decided by the ledger, and waited for. On any node.

use std::time::Duration;

use ledger::{
    Action, AddNode, Address, ApiKeyNumber, Command, Event, NodeAddresses, NodeMembership, NodeNumber, Origin,
    PromoteNode, RULES_NODES, Refusal, Rejection, RemoveNode, Time,
};
use tokio::time::Instant;

use super::fitness::{may_leave, may_vote};
use super::leave::{is_out, is_removed};
use crate::raft::answers::{ReadError, SubmitError};
use crate::raft::lifecycle::node::Node;
use crate::raft::submit::submitter::submit;
use crate::storage::types::Decided;

/// Pause between two looks at the members' list; a change of it ends the pause.
const LOOK: Duration = Duration::from_millis(20);

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipChange {
    /// A new member gets a number that was never given: it follows, and does not vote.
    Add {
        /// Where it will serve.
        addresses: NodeAddresses,
    },
    /// A learner votes from now on.
    Promote {
        /// Its number.
        node: NodeNumber,
    },
    /// A member is removed, permanently.
    Remove {
        /// Its number.
        node: NodeNumber,
    },
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Nothing changed: this node could not find out how the members are now.
    #[error(transparent)]
    NotRead(#[from] ReadError),
    /// The command was not decided; one of its kinds may have been.
    #[error(transparent)]
    NotSubmitted(#[from] SubmitError),
    /// Nothing changed: not every node's build knows such a change.
    #[error(
        "the ledger goes by rules {ledger}, and members change from rules {RULES_NODES} on: upgrade every node first; they \
         are raised by themselves then"
    )]
    UpgradePending {
        /// The version of the rules that the ledger goes by.
        ledger: u32,
    },
    /// Nothing changed: there is no such member.
    #[error("there is no node {0}: `etebar members list` shows those that there are")]
    UnknownNode(NodeNumber),
    /// Nothing changed: a member has one of the addresses.
    #[error("one of these addresses is another node's: give the new node its own, or remove the other one first")]
    AddressTaken,
    /// Nothing changed: the learner has not caught up; the reason says what is missing.
    #[error("{0}")]
    MemberBehind(String),
    /// Nothing changed: the others would be no majority; the reason says what is missing.
    #[error("{0}")]
    QuorumAtRisk(String),
    /// Nothing changed: the ledger rejected it.
    #[error("the ledger rejected it: {0:?}")]
    Rejected(Rejection),
    /// It is decided, and whoever leads carries it out as soon as it can.
    #[error("it is decided, and not carried out after {waited:?}: the members' list shows when it is")]
    NotCarriedOut {
        /// How long the caller waited.
        waited: Duration,
    },
}

/// Has a change decided in the name of that key, and waits until it is in effect; returns the node's number. One that is in
/// effect already is a success. The state here must be fresh.
///
/// # Errors
/// See [`ChangeError`].
pub(crate) async fn change_members(
    local: &Node,
    (actor, origin): (ApiKeyNumber, Option<Box<Origin>>),
    change: MembershipChange,
    deadline: Instant,
) -> Result<NodeNumber, ChangeError> {
    let begun = Instant::now();
    // What is in effect already is answered without the ledger, which would see that the key was revoked elsewhere.
    let now = local.clock_guard.ledger_time().map_or(Time(0), |time| Time(time.ms));
    if local.published.replica().state.api_key(actor).is_none_or(|key| !key.is_valid_at(now)) {
        return Err(ChangeError::Rejected(Rejection::KeyRevoked));
    }
    let action = match check(local, change)? {
        Checked::InEffect(node) => return Ok(node),
        Checked::Decided { node, effect } => return wait(local, node, effect, begun, deadline).await,
        Checked::Open(action) => action,
    };
    let effect = match &action {
        Action::PromoteNode(_) => Effect::Voter,
        Action::RemoveNode(_) => Effect::Gone,
        _ => Effect::Member,
    };
    let command = Command { actor, idempotency_key: None, origin, action };
    let mut decisions = submit(local, vec![command], deadline).await?;
    let node = match decisions.outcomes.pop() {
        Some(Decided::Recorded { record, .. }) => node_of(&record.event),
        Some(Decided::NotRecorded(why)) => return Err(not_recorded(local, why)),
        None => None,
    };
    let Some(node) = node else { return Err(ChangeError::Rejected(Rejection::Inconsistent)) };
    wait(local, node, effect, begun, deadline).await
}

/// What is to be seen of a change in the members' list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Member,
    Voter,
    Gone,
}

enum Checked {
    /// Nothing is left to do.
    InEffect(NodeNumber),
    /// It is decided, and is to be carried out.
    Decided { node: NodeNumber, effect: Effect },
    /// It is to be decided.
    Open(Action),
}

/// What is left to do for a change, as this node sees the cluster; the error says why it cannot be made now.
fn check(local: &Node, change: MembershipChange) -> Result<Checked, ChangeError> {
    let members = local.members();
    let (rules, decided) = {
        let replica = local.published.replica();
        let node = match &change {
            MembershipChange::Add { .. } => None,
            MembershipChange::Promote { node } | MembershipChange::Remove { node } => replica.state.node(*node),
        };
        (replica.state.rules(), node.map(|node| node.membership))
    };
    match change {
        MembershipChange::Add { addresses } => {
            let both = |own: &str, theirs: &Address| own == theirs.as_str();
            let is_leaving = |number: NodeNumber| is_removed(&local.published.replica().state, number);
            for (number, there) in &members {
                let is_same = both(&there.api, &addresses.api) && both(&there.peer, &addresses.peer);
                // One whose removal is decided has them until that is carried out.
                if is_same && !is_leaving(*number) {
                    return Ok(Checked::InEffect(*number));
                }
                let own = [&there.api, &there.peer];
                if own.iter().any(|own| both(own, &addresses.api) || both(own, &addresses.peer)) {
                    return Err(ChangeError::AddressTaken);
                }
            }
            let above = members.keys().next_back().copied().unwrap_or(0);
            at_rules(rules)?;
            Ok(Checked::Open(Action::AddNode(AddNode { above, addresses })))
        }
        MembershipChange::Promote { node } => {
            if is_in_effect(local, node, Effect::Voter) {
                return Ok(Checked::InEffect(node));
            }
            match decided {
                Some(NodeMembership::Voter) => Ok(Checked::Decided { node, effect: Effect::Voter }),
                Some(NodeMembership::Learner) => {
                    may_vote(local, node).map_err(ChangeError::MemberBehind)?;
                    at_rules(rules)?;
                    Ok(Checked::Open(Action::PromoteNode(PromoteNode { node })))
                }
                Some(NodeMembership::Founding | NodeMembership::Removed) | None => Err(ChangeError::UnknownNode(node)),
            }
        }
        MembershipChange::Remove { node } => {
            let is_removed = decided == Some(NodeMembership::Removed);
            if is_removed && is_in_effect(local, node, Effect::Gone) {
                return Ok(Checked::InEffect(node));
            }
            if is_removed {
                return Ok(Checked::Decided { node, effect: Effect::Gone });
            }
            if !members.contains_key(&node) && decided.is_none() {
                return Err(ChangeError::UnknownNode(node));
            }
            may_leave(local, node).map_err(ChangeError::QuorumAtRisk)?;
            at_rules(rules)?;
            Ok(Checked::Open(Action::RemoveNode(RemoveNode { node })))
        }
    }
}

fn at_rules(ledger: u32) -> Result<(), ChangeError> {
    if ledger >= RULES_NODES { Ok(()) } else { Err(ChangeError::UpgradePending { ledger }) }
}

/// The node that a record is about.
fn node_of(event: &Event) -> Option<NodeNumber> {
    if let Event::NodeAdded(added) = event {
        Some(added.node)
    } else if let Event::NodePromoted(promoted) = event {
        Some(promoted.node)
    } else if let Event::NodeRemoved(removed) = event {
        Some(removed.node)
    } else {
        None
    }
}

fn not_recorded(local: &Node, why: Rejection) -> ChangeError {
    match why {
        Rejection::NotYet => ChangeError::UpgradePending { ledger: local.published.replica().state.rules() },
        Rejection::Conflict(Refusal::AddressTaken) => ChangeError::AddressTaken,
        other => ChangeError::Rejected(other),
    }
}

/// Waits until a decided change is in effect.
async fn wait(
    local: &Node,
    node: NodeNumber,
    effect: Effect,
    begun: Instant,
    deadline: Instant,
) -> Result<NodeNumber, ChangeError> {
    while !is_in_effect(local, node, effect) {
        if Instant::now() + LOOK >= deadline {
            return Err(ChangeError::NotCarriedOut { waited: begun.elapsed() });
        }
        local.leader.pause_for_change(LOOK).await;
    }
    Ok(node)
}

/// Whether the applied list of members shows it, and no change is open there. A node that is removed itself may never see that
/// in its list: it hears it from the others.
fn is_in_effect(local: &Node, node: NodeNumber, effect: Effect) -> bool {
    let replica = local.published.replica();
    let membership = replica.membership.membership();
    let sets = membership.get_joint_config();
    let is_member = membership.get_node(&node).is_some();
    match effect {
        Effect::Member => is_member,
        Effect::Voter => sets.len() == 1 && sets.iter().all(|set| set.contains(&node)),
        Effect::Gone => {
            let is_decided = replica.state.node(node).is_some_and(|node| node.membership == NodeMembership::Removed);
            let is_list_without = !is_member && sets.len() == 1;
            drop(replica);
            is_decided && (is_list_without || (node == local.me.node && is_out(local)))
        }
    }
}
