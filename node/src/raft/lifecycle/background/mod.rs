//! What a node does by itself while it runs, a task each.
//!
//! Read in this order: [`leadership`] (the leader's own commands, and what keeps a node from leading), [`upkeep`] (status,
//! checkpoints, the log's size, the end of Raft).

mod leadership;
mod upkeep;

use std::sync::Arc;

use super::node::Node;
use crate::raft::membership::leave::watch_removal;
use crate::raft::peers::link::trust::follow::follow_certificates;
use crate::runtime;

/// Starts all background tasks of a node.
pub(crate) fn start(node: &Arc<Node>) {
    runtime::spawn_vital("exchange_status", upkeep::exchange_status(node.clone()));
    runtime::spawn_vital("lead", leadership::lead(node.clone()));
    runtime::spawn_vital("keep_history", upkeep::keep_history(node.clone()));
    runtime::spawn_vital("keep_time", upkeep::keep_time(node.clone()));
    runtime::spawn_vital("keep_log_small", upkeep::keep_log_small(node.clone()));
    runtime::spawn_vital("watch_clock", leadership::watch_clock(node.clone()));
    runtime::spawn_vital("watch_disk", leadership::watch_disk(node.clone()));
    runtime::spawn_vital("watch_majority", leadership::watch_majority(node.clone()));
    runtime::spawn_vital("watch_reach", leadership::watch_reach(node.clone()));
    runtime::spawn_vital("watch_removal", watch_removal(node.clone()));
    runtime::spawn_vital("watch_raft", upkeep::watch_raft(node.clone()));
    runtime::spawn_vital("audit", upkeep::audit(node.clone()));
    runtime::spawn_vital("recover", upkeep::recover(node.clone()));
    runtime::spawn_vital("follow_certificates", follow_certificates(node.trust.clone()));
}
