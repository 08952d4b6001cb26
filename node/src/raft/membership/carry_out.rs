//! The leader's part: Raft's list of members is made what was decided, one change at a time, as soon as each is safe.
//!
//! Invariants: a node becomes a voter only once the log has bound its number to its directory, so that a wiped one is refused
//! wherever that is known, and only once it has caught up. A voter is removed only while the others are a healthy majority. A
//! leader that is to be removed hands leadership over first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ledger::{Address, NodeMembership, NodeNumber};
use openraft::ChangeMembers;
use tokio::time::{Instant, timeout};

use super::fitness::{may_leave, may_vote, voter_sets};
use crate::raft::lifecycle::hand_over::{COMMAND, Successor, hand_over};
use crate::raft::lifecycle::node::Node;
use crate::runtime::log_throttle::LogThrottle;
use crate::storage;

/// How long a node that is to be removed gets to learn of that by the log, which it follows until then.
const FAREWELL: Duration = Duration::from_secs(1);
/// Rounds after which a leader ends a change of the members that was left open.
const OPEN_ROUNDS: u32 = 5;

type Change = ChangeMembers<NodeNumber, storage::NodeAddresses>;

/// What the leader does about the members, and what it remembers between two rounds.
#[derive(Debug, Default)]
pub(crate) struct CarryOut {
    /// The nodes whose removal is decided: the position and the time at which this leader saw that first.
    leaving: BTreeMap<NodeNumber, (u64, Instant)>,
    /// Rounds in which a change was open.
    open_rounds: u32,
    throttle: LogThrottle,
}

impl CarryOut {
    /// One round of a node that leads: begins one change at most, and waits for it.
    pub(crate) async fn round(&mut self, local: &Node) {
        if voter_sets(local).len() > 1 {
            self.open_rounds += 1;
            // The leader that began it usually ends it.
            if self.open_rounds > OPEN_ROUNDS && may_change(local) {
                change(local, ChangeMembers::AddVoterIds(BTreeSet::new())).await;
            }
            return;
        }
        self.open_rounds = 0;
        match self.next(local) {
            Some(Ok(_)) if !may_change(local) => {}
            Some(Ok(next)) => change(local, next).await,
            Some(Err(Obstacle::Leads)) => {
                if let Err(why) = hand_over(local, Successor::Best, Instant::now() + COMMAND).await {
                    tracing::debug!(?why, "leadership not handed over, before this node is removed");
                }
            }
            Some(Err(Obstacle::NotSafe(why))) if self.throttle.is_due("members") => {
                tracing::warn!(%why, "a change of the members was decided, and waits");
            }
            // Nothing is to be done, or it is told often enough what is in the way.
            None | Some(Err(Obstacle::NotSafe(_))) => {}
        }
    }

    /// Forgets what it saw, since another node leads now.
    pub(crate) fn forget(&mut self) {
        self.leaving.clear();
        self.open_rounds = 0;
    }

    /// The next change; the first that is safe. `None` where all that was decided is in effect.
    fn next(&mut self, local: &Node) -> Option<Result<Change, Obstacle>> {
        let voters = voter_sets(local).pop().unwrap_or_default();
        let mut obstacle = None;
        for (number, wanted) in wanted(local, &voters) {
            match self.change_for(local, number, wanted, voters.contains(&number)) {
                Ok(change) => return Some(Ok(change)),
                Err(Some(found)) => drop(obstacle.get_or_insert(found)),
                Err(None) => {}
            }
        }
        obstacle.map(Err)
    }

    /// The change that brings a node where it is wanted; the error says what is in its way, `None` that it takes a moment.
    fn change_for(
        &mut self,
        local: &Node,
        number: NodeNumber,
        wanted: Wanted,
        is_voter: bool,
    ) -> Result<Change, Option<Obstacle>> {
        match wanted {
            Wanted::Member(addresses) => Ok(ChangeMembers::AddNodes(BTreeMap::from([(number, addresses)]))),
            Wanted::Voter => {
                may_vote(local, number).map_err(|why| Some(Obstacle::NotSafe(why)))?;
                Ok(ChangeMembers::AddVoterIds(BTreeSet::from([number])))
            }
            Wanted::Gone => {
                may_leave(local, number).map_err(|why| Some(Obstacle::NotSafe(why)))?;
                if number == local.me.node {
                    return Err(Some(Obstacle::Leads));
                }
                if !self.has_learned(local, number) {
                    return Err(None);
                }
                let set = BTreeSet::from([number]);
                Ok(if is_voter { ChangeMembers::RemoveVoters(set) } else { ChangeMembers::RemoveNodes(set) })
            }
        }
    }

    /// Whether a node that is to be removed has applied the record of it, is not healthy, or had its time for that.
    fn has_learned(&mut self, local: &Node, number: NodeNumber) -> bool {
        let now = (*local.published.applied().borrow(), Instant::now());
        let (position, since) = *self.leaving.entry(number).or_insert(now);
        let status = local.peer_table.status(number).filter(|status| status.healthy);
        status.is_none_or(|status| status.applied >= position) || since.elapsed() > FAREWELL
    }
}

/// What was decided and is not in effect: nodes to be added first, then promoted, then removed.
fn wanted(local: &Node, voters: &BTreeSet<NodeNumber>) -> Vec<(NodeNumber, Wanted)> {
    let members = local.members();
    let replica = local.published.replica();
    let wanted = |(number, node): (NodeNumber, &ledger::Node)| {
        let is_member = members.contains_key(&number);
        let wanted = match node.membership {
            NodeMembership::Learner | NodeMembership::Voter if !is_member => {
                let addresses = node.addresses.as_ref()?;
                let text = |address: &Address| address.as_str().to_owned();
                Wanted::Member(storage::NodeAddresses { api: text(&addresses.api), peer: text(&addresses.peer) })
            }
            NodeMembership::Voter if !voters.contains(&number) => Wanted::Voter,
            NodeMembership::Removed if is_member => Wanted::Gone,
            NodeMembership::Founding | NodeMembership::Learner | NodeMembership::Voter | NodeMembership::Removed => {
                return None;
            }
        };
        Some((number, wanted))
    };
    let mut all: Vec<_> = replica.state.nodes().filter_map(wanted).collect();
    all.sort_by_key(|(_, wanted)| match wanted {
        Wanted::Member(_) => 0,
        Wanted::Voter => 1,
        Wanted::Gone => 2,
    });
    all
}

/// Where a node is wanted.
enum Wanted {
    Member(storage::NodeAddresses),
    Voter,
    Gone,
}

/// What is in the way of a change.
enum Obstacle {
    /// It would not be safe now.
    NotSafe(String),
    /// The node that is to be removed leads.
    Leads,
}

/// A leader that is being removed leads until that is committed; openraft asserts that it changes no members meanwhile.
fn may_change(local: &Node) -> bool {
    voter_sets(local).last().is_some_and(|set| set.contains(&local.me.node))
}

async fn change(local: &Node, change: Change) {
    tracing::info!(%change, "members change");
    match timeout(COMMAND, local.raft.change_membership(change, false)).await {
        Ok(Ok(_written)) => tracing::info!("members changed"),
        Ok(Err(error)) => tracing::debug!(%error, "members not changed"),
        Err(_elapsed) => tracing::debug!("a change of the members takes long"),
    }
}
