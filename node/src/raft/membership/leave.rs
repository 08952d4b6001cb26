//! The end of a node that was removed: it stops by itself and says so, and its data directory is not served again.

use std::sync::Arc;
use std::time::Duration;

use ledger::{NodeMembership, NodeNumber, State};
use tokio::time::Instant;

use crate::raft::lifecycle::node::Node;
use crate::runtime;

/// Pause between two looks.
const ROUND: Duration = Duration::from_millis(200);
/// How long a node whose removal is decided stays, where it does not see that the others are through with it.
const LINGER: Duration = Duration::from_secs(5);
/// How long a majority of the voters must refuse a node as no member before it takes that for true.
const REFUSED: Duration = Duration::from_secs(5);

/// Whether a state says that a node was removed.
pub(crate) fn is_removed(state: &State, node: NodeNumber) -> bool {
    state.node(node).is_some_and(|node| node.membership == NodeMembership::Removed)
}

/// Stops this node once it was removed: it applied the record of that, or most of the voters refuse it as no member, which is
/// how one learns of it that was down meanwhile.
pub(crate) async fn watch_removal(node: Arc<Node>) {
    let mut ticks = runtime::every(ROUND);
    let (mut decided, mut refused): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        ticks.tick().await;
        let me = node.me.node;
        let is_decided = is_removed(&node.published.replica().state, me);
        decided = is_decided.then(|| decided.unwrap_or_else(Instant::now));
        refused = is_refused(&node).then(|| refused.unwrap_or_else(Instant::now));
        let is_over = |since: Instant| {
            // While it leads it hands leadership over first.
            !node.leader.leads_raft() && (is_out(&node) || since.elapsed() > LINGER)
        };
        if decided.is_some_and(is_over) {
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
