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
/// How long a majority of the voters must refuse a node as no member before it takes that for true.
const REFUSED: Duration = Duration::from_secs(5);

/// Whether a state says that a node is to be removed, or was.
pub(crate) fn is_removed(state: &State, node: NodeNumber) -> bool {
    state.node(node).is_some_and(|node| node.membership == NodeMembership::Removed)
}

/// Stops this node once it was removed: its list of members says so, or most of the voters refuse it as no member. Where it did
/// not apply the record of it, since it was down meanwhile, it believes them after a while.
pub(crate) async fn watch_removal(node: Arc<Node>) {
    let mut ticks = runtime::every(ROUND);
    let mut refused: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let me = node.me.node;
        let is_decided = is_removed(&node.published.replica().state, me);
        refused = is_refused(&node).then(|| refused.unwrap_or_else(Instant::now));
        if is_decided && !node.leader.leads_raft() && is_out(&node) {
            node.published.health.fail(format!(
                "node {me} was removed from the cluster: its data directory is kept, and cannot be served again"
            ));
            return;
        }
        if refused.is_some_and(|since| since.elapsed() > REFUSED) {
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
    !is_member || is_refused(node)
}

/// Whether most of the other voters refuse this node as no member, which it is by its own list.
fn is_refused(node: &Node) -> bool {
    let (others, is_member) = {
        let replica = node.published.replica();
        let membership = replica.membership.membership();
        let others: Vec<NodeNumber> = membership.voter_ids().filter(|voter| *voter != node.me.node).collect();
        (others, membership.get_node(&node.me.node).is_some())
    };
    let refusing = others.iter().filter(|voter| node.trust.refusals.refuses(**voter)).count();
    is_member && refusing * 2 > others.len()
}
