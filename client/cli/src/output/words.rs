//! States, roles and notes in a few words, painted by what they mean.

use std::time::Duration;

use etebar::api::{ClusterStatus, EntryKind, NodeRole, NodeStatus, RequestStatus, SellerStatus};
use etebar::duration_text;

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

/// The note below a table of one answer that was decided before.
pub(crate) fn replay_note(replayed: bool) -> &'static str {
    if replayed { "\n(decided before; nothing moved now)" } else { "" }
}

/// A value that should always be `yes`.
pub(crate) fn yes_or_no(yes: bool) -> Cell {
    if yes { Cell::good("yes") } else { Cell::bad("NO") }
}

/// Nothing is shown as a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// What is printed while nothing is sent, in whole seconds, as `Retry-After` has them.
pub(crate) fn waits_for_rate(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    format!("waiting {}: the nodes limit the rate of this API key", duration_text(Duration::from_secs(seconds)))
}

/// Why an entry moved money, for people.
pub(crate) fn entry_kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Credit => "credit",
        EntryKind::Adjustment => "adjustment",
        EntryKind::Charge => "charge",
        EntryKind::Reversal => "reversal",
    }
}
