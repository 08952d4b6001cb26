//! States and roles in a word each, painted by what they mean.

use etebar::api::{ClusterStatus, NodeRole, NodeStatus, RequestStatus, SellerStatus};

use super::paint::Cell;

/// What a node is, by that view of the cluster.
pub(crate) fn role(cluster: &ClusterStatus, node: &NodeStatus) -> &'static str {
    match (cluster.leader == Some(node.id), node.role) {
        (true, _) => "leader",
        (false, NodeRole::Voter) => "follower",
        (false, NodeRole::Learner) => "learner",
    }
}

/// A credit request's state.
pub(crate) fn credit_status(status: RequestStatus) -> Cell {
    match status {
        RequestStatus::Pending => Cell::waiting("pending"),
        RequestStatus::Approved => Cell::good("approved"),
        RequestStatus::Rejected => Cell::bad("rejected"),
    }
}

/// A seller's state.
pub(crate) fn seller_status(status: SellerStatus) -> Cell {
    match status {
        SellerStatus::Active => Cell::good("active"),
        SellerStatus::Suspended => Cell::bad("suspended"),
    }
}

/// What is added to a table of one answer that was decided before.
pub(crate) fn replay_note(replayed: bool) -> &'static str {
    if replayed { "\n(decided before; nothing moved now)" } else { "" }
}
