//! The end of a node that was removed: it stops by itself and says so, and its data directory is not served again.
//!
//! Invariant: it stops once the others are through with removing it, not when that is decided: until then it votes, and the
//! others may need its vote.

use std::sync::Arc;
use std::time::Duration;

use ledger::{NodeMembership, NodeNumber, State};
use tokio::time::Instant;

use crate::raft::lifecycle::node::Node;
use crate::runtime;

/// Pause between two looks.
const ROUND: Duration = Duration::from_millis(200);
/// How long voters must refuse a node as no member before it takes that for true.
const REFUSED: Duration = Duration::from_secs(5);

/// Whether a state says that a node is to be removed, or was.
pub(crate) fn is_removed(state: &State, node: NodeNumber) -> bool {
    state.node(node).is_some_and(|node| node.membership == NodeMembership::Removed)
}

/// Stops this node once it was removed: its list of members says so, or most of the voters refuse it as no member. Where it
/// applied the record of it, it believes one of them after a while, since the others that it knows may be gone too; where it did
/// not, since it was down meanwhile, it takes most of them, and that while.
pub(crate) async fn watch_removal(node: Arc<Node>) {
    let mut ticks = runtime::every(ROUND);
    let (mut by_one, mut by_most): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        ticks.tick().await;
        let me = node.me.node;
        let refused = Refused::of(&node);
        by_one = refused.by_one.then(|| by_one.unwrap_or_else(Instant::now));
        by_most = refused.by_most.then(|| by_most.unwrap_or_else(Instant::now));
        let is_for_long = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() > REFUSED);
        let is_decided = is_removed(&node.published.replica().state, me);
        if is_decided && !node.leader.leads_raft() && (is_out(&node) || is_for_long(by_one)) {
            node.published.health.fail(format!(
                "node {me} was removed from the cluster: its data directory is kept, and cannot be served again"
            ));
            return;
        }
        if is_for_long(by_most) {
            node.published.health.fail(format!(
                "most of the voters that node {me} knows say that it is no member: if it was removed, its data directory \
                 cannot be served again; see `etebar members list` at another node"
            ));
            return;
        }
    }
}

/// Whether the others are through with removing this node: its own list says so, which may not reach it any more, or most of
/// the other voters.
pub(crate) fn is_out(node: &Node) -> bool {
    let is_member = node.published.replica().membership.membership().get_node(&node.me.node).is_some();
    !is_member || Refused::of(node).by_most
}

/// Whether other voters refuse this node as no member, which it is by its own list.
struct Refused {
    by_one: bool,
    by_most: bool,
}

impl Refused {
    fn of(node: &Node) -> Self {
        let (others, is_member) = {
            let replica = node.published.replica();
            let membership = replica.membership.membership();
            let others: Vec<NodeNumber> = membership.voter_ids().filter(|voter| *voter != node.me.node).collect();
            (others, membership.get_node(&node.me.node).is_some())
        };
        let refusing = others.iter().filter(|voter| node.trust.refusals.refuses(**voter)).count();
        Self { by_one: is_member && refusing > 0, by_most: is_member && refusing * 2 > others.len() }
    }
}
